"""Reads and builds X.509 certificates and requests with EC P-256 keys (RFC 5280). Pure."""

import ipaddress
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from gated.errors import PairingError


def is_for_same_key(pem: str, csr: x509.CertificateSigningRequest) -> bool:
    """Return whether a request and a certificate have the same public key."""
    return x509.load_pem_x509_certificate(pem.encode()).public_key() == csr.public_key()


def key_name(pem: str) -> str:
    """Return a name for the public key of a certificate: SHA-256, in hex."""
    return _key_name(x509.load_pem_x509_certificate(pem.encode()).public_key())


def key_of_csr(csr: x509.CertificateSigningRequest) -> str:
    """Return a name for the public key of a request: SHA-256, in hex."""
    return _key_name(csr.public_key())


def begin_of_pem(pem: str) -> datetime:
    """Return the start of a certificate's validity."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc


def end_of_pem(pem: str) -> datetime:
    """Return the end of a certificate's validity."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def read_csr(pem: str, gate: str) -> x509.CertificateSigningRequest:
    """Parse a gate's certificate request.

    Checks key type, subject and proof of the private key. Raises `PairingError`.
    """
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        public = csr.public_key()
        is_good = csr.is_signature_valid and csr.subject == subject_name(gate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise PairingError("the gate sent no valid certificate request") from error
    if not is_good or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise PairingError("the gate's certificate request is for another name, or has no EC P-256 key")
    return csr


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in the format of its file: PKCS 8, PEM, not encrypted."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _key_name(public: CertificatePublicKeyTypes) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def subject_name(common: str) -> x509.Name:
    """Return a subject that has only this common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def alternative_name(host: str) -> x509.GeneralName:
    """Return a host name or IP address as a certificate's subject alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def certificate_builder(  # noqa: PLR0917 - the common fields of every certificate
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    """Return a builder with the fields that every certificate has. `serial`: a random number if None."""
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


def key_usage(*, is_authority: bool) -> x509.KeyUsage:
    """Return the key usage. An authority signs certificates; a client or server proves its identity by signatures."""
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
