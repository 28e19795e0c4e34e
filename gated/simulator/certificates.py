"""Certificates for a network that lives as long as a demo: one authority, a broker, and who speaks to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=1)


def write_certificates(folder: Path, host: str, *clients: str) -> None:
    """`ca.pem`, `server.pem` for the host, and NAME.pem for each client, each with its NAME.key, into the folder."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("gated demo")
    authority = _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(True, 0), critical=True)
    _write(folder / "ca.pem", authority.sign(key, hashes.SHA256()))
    for client in ("server", *clients):
        own = ec.generate_private_key(ec.SECP256R1())
        issued = _builder(_name(client), name, own.public_key())
        if client == "server":
            issued = issued.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        issued = issued.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        _write(folder / f"{client}.pem", issued.sign(key, hashes.SHA256()))
        secret = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{client}.key").touch(0o600)
        (folder / f"{client}.key").write_bytes(secret)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
