"""Read, check and request X.509 certificates of gates and of the site's authority.

Used by pairing, renewal and dialling. A broker takes from a gate only messages under the name in its certificate. It
drops all others without an error.
"""

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
    """Raise `ConfigError` if the certificate names another gate.

    With another name in the certificate, a broker would confirm every message and drop it.
    """
    try:
        name = common_name(x509.load_pem_x509_certificate(Path(settings.cert).read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError("sync.cert", [f"{settings.cert}: no certificate can be read from it ({error})"]) from error
    if name != gate:
        advice = "correct [gate] id, or pair the gate again"
        raise ConfigError("sync.cert", [f"{settings.cert}: is {name}'s, and this gate is {gate}; {advice}"])


def common_name(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate; empty if it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def end_of(path: Path) -> datetime | None:
    """Return when the certificate in a file ends; None if none can be read."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def request_for(key: ec.EllipticCurvePrivateKey, gate: str) -> str:
    """Return a gate's certificate request (PKCS 10, PEM), signed with its own key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gate)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def check_own(pem: str, authority: bytes, public: ec.EllipticCurvePublicKey, gate: str, wall: datetime) -> datetime:
    """Return the end of a certificate, after checks of its authority, name, key and start.

    Raises `PairingError` for a certificate of another authority, gate or key, and for one that is not valid yet.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairingError("it is not a certificate of this site's authority") from error
    if common_name(certificate) != gate or certificate.public_key() != public:
        raise PairingError("it is for another gate, or another key")
    if certificate.not_valid_before_utc > wall:
        raise PairingError("it is not valid yet; check the clocks of gate and office")
    return certificate.not_valid_after_utc


def check_authority(pem: str, known: Path) -> bytes:
    """Return the newer certificate of the authority (PEM): the renewed one, or the stored one if it ends later.

    The renewed certificate must have the same key and name as the stored one, and be signed by itself. Raises
    `PairingError` for any other, and `OSError` if the stored one cannot be read.
    """
    try:
        current, new = x509.load_pem_x509_certificate(known.read_bytes()), x509.load_pem_x509_certificate(pem.encode())
        new.verify_directly_issued_by(new)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairingError("the authority's certificate is invalid") from error
    if new.public_key() != current.public_key() or new.subject != current.subject:
        raise PairingError("it names another authority")
    return pem.encode() if new.not_valid_after_utc > current.not_valid_after_utc else known.read_bytes()


def load_key(pem: bytes, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    """Return a private key from its file content.

    Raises `ValueError` or `TypeError` if the password does not open it, or if it is not an elliptic-curve key.
    """
    key = serialization.load_pem_private_key(pem, password)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of this kind")
    return key


def private_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None) -> bytes:
    """Return a private key as file content (PKCS 8, PEM), encrypted if a password is given."""
    seal = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal)


def is_sealed_pem(data: bytes) -> bool:
    """Return whether a PEM private key needs a password. Recognises both PEM forms of encrypted keys."""
    return b"ENCRYPTED" in data and b"-----BEGIN" in data
