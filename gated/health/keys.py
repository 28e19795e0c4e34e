"""The keys and certificates of a gate: whose they are, who may read them, and how long they last."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from gated.config import Settings
from gated.errors import ConfigError, StateError
from gated.gallery.vault import site_key
from gated.health.finding import Figure, Finding, amber, green, red
from gated.sync.certificate import common_name
from gated.sync.dial import tls_context
from gated.sync.jose import Identity, Party

SOON, NOW = timedelta(days=60), timedelta(days=14)
"""A certificate that ends within the first is amber, within the second red: time for a letter, time for a telephone."""
PAIR = "pair the gate anew: `gated office invite` there, `gated pair` here"


def keys(settings: Settings, now: datetime) -> Iterator[Finding]:
    """All that there are. `now`: UTC."""
    yield _site_key(settings)
    if not settings.sync.url:
        return
    yield _private(settings)
    own = _certificate(Path(settings.sync.cert))
    if own is None:
        yield red("gate certificate", f"{settings.sync.cert}: is none that can be read", PAIR)
        return
    name = common_name(own)
    if name != settings.gate.id:
        says = f"it is {name!r}'s, and this gate is {settings.gate.id!r}"
        yield red("gate certificate", says, f"mend [gate] id, or {PAIR}")
    else:
        yield of_end("gate certificate", own.not_valid_after_utc, now, PAIR)
    authority = _certificate(Path(settings.sync.ca))
    if authority is not None:  # what cannot be read is told with the private keys
        yield of_end(
            "office authority", authority.not_valid_after_utc, now, f"ask the office for a new one, then {PAIR}"
        )


def of_end(part: str, ends: datetime, now: datetime, next_step: str) -> Finding:
    """Whether a certificate lasts. `ends` and `now` are aware."""
    left, day = ends - now, f"{ends:%Y-%m-%d}"
    days = left // timedelta(days=1)
    figures: dict[str, Figure] = {"ends": day, "days_left": days}
    if left <= timedelta():
        return red(part, f"ended on {day}: nobody believes it any more", next_step, **figures)
    says = f"ends on {day}, in {days} days"
    if left <= NOW:
        return red(part, says, next_step, **figures)
    return amber(part, says, next_step, **figures) if left <= SOON else green(part, says, **figures)


def _site_key(settings: Settings) -> Finding:
    try:
        site_key(settings.state, may_create=False)
    except StateError as error:
        if (settings.state / "people.db").exists():
            return red("site key", str(error), "without it no template opens: mend that, or bring the key back")
        return amber("site key", "there is none yet", "the first `gated check` makes it")
    return green("site key", "can be read, by the gate's user alone")


def _private(settings: Settings) -> Finding:
    """The keys that pairing made: that they load and fit, and that nobody else may read them."""
    sync = settings.sync
    try:
        loose = [file for file in (sync.key, sync.gate_keys) if Path(file).stat().st_mode & 0o077]
        tls_context(sync)
        Identity.load(Path(sync.gate_keys))
        Party.load(Path(sync.office_keys))
    except OSError as error:
        return red(
            "link keys", f"{error.filename}: cannot be read ({error.strerror})", f"run as the gate's user, or {PAIR}"
        )
    except (ConfigError, StateError) as error:
        return red("link keys", str(error), PAIR)
    if loose:
        return red(
            "link keys", f"{' and '.join(loose)}: others may read it", f"chmod 600 {' '.join(loose)}; then {PAIR}"
        )
    return green("link keys", "load, fit their certificate, and are the gate's user's alone")


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
