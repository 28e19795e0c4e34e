"""Times and days as the site has them: how a time is told, and when a day begins and ends. Pure.

Everything that people read is in the site's own zone, whatever zone the machine has. What programs read (`--json`, the
wire, the databases) is ISO 8601 with its offset.
"""

import re
import struct
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEFAULT = "Asia/Shanghai"
"""The zone of a site that names none."""
FIRST, LAST = date(1, 1, 3), date(9999, 12, 29)
"""Days between which every zone can count."""


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name (IANA); None where there is none.

    Where the machine's file of it is damaged that of the package tzdata counts, and of `DEFAULT` what we know: no byte
    that a card has lost ends a gate.
    """
    for read in (ZoneInfo, _packaged):
        try:
            return read(name)
        except (ImportError, ZoneInfoNotFoundError, ValueError, EOFError, OSError):
            continue
    return _default() if name == DEFAULT else None


def zone(name: str) -> ZoneInfo:
    """The zone of settings that were checked; if its file was lost since then, that of a site that names none."""
    return zone_of(name) or _default()


def _packaged(name: str) -> ZoneInfo:
    """A zone from the package tzdata, past the machine's own files."""
    if not re.fullmatch(r"[\w+-]+(/[\w+-]+)*", name):
        raise ValueError(f"{name!r} is no name of a zone")
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _default() -> ZoneInfo:
    """`DEFAULT` without any file: eight hours ahead, as all of China has been since 1992. The form is RFC 8536's."""
    counts = struct.pack(">6I", 0, 0, 0, 0, 1, 4)
    block = b"TZif2" + bytes(15) + counts + struct.pack(">ibB", 8 * 3600, 0, 0) + b"CST\0"
    return ZoneInfo.from_file(BytesIO(block * 2 + b"\nCST-8\n"), key=DEFAULT)


def tell(at: datetime | str | None, zone: ZoneInfo, *, is_named: bool = True) -> str:
    """A time as people at the site read it: `2026-11-30 07:48:12 Asia/Shanghai`.

    `at`: an aware time, or one in ISO 8601 as journals and messages have it; what is no time is told as it stands, None
    as nothing. `is_named`: with the zone's name, where nothing else says which zone it is. In an hour that the clock
    shows twice the offset is told as well.
    """
    if at is None:
        return ""
    moment = _moment(at) if isinstance(at, str) else at
    if moment is None or moment.utcoffset() is None:
        return str(at)
    local = moment.astimezone(zone)
    text = f"{local:%Y-%m-%d %H:%M:%S}"
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        text += f" UTC{local:%z}"
    return f"{text} {zone.key}" if is_named else text


def iso(at: datetime | str | None, zone: ZoneInfo) -> str | None:
    """A time as programs read it: ISO 8601 with the site's offset."""
    moment = _moment(at) if isinstance(at, str) else at
    if moment is None or moment.utcoffset() is None:
        return None if at is None else str(at)
    return moment.astimezone(zone).isoformat(timespec="seconds")


def window(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """From the first moment of the day `since` to after the last one of the day `until`, by the clock of the site.

    The one meaning of "from DAY, until DAY" for rights, cards, guests and passes: both days are whole.
    """
    begin = None if since is None else day_begins(since, zone)
    return begin, None if until is None else day_begins(min(until, LAST) + timedelta(days=1), zone)


def is_past(begin: datetime | None, end: datetime | None, now: datetime) -> bool:
    """Whether a window has no moment that is still to come."""
    return end is not None and not max(begin or now, now) < end


def day_begins(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day. Where the clock leaves out midnight (Havana, Beirut) that is later than 00:00; where
    it shows 00:00 twice it is the first one.
    """
    midnight = datetime.combine(min(max(day, FIRST), LAST + timedelta(days=1)), time(), zone)
    early, late = (midnight.replace(fold=fold).astimezone(UTC) for fold in (1, 0))
    if early >= late:  # no gap: with fold 0 it is the first of the two, or the only one
        return midnight
    while late - early > timedelta(seconds=1):  # in a gap: the last second before it is still the day before
        middle = early + (late - early) / 2
        early, late = (early, middle) if middle.astimezone(zone).date() >= day else (middle, late)
    return late.replace(microsecond=0).astimezone(zone)


def clock_of(text: str) -> str:
    """A time of day as people type it, as HH:MM: its hour may have one digit, and its signs any width.

    What is no time stays as it is.
    """
    bare = unicodedata.normalize("NFKC", text).strip()
    return bare.zfill(len("HH:MM")) if re.fullmatch("[0-9]{1,2}:[0-9]{2}", bare) else text


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
