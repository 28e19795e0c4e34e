"""Times and days in the site's time zone: how a time is shown, and when a day begins and ends. Pure.

People read times in the site's zone, whatever the machine's zone is. Programs (`--json`, messages, databases) read ISO
8601 with its offset.
"""

import re
import struct
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEFAULT = "Asia/Shanghai"
"""The time zone of a site that names none."""
FIRST, LAST = date(1, 1, 3), date(9999, 12, 29)
"""The range of days in which every zone can be calculated."""


def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone with this IANA name, or None if there is none.

    If the machine's file is damaged, use the package tzdata, and for `DEFAULT` a built-in zone. So a damaged file
    cannot stop a gate.
    """
    for read in (ZoneInfo, _packaged):
        try:
            return read(name)
        except (ImportError, ZoneInfoNotFoundError, ValueError, EOFError, OSError):
            continue
    return _default() if name == DEFAULT else None


def zone(name: str) -> ZoneInfo:
    """Return the time zone of checked settings. If its file is lost since then, return `DEFAULT`."""
    return zone_of(name) or _default()


def _packaged(name: str) -> ZoneInfo:
    """Return a zone from the package tzdata, without the machine's own files."""
    if not re.fullmatch(r"[\w+-]+(/[\w+-]+)*", name):
        raise ValueError(f"{name!r} is not the name of a time zone")
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def _default() -> ZoneInfo:
    """Return `DEFAULT` without any file: eight hours ahead, as in all of China since 1992.

    The data format is RFC 8536.
    """
    counts = struct.pack(">6I", 0, 0, 0, 0, 1, 4)
    block = b"TZif2" + bytes(15) + counts + struct.pack(">ibB", 8 * 3600, 0, 0) + b"CST\0"
    return ZoneInfo.from_file(BytesIO(block * 2 + b"\nCST-8\n"), key=DEFAULT)


def format_time(at: datetime | str | None, zone: ZoneInfo, *, is_named: bool = True) -> str:
    """Return a time as people at the site read it: `2026-11-30 07:48:12 Asia/Shanghai`.

    `at`: an aware time, or ISO 8601 text from journals and messages. Other text is returned unchanged, None as an empty
    string. `is_named`: add the zone's name; False if the context already names it. In an hour that the clock shows
    twice, the offset is added.
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
    """Return a time for programs: ISO 8601 with the site's offset."""
    moment = _moment(at) if isinstance(at, str) else at
    if moment is None or moment.utcoffset() is None:
        return None if at is None else str(at)
    return moment.astimezone(zone).isoformat(timespec="seconds")


def window(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of the day `since`, and the moment after the day `until`, in the site's zone.

    Access rules, cards, guests and passes all use this meaning of "from DAY, until DAY": both days are whole.
    """
    begin = None if since is None else day_begins(since, zone)
    return begin, None if until is None else day_begins(min(until, LAST) + timedelta(days=1), zone)


def is_past(begin: datetime | None, end: datetime | None, now: datetime) -> bool:
    """Return whether no moment of the window is still to come."""
    return end is not None and not max(begin or now, now) < end


def day_begins(day: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a day. If the clock skips midnight (Havana, Beirut), it is later than 00:00. If the
    clock shows 00:00 twice, it is the first one.
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
    """Return a typed time of day as HH:MM. The hour may have one digit, and characters may be fullwidth.

    Text that is no time is returned unchanged.
    """
    bare = unicodedata.normalize("NFKC", text).strip()
    return bare.zfill(len("HH:MM")) if re.fullmatch("[0-9]{1,2}:[0-9]{2}", bare) else text


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
