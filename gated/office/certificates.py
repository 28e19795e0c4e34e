"""The office's authority: it says who is the broker, who the office, and which gate is which, and nothing else does.

X.509 with EC P-256 (RFC 5280); a certificate is good for one use, as server or as client, so that no gate can pass
itself off as the broker.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gated.errors import OfficeError, PairingError
from gated.runtime.files import write_whole
from gated.sync.code import fingerprint_of

CA, CA_KEY = "ca.pem", "ca.key"
AUTHORITY_LIFETIME = timedelta(days=20 * 365)
SERVER_LIFETIME = timedelta(days=10 * 365)
GATE_LIFETIME = timedelta(days=2 * 365)
SKEW = timedelta(hours=1)
"""So much may a gate's clock be behind the office's."""

PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate (PEM) and its serial number, in hex."""

    pem: bytes
    serial: str


class Authority:
    """One of an office, made once; whoever has its key can be any gate."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key, self._certificate = key, certificate
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.fingerprint = fingerprint_of(certificate.public_bytes(serialization.Encoding.DER))
        """What a pairing code carries of it."""

    @classmethod
    def make(cls, site: str, wall: datetime) -> Self:
        """A new one, good for 20 years."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(f"gated {site}"), _name(f"gated {site}"), key.public_key(), wall, AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The one that lies in the folder. Raises `OfficeError`."""
        try:
            key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
            certificate = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        except (OSError, ValueError, TypeError) as error:
            advice = "`gated office init` makes an office, a backup brings one back"
            raise OfficeError(f"{folder}: the office's authority cannot be read ({error}); {advice}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise OfficeError(f"{folder}: {CA} and {CA_KEY} do not belong together; bring both back from one backup")
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Write it into a folder. Raises `OSError`."""
        write_whole(folder / CA_KEY, private_pem(self._key))
        write_whole(folder / CA, self.pem)

    def write_server(self, folder: Path, *hosts: str, wall: datetime) -> None:
        """`server.pem` and `server.key` of the broker and the pairing, under each of those names. Raises `OSError`."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        self._write(folder, "server", "server", wall, names)

    def write_client(self, folder: Path, name: str, common: str, wall: datetime) -> None:
        """`NAME.pem` and `NAME.key` of a client that the broker knows as `common`. Raises `OSError`."""
        self._write(folder, name, "client", wall, common=common)

    def admit(self, csr: x509.CertificateSigningRequest, gate: str, wall: datetime) -> Issued:
        """A certificate for a gate that asked for one, for two years; of what it asked for only its key is taken."""
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        certificate = self._issue(public, gate, "client", wall, GATE_LIFETIME)
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), f"{certificate.serial_number:x}")

    def _write(
        self, folder: Path, name: str, purpose: str, wall: datetime, *more: x509.ExtensionType, common: str = ""
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), common or name, purpose, wall, SERVER_LIFETIME, *more)
        write_whole(folder / f"{name}.key", private_pem(key))
        write_whole(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        public: ec.EllipticCurvePublicKey,
        common: str,
        purpose: str,
        wall: datetime,
        lifetime: timedelta,
        *more: x509.ExtensionType,
    ) -> x509.Certificate:
        builder = _builder(_name(common), self._certificate.subject, public, wall, lifetime)
        ours = self._key.public_key()
        for extension in (x509.AuthorityKeyIdentifier.from_issuer_public_key(ours), *more):
            builder = builder.add_extension(extension, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(is_authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=True)
        return builder.sign(self._key, hashes.SHA256())


def read_csr(pem: str, gate: str) -> x509.CertificateSigningRequest:
    """A gate's request, of the right kind, in its own name, made by whoever has the key. Raises `PairingError`."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        public = csr.public_key()
        is_good = csr.is_signature_valid and csr.subject == _name(gate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairingError("the gate's request for a certificate is none") from error
    if not is_good or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise PairingError("the gate's request for a certificate is not its own, or not with a key of EC P-256")
    return csr


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as it lies in its file (PKCS 8, PEM, not encrypted)."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    """A name or an address, as a certificate has it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, wall: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(wall - SKEW)
        .not_valid_after(wall + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, whoever it certifies proves with signatures who they are."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
