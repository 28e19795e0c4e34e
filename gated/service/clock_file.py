"""Stores what a gate knows of its clock across restarts and power cuts: `clock.json` in the state folder.

Written every 15 minutes, and when anything but a time changes. That is at most 1 MB a day.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gated.atomic_files import atomic_write
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

NAME = "clock.json"
"""Name of the file in the state folder."""
WRITE_S = 900.0
"""Interval at which the latest trusted time is written, in seconds."""
AGAIN_S = 60.0
"""Shortest time between two writes of other changes, in seconds. It protects the card from a clock that jumps often."""
OFF = timedelta(minutes=30)
"""The clock must have moved by this time since the last write, as a proof of a power-off.

Holds only without a clean stop. The gate may have run for `WRITE_S` after that write. After a watchdog's restart the
machine is back within a minute.
"""
LONG_AGO = datetime.fromtimestamp(0, UTC)
"""A time before all other times: nothing is known."""


Moment = Annotated[datetime, Meta(tz=True)]
"""An aware datetime. An aware and a naive datetime cannot be compared."""
YEARS = range(1900, 9000)
"""Years that are accepted. Arithmetic on other years from a damaged file could overflow."""


class Anchor(msgspec.Struct, frozen=True):
    """A time of day that was trusted in one boot.

    Datetimes are the time at steady second 0; `_s` are steady seconds.
    """

    first: Moment
    """The time when the trust began or was last confirmed."""
    first_s: float
    """The moment of that, in steady seconds."""
    last: Moment
    """The time of the last trusted reading."""
    kept_s: float
    """Steady seconds of the last reading with a time server; otherwise of the first trusted reading."""
    is_confirmed: bool = False
    """Whether two independent sources agreed."""


class OfficeTime(msgspec.Struct, frozen=True):
    """The office's time at steady second 0.

    The true time is between these two: a broker may have delayed the message.
    """

    earliest: Moment
    latest: Moment
    at_s: float = 0.0
    """When it was received, in steady seconds."""

    def apart(self, began: datetime) -> timedelta:
        """Return how far another clock is from the office's time; at most 0 if both can be the same."""
        return max(self.earliest - began, began - self.latest)


class StoredClock(msgspec.Struct, frozen=True):
    """All that is stored. Values in steady seconds are valid only in the same boot."""

    boot: str = ""
    """Id of the boot that wrote the file."""
    floor: Moment = LONG_AGO
    """The latest trusted time. No earlier time is trusted."""
    confirmed: Moment = LONG_AGO
    """The latest time that two sources agreed on. It is never taken back."""
    anchor: Anchor | None = None
    """The trusted time of that boot; None if there was none."""
    is_doubted: bool = False
    """Whether the clock was trusted in that boot, but in doubt at the last write of the file."""
    office: OfficeTime | None = msgspec.field(default=None, name="said")
    """The office's time in that boot. The file calls it `said`."""
    is_chip_proved: bool = False
    """Whether a second source has confirmed the clock chip's time after a power-off."""
    is_clean: bool = False
    """Whether the gate stopped cleanly. The machine may then never have lost power."""

    def was_off(self, boot: str, chip: datetime) -> bool:
        """Return whether the machine lost power between this write and the boot with the chip time `chip`."""
        return self.boot != boot and not self.is_clean and self.floor > LONG_AGO and chip - self.floor >= OFF


def load(state: Path) -> StoredClock | None:
    """Return what is stored; None without a readable file."""
    try:
        kept = msgspec.json.decode((state / NAME).read_bytes(), type=StoredClock)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE) as error:
        log.warning("%s cannot be read (%s); the gate starts a new one", state / NAME, error)
        return None
    if all(moment.year in YEARS for moment in _moments(kept)):
        return kept
    log.warning("%s has an impossible year; the gate starts a new one", state / NAME)
    return None


def _moments(kept: StoredClock) -> Iterator[datetime]:
    yield from (kept.floor, kept.confirmed)
    if kept.anchor is not None:
        yield from (kept.anchor.first, kept.anchor.last)
    if kept.office is not None:
        yield from (kept.office.earliest, kept.office.latest)


class ClockFile:
    """The stored file, written only when needed. Any thread may use it, one at a time."""

    def __init__(self, state: Path, written: StoredClock | None) -> None:
        """Set up the file. `written`: what it already holds."""
        self._state, self._written = state, written or StoredClock()
        self._at: float | None = None
        self._fails = False

    def is_due(self, kept: StoredClock, steady_s: float) -> bool:
        """Return whether `write` would write now. Does no I/O."""
        waited_s = float("inf") if self._at is None else steady_s - self._at
        return waited_s >= (AGAIN_S if _is_other(kept, self._written) else WRITE_S)

    def write(self, kept: StoredClock, steady_s: float, *, is_end: bool = False) -> bool:
        """Write the file if it is due. Return whether it was written. Logs a failing disk once and tries again.

        `is_end`: write in any case, at a clean stop.
        """
        if not (is_end or self.is_due(kept, steady_s)):
            return False
        self._at = steady_s
        try:
            atomic_write(self._state / NAME, msgspec.json.encode(kept))
        except OSError as error:
            if not self._fails:
                log.warning("the time of day cannot be stored (%s); the gate tries again", error)
            self._fails = True
            return False
        self._written, self._fails = kept, False
        return True


def _is_other(kept: StoredClock, written: StoredClock) -> bool:
    """Return whether anything but the latest time has changed."""

    def compared(each: StoredClock) -> tuple[object, ...]:
        """Return the fields whose change makes a write necessary."""
        anchor = each.anchor
        about = None if anchor is None else anchor.is_confirmed
        return each.boot, each.is_doubted, each.is_chip_proved, each.is_clean, about

    return compared(kept) != compared(written)
