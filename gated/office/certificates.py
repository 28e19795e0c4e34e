"""The office's authority: it says who is the broker, who the office, and which gate is which, and nothing else does.

X.509 with EC P-256 (RFC 5280); a certificate is good for one use, as server or as client, so that no gate can pass
itself off as the broker.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gated.errors import OfficeError, PairingError
from gated.office import locking
from gated.runtime.files import write_whole
from gated.sync.certificate import common_name
from gated.sync.code import fingerprint_of
from gated.sync.lifetime import gate_end

CA, CA_KEY = "ca.pem", "ca.key"
AUTHORITY_LIFETIME = timedelta(days=20 * 365)
SERVER_LIFETIME = timedelta(days=10 * 365)
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
        name = _name(f"gated {site}")
        builder = _builder(name, name, key.public_key(), wall - SKEW, wall + AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The one that lies in the folder. Raises `OfficeError`."""
        try:
            key = serialization.load_pem_private_key(locking.read(folder, CA_KEY), None)
            certificate = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        except (OSError, ValueError, TypeError) as error:
            advice = "`gated office init` makes an office, a backup brings one back"
            raise OfficeError(f"{folder}: the office's authority cannot be read ({error}); {advice}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise OfficeError(f"{folder}: {CA} and {CA_KEY} do not belong together; bring both back from one backup")
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Write it into a folder, its key sealed as that office's are. Raises `OSError`."""
        write_whole(folder / CA_KEY, locking.sealed(folder, CA_KEY, private_pem(self._key)))
        write_whole(folder / CA, self.pem)

    def write_server(self, folder: Path, *hosts: str, wall: datetime) -> None:
        """`server.pem` and `server.key` of the broker and the pairing, under each of those names. Raises `OSError`."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        self._write(folder, "server", "server", wall, names)

    def write_client(self, folder: Path, name: str, common: str, wall: datetime) -> None:
        """`NAME.pem` and `NAME.key` of a client that the broker knows as `common`. Raises `OSError`."""
        self._write(folder, name, "client", wall, common=common)

    def admit(
        self,
        csr: x509.CertificateSigningRequest,
        gate: str,
        wall: datetime,
        taken: Collection[date] = (),
        begins: datetime | None = None,
    ) -> Issued:
        """A certificate for a gate that asked for one, for two years at most; of what it asked for only its key counts.

        `taken`: the days on which those of other gates end. `begins`: when the one before began, if that is earlier.
        """
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        certificate = self._issue(public, gate, "client", wall, gate_end(gate, wall, taken) - wall, begins=begins)
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), f"{certificate.serial_number:x}")

    def renew(self, folder: Path, name: str, wall: datetime) -> None:
        """`NAME.pem` again, for the same name, purpose and key, so that one file is replaced. Raises `OfficeError`.

        It is good from the same day as before: an office whose clock was ahead for a while keeps nobody out.
        """
        try:
            old = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
            purpose = old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            kept = [each.value for each in old.extensions if isinstance(each.value, x509.SubjectAlternativeName)]
            public = old.public_key()
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise OfficeError(
                f"{folder}/{name}.pem: cannot be renewed ({error}); bring it back from a backup"
            ) from error
        assert isinstance(public, ec.EllipticCurvePublicKey)
        word = next(word for word, oid in PURPOSES.items() if oid in purpose)
        begins = old.not_valid_before_utc
        new = self._issue(public, common_name(old), word, wall, SERVER_LIFETIME, *kept, begins=begins)
        write_whole(folder / f"{name}.pem", new.public_bytes(serialization.Encoding.PEM))

    def renewed(self, wall: datetime) -> Self:
        """The same authority, with the same key and name, for another 20 years: what it has signed stays good."""
        name, key, begins = self._certificate.subject, self._key, self._certificate.not_valid_before_utc
        builder = _builder(name, name, key.public_key(), begins, wall + AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
        return type(self)(key, builder.sign(key, hashes.SHA256()))

    @property
    def ends(self) -> datetime:
        """When its own certificate ends."""
        return self._certificate.not_valid_after_utc

    @property
    def begins(self) -> datetime:
        """Since when its own certificate is good; a renewed one is since the same day."""
        return self._certificate.not_valid_before_utc

    @property
    def name(self) -> x509.Name:
        """By which it signs."""
        return self._certificate.subject

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """What tells its key from another authority's of the same name."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def is_issuer_of(self, pem: str) -> bool:
        """Whether a certificate is this authority's; one of a former authority is not."""
        try:
            x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> x509.CertificateRevocationList:
        """A list of certificates that it takes back."""
        return builder.sign(self._key, hashes.SHA256())

    def has_signed(self, revoked: x509.CertificateRevocationList) -> bool:
        """Whether a list is this authority's."""
        return revoked.issuer == self.name and revoked.is_signature_valid(self._key.public_key())

    def write_passing(self, folder: Path, name: str, common: str, wall: datetime, serial: int | None = None) -> None:
        """`NAME.pem` and `NAME.key` of a client, good for an hour. Raises `OSError`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), common, "client", wall, SKEW, serial=serial)
        write_whole(folder / f"{name}.key", private_pem(key))
        write_whole(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

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
        begins: datetime | None = None,
        serial: int | None = None,
    ) -> x509.Certificate:
        begins, ends = min(wall - SKEW, begins or wall), min(wall + lifetime, self.ends)  # not longer than who signs it
        builder = _builder(_name(common), self._certificate.subject, public, begins, ends, serial)
        for extension in (self.key_identifier, *more):
            builder = builder.add_extension(extension, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(is_authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=True)
        return builder.sign(self._key, hashes.SHA256())


def is_issued(folder: Path, name: str) -> bool:
    """Whether `NAME.pem` is there, and is of the office's authority; that one's private key is not needed."""
    try:
        certificate, authority = (
            x509.load_pem_x509_certificate((folder / file).read_bytes()) for file in (f"{name}.pem", CA)
        )
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_for_same_key(pem: str, csr: x509.CertificateSigningRequest) -> bool:
    """Whether a request is for the key that a certificate has."""
    return x509.load_pem_x509_certificate(pem.encode()).public_key() == csr.public_key()


def key_name(pem: str) -> str:
    """A name for the public key in a certificate: SHA-256, in hex."""
    return _key_name(x509.load_pem_x509_certificate(pem.encode()).public_key())


def key_of_csr(csr: x509.CertificateSigningRequest) -> str:
    """The same of a request."""
    return _key_name(csr.public_key())


def begin_of_pem(pem: str) -> datetime:
    """From when on a certificate is good."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc


def end_of_pem(pem: str) -> datetime:
    """When a certificate ends."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def read_csr(pem: str, gate: str) -> x509.CertificateSigningRequest:
    """A gate's request, of the right kind, in its own name, made by whoever has the key. Raises `PairingError`."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        public = csr.public_key()
        is_good = csr.is_signature_valid and csr.subject == _name(gate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise PairingError("the gate's request for a certificate is none") from error
    if not is_good or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise PairingError("the gate's request for a certificate is not its own, or not with a key of EC P-256")
    return csr


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as it lies in its file (PKCS 8, PEM, not encrypted)."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _key_name(public: CertificatePublicKeyTypes) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    """A name or an address, as a certificate has it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def _builder(  # noqa: PLR0917 - what every certificate has
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
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
