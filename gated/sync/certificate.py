"""Whose a certificate is: a broker lets a gate say what is of the name in it, and nothing else, without a word."""

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from gated.config import SyncSettings
from gated.errors import ConfigError


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
