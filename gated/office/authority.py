"""The office's certificate authority. It alone certifies the broker, the office's processes and the gates.

Each certificate is valid for one use, as a TLS server or a TLS client, so no gate can pose as the broker.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from gated.atomic_files import atomic_write
from gated.errors import OfficeError
from gated.office import key_lock
from gated.office.certificates import alternative_name, certificate_builder, key_usage, private_pem, subject_name
from gated.protocol.certificate import common_name
from gated.protocol.certificate_lifetime import gate_end
from gated.protocol.pairing_code import fingerprint_of

CA, CA_KEY = "ca.pem", "ca.key"
AUTHORITY_LIFETIME = timedelta(days=20 * 365)
"""Validity of the authority's certificate. It is renewed with the same key."""
SERVER_LIFETIME = timedelta(days=10 * 365)
"""Validity of the certificates of the broker and of the office's processes."""
SKEW = timedelta(hours=1)
"""Tolerance for a gate's clock that is behind the office's; also the life of a temporary client certificate."""
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate (PEM) and its serial number in hex."""

    pem: bytes
    serial: str


class Authority:
    """The certificate authority of one office, created once. Anyone with its key can pose as any gate."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key, self._certificate = key, certificate
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.fingerprint = fingerprint_of(certificate.public_bytes(serialization.Encoding.DER))
        """The fingerprint of the authority's certificate, as a pairing code carries it."""

    @classmethod
    def make(cls, site: str, wall: datetime) -> Self:
        """Create a new authority, valid for 20 years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = subject_name(f"gated {site}")
        builder = certificate_builder(name, name, key.public_key(), wall - SKEW, wall + AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(key_usage(is_authority=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the authority from the office's folder. Raises `OfficeError`."""
        try:
            key = serialization.load_pem_private_key(key_lock.read(folder, CA_KEY), None)
            certificate = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        except (OSError, ValueError, TypeError) as error:
            advice = "restore the folder from a backup, or create a new office by `gated office init`"
            raise OfficeError(
                f"{folder}: the certificate authority of the office cannot be read ({error}); {advice}"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise OfficeError(f"{folder}: {CA} and {CA_KEY} do not belong together; restore both from the same backup")
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Write the authority into a folder; its key is sealed if that office has a passphrase. Raises `OSError`."""
        atomic_write(folder / CA_KEY, key_lock.sealed(folder, CA_KEY, private_pem(self._key)))
        atomic_write(folder / CA, self.pem)

    def write_server(self, folder: Path, *hosts: str, wall: datetime) -> None:
        """Write `server.pem` and `server.key` for the broker and for pairing, valid for all `hosts`.

        Raises `OSError`.
        """
        names = x509.SubjectAlternativeName([alternative_name(host) for host in hosts])
        self._write(folder, "server", "server", wall, names)

    def write_client(self, folder: Path, name: str, common: str, wall: datetime) -> None:
        """Write `NAME.pem` and `NAME.key` for a client with the common name `common`. Raises `OSError`."""
        self._write(folder, name, "client", wall, common=common)

    def admit(
        self,
        csr: x509.CertificateSigningRequest,
        gate: str,
        wall: datetime,
        used_days: Collection[date] = (),
        begins: datetime | None = None,
    ) -> Issued:
        """Issue a certificate for a gate's request, valid for two years at most. Uses only the key from the request.

        `taken`: end dates of other gates' certificates. `begins`: start of the gate's previous certificate, used if
        earlier.
        """
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        certificate = self._issue(public, gate, "client", wall, gate_end(gate, wall, used_days) - wall, begins=begins)
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), f"{certificate.serial_number:x}")

    def renew(self, folder: Path, name: str, wall: datetime) -> None:
        """Replace `NAME.pem`, with the same name, purpose and key, so only one file changes. Raises `OfficeError`.

        The start date stays the same. So a clock that was temporarily ahead locks no client out.
        """
        try:
            old = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
            purpose = old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            names = [each.value for each in old.extensions if isinstance(each.value, x509.SubjectAlternativeName)]
            public = old.public_key()
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise OfficeError(f"{folder}/{name}.pem: cannot be renewed ({error}); restore it from a backup") from error
        assert isinstance(public, ec.EllipticCurvePublicKey)
        purpose_name = next(purpose_name for purpose_name, oid in PURPOSES.items() if oid in purpose)
        begins = old.not_valid_before_utc
        new = self._issue(public, common_name(old), purpose_name, wall, SERVER_LIFETIME, *names, begins=begins)
        atomic_write(folder / f"{name}.pem", new.public_bytes(serialization.Encoding.PEM))

    def renewed(self, wall: datetime) -> Self:
        """Return this authority with the same key and name for another 20 years. Certificates it signed stay valid."""
        name, key, begins = self._certificate.subject, self._key, self._certificate.not_valid_before_utc
        builder = certificate_builder(name, name, key.public_key(), begins, wall + AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(key_usage(is_authority=True), critical=True)
        return type(self)(key, builder.sign(key, hashes.SHA256()))

    @property
    def ends(self) -> datetime:
        """Return the end of the authority's own certificate."""
        return self._certificate.not_valid_after_utc

    @property
    def begins(self) -> datetime:
        """Return the start of the authority's own certificate. Renewal keeps it."""
        return self._certificate.not_valid_before_utc

    @property
    def name(self) -> x509.Name:
        """Return the issuer name of its signatures."""
        return self._certificate.subject

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """Return the identifier that distinguishes its key from another authority's with the same name."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def is_issuer_of(self, pem: str) -> bool:
        """Return whether this authority signed the certificate. False for a former authority's certificate."""
        try:
            x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def sign_list(self, builder: x509.CertificateRevocationListBuilder) -> x509.CertificateRevocationList:
        """Sign a certificate revocation list."""
        return builder.sign(self._key, hashes.SHA256())

    def has_signed(self, revoked: x509.CertificateRevocationList) -> bool:
        """Return whether this authority signed the revocation list."""
        return revoked.issuer == self.name and revoked.is_signature_valid(self._key.public_key())

    def write_passing(self, folder: Path, name: str, common: str, wall: datetime, serial: int | None = None) -> None:
        """Write `NAME.pem` and `NAME.key` for a client, valid for one hour. Raises `OSError`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), common, "client", wall, SKEW, serial=serial)
        atomic_write(folder / f"{name}.key", private_pem(key))
        atomic_write(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def _write(
        self, folder: Path, name: str, purpose: str, wall: datetime, *more: x509.ExtensionType, common: str = ""
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key.public_key(), common or name, purpose, wall, SERVER_LIFETIME, *more)
        atomic_write(folder / f"{name}.key", private_pem(key))
        atomic_write(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

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
        begins, ends = min(wall - SKEW, begins or wall), min(wall + lifetime, self.ends)  # never outlives its issuer
        builder = certificate_builder(subject_name(common), self._certificate.subject, public, begins, ends, serial)
        for extension in (self.key_identifier, *more):
            builder = builder.add_extension(extension, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(is_authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=True)
        return builder.sign(self._key, hashes.SHA256())


def is_issued(folder: Path, name: str) -> bool:
    """Return whether `NAME.pem` exists and the office's authority signed it. Needs no private key."""
    try:
        certificate, authority = (
            x509.load_pem_x509_certificate((folder / file).read_bytes()) for file in (f"{name}.pem", CA)
        )
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    return True
