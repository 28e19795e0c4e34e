"""Which certificates the office takes back: a list (CRL, RFC 5280) for the broker, so that a retired gate is out.

A list that is too old, or not good yet, would keep out every gate. So it never expires, and its time is not the
clock's: it begins when the authority does, and each list is a second later than the one before (OpenSSL takes the
latest).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gated.office.broker import CRL
from gated.office.certificates import Authority
from gated.office.gates import Gates
from gated.runtime.files import write_whole

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A certificate without a well-defined end has this one (RFC 5280, section 4.1.2.5); for lists it works as well."""


def write_crl(folder: Path, gates: Gates) -> bool:
    """Bring the list up to date; whether it was another one. Raises `OfficeError`, `OSError`."""
    revoked = gates.revoked()
    authority = Authority.load(folder)
    if _is_same(folder / CRL, revoked, authority):
        return False
    write_whole(folder / CRL, crl(authority, revoked))
    return True


def crl(authority: Authority, revoked: list[str]) -> bytes:
    """The list in PEM. `revoked`: serial numbers in hex, the oldest first."""
    begins = authority.begins
    at = begins + timedelta(seconds=len(revoked))
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.name).last_update(at).next_update(NEVER)
    builder = builder.add_extension(authority.key_identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(len(revoked)), critical=False)
    for serial in revoked:
        one = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(begins).build()
        builder = builder.add_revoked_certificate(one)
    return authority.sign_list(builder).public_bytes(serialization.Encoding.PEM)


def _is_same(path: Path, revoked: list[str], authority: Authority) -> bool:
    try:
        there = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError):
        return False
    return {f"{each.serial_number:x}" for each in there} == set(revoked) and authority.has_signed(there)
