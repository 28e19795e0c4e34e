"""Whose a certificate is: a broker lets a gate say what is of the name in it, and nothing else, without a word."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gated.config import SyncSettings
from gated.errors import ConfigError, PairingError


def check_name(settings: SyncSettings, gate: str) -> None:
    """Raises `ConfigError` where the certificate is another gate's: a broker would say yes to all and do nothing."""
    try:
        name = common_name(x509.load_pem_x509_certificate(Path(settings.cert).read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError("sync.cert", [f"{settings.cert}: no certificate can be read from it ({error})"]) from error
    if name != gate:
        advice = "mend [gate] id, or pair the gate anew"
        raise ConfigError("sync.cert", [f"{settings.cert}: is {name}'s, and this gate is {gate}; {advice}"])


def common_name(certificate: x509.Certificate) -> str:
    """Who it was given to; empty where it says nothing of it."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def end_of(path: Path) -> datetime | None:
    """When a certificate in a file ends; None where none can be read."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def request_for(key: ec.EllipticCurvePrivateKey, gate: str) -> str:
    """A gate's request for a certificate, proved with its own key (PEM)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gate)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def check_own(pem: str, authority: bytes, public: ec.EllipticCurvePublicKey, gate: str, wall: datetime) -> datetime:
    """When a certificate ends that is this gate's, for its key, by this authority. Raises `PairingError` otherwise."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairingError("it is none, or not by this site's authority") from error
    if common_name(certificate) != gate or certificate.public_key() != public:
        raise PairingError("it is for another gate, or another key")
    if certificate.not_valid_before_utc > wall:
        raise PairingError("it is not good yet; look at the clocks of gate and office")
    return certificate.not_valid_after_utc


def check_authority(pem: str, known: Path) -> bytes:
    """An authority's renewed certificate: the same key and name as the one that is known, signed by itself.

    Raises `PairingError` for any other, and `OSError` where the known one cannot be read.
    """
    try:
        ours, new = x509.load_pem_x509_certificate(known.read_bytes()), x509.load_pem_x509_certificate(pem.encode())
        new.verify_directly_issued_by(new)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairingError("the authority is none") from error
    if new.public_key() != ours.public_key() or new.subject != ours.subject:
        raise PairingError("the authority is another one")
    return pem.encode() if new.not_valid_after_utc > ours.not_valid_after_utc else known.read_bytes()


def load_key(pem: bytes, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    """A private key from its file. Raises `ValueError` and `TypeError` where it does not open, or is another kind."""
    key = serialization.load_pem_private_key(pem, password)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of this kind")
    return key


def private_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None) -> bytes:
    """A private key as it lies in its file (PKCS 8, PEM); encrypted with a password where there is one."""
    seal = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal)


def is_sealed_pem(data: bytes) -> bool:
    """Whether a private key in PEM needs a password, in one of the two spellings that there are."""
    return b"ENCRYPTED" in data and b"-----BEGIN" in data
