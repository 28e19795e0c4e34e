"""Checks a gate's keys and certificates: owner, permissions, and end of validity."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from gated.config import Settings
from gated.doctor.finding import Figure, Finding, amber, green, red
from gated.errors import ConfigError, StateError
from gated.protocol.broker import tls_context
from gated.protocol.certificate import common_name, end_of
from gated.protocol.certificate_lifetime import WARNINGS_DAYS, end_text, stage
from gated.protocol.jose import Party
from gated.protocol.sealed_files import Lock, is_sealed
from gated.storage.vault import site_key

PAIR = "pair the gate again: `gated office invite` at the office, then `gated pair` here"
"""Next step for keys that do not work."""


def keys(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield findings on all keys and certificates. `now`: in the site's time zone."""
    yield _site_key(settings)
    if not settings.sync.url:
        return
    yield _private(settings)
    own = _certificate(Path(settings.sync.cert))
    if own is None:
        yield red("gate certificate", f"{settings.sync.cert}: not a readable certificate", PAIR)
        return
    name = common_name(own)
    if name != settings.gate.id:
        result = f"the certificate is for {name!r}, and this gate is {settings.gate.id!r}"
        yield red("gate certificate", result, f"correct [gate] id, or {PAIR}")
    else:
        yield of_end("gate certificate", own.not_valid_after_utc, now, PAIR)
    authority = _certificate(Path(settings.sync.ca))
    if authority is not None:  # an unreadable file is reported with the private keys
        yield of_end(
            "office authority", authority.not_valid_after_utc, now, f"ask the office for a new certificate, then {PAIR}"
        )


def ends_soon(settings: Settings, now: datetime) -> list[str]:
    """Return, in words, the link's certificates that end within 60 days or have ended. Skips what cannot be read."""
    files = {"this gate's": settings.sync.cert, "the office authority's": settings.sync.ca} if settings.sync.url else {}
    ends = {owner: end_of(Path(file)) for owner, file in files.items()}
    return [
        f"{owner} {end_text(end, now)}, and was not renewed automatically; check that the office runs, or {PAIR}"
        for owner, end in ends.items()
        if end is not None and stage(end, now) is not None
    ]


def of_end(part: str, ends: datetime, now: datetime, next_step: str) -> Finding:
    """Return whether a certificate is still valid.

    `ends` and `now` are aware; the date is shown in the zone of `now`.
    """
    remaining, day = ends - now, f"{ends.astimezone(now.tzinfo):%Y-%m-%d}"
    days = remaining // timedelta(days=1)
    figures: dict[str, Figure] = {"ends": day, "days_left": days}
    if remaining <= timedelta():
        return red(part, f"expired on {day}", next_step, **figures)
    result, near = f"expires on {day}, in {days} days", stage(ends, now)
    if near is None:
        return green(part, result, **figures)
    result = f"{result}, and was not renewed automatically"
    return (red if near == WARNINGS_DAYS[0] else amber)(part, result, next_step, **figures)


def _site_key(settings: Settings) -> Finding:
    try:
        site_key(settings.state, may_create=False)
    except StateError as error:
        if (settings.state / "people.db").exists():
            return red("site key", str(error), "without it no template can be opened: repair this, or restore the key")
        return amber("site key", "none exists yet", "the first start creates it")
    return green("site key", "only the gate's user can read it")


def _private(settings: Settings) -> Finding:
    """Return whether the keys from pairing load and match, and whether only the gate's user can read them."""
    sync, lock = settings.sync, Lock.of(settings.state)
    try:
        loose = [file for file in (sync.key, sync.gate_keys) if Path(file).stat().st_mode & 0o077]
        tls_context(sync, lock)
        lock.identity(Path(sync.gate_keys))
        Party.load(Path(sync.office_keys))
    except OSError as error:
        return red(
            "link keys", f"{error.filename}: cannot be read ({error.strerror})", f"run as the gate's user, or {PAIR}"
        )
    except (ConfigError, StateError) as error:
        return red("link keys", str(error), PAIR)
    if loose:
        return red(
            "link keys", f"{' and '.join(loose)}: other users can read it", f"chmod 600 {' '.join(loose)}; then {PAIR}"
        )
    plain = [file for file in (sync.key, sync.gate_keys) if _is_open(Path(file), settings)]
    if plain:
        return amber(
            "link keys", f"{' and '.join(plain)}: not sealed with the site key", "the gate's next start seals it"
        )
    return green("link keys", "valid, match their certificate, and only the gate's user can read them")


def _is_open(file: Path, settings: Settings) -> bool:
    """Return whether a file made by pairing is not sealed. Files of the installer stay as they are."""
    return file.parent == (settings.state / "pairing").resolve() and not is_sealed(file)


def _certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
