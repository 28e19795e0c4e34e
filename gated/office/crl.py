"""Writes the office's certificate revocation list (CRL, RFC 5280) for the broker. It keeps retired gates out.

A broker refuses every gate while the list is expired or not yet valid. So the list never expires and ignores the clock.
The first list starts with the authority. Each entry moves the start one second later, because OpenSSL uses the latest
list.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gated.atomic_files import atomic_write
from gated.office.authority import Authority
from gated.office.gate_store import GateStore
from gated.office.mosquitto import CRL

NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""End date for certificates without a defined end (RFC 5280, section 4.1.2.5). It works for lists as well."""


def write_crl(folder: Path, gates: GateStore) -> bool:
    """Update the list; return whether it changed. Raises `OfficeError`, `OSError`."""
    revoked = gates.revoked()
    authority = Authority.load(folder)
    if _is_same(folder / CRL, revoked, authority):
        return False
    atomic_write(folder / CRL, crl(authority, revoked))
    return True


def crl(authority: Authority, revoked: list[str]) -> bytes:
    """Return the list in PEM. `revoked`: serial numbers in hex, oldest first."""
    begins = authority.begins
    at = begins + timedelta(seconds=len(revoked))
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.name).last_update(at).next_update(NO_END)
    builder = builder.add_extension(authority.key_identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(len(revoked)), critical=False)
    for serial in revoked:
        certificate = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(begins).build()
        builder = builder.add_revoked_certificate(certificate)
    return authority.sign_list(builder).public_bytes(serialization.Encoding.PEM)


def _is_same(path: Path, revoked: list[str], authority: Authority) -> bool:
    try:
        stored = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError):
        return False
    return {f"{each.serial_number:x}" for each in stored} == set(revoked) and authority.has_signed(stored)
