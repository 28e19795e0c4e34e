"""What a gate knows of its clock across restarts and power cuts: `clock.json` in the state folder.

Written every quarter of an hour, and when something else becomes true than a time: 1 MB a day at most.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gated.runtime.files import write_whole
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

NAME = "clock.json"
WRITE_S = 900.0
"""How often the risen floor is written."""
AGAIN_S = 60.0
"""What is not a time is written at once, and again no oftener than this: a clock that is pushed about wears no card."""
OFF = timedelta(minutes=30)
"""A machine was switched off if it ended without a word and its clock has moved by so much since the last writing.

It may have lived for `WRITE_S` after that. A machine that a watchdog starts again is back within a minute.
"""
LONG_AGO = datetime.fromtimestamp(0, UTC)


Moment = Annotated[datetime, Meta(tz=True)]
"""Aware: two of which one is not cannot be compared."""
YEARS = range(1900, 9000)
"""What a damaged file says of other years could not even be counted with."""


class Anchor(msgspec.Struct, frozen=True):
    """A time of day that was trusted in a boot. Datetimes say what it was at steady 0; `_s` are steady seconds."""

    first: Moment
    """As it was when the trust began, or was confirmed last."""
    first_s: float
    last: Moment
    """As it was at the last look that was trusted."""
    kept_s: float
    """The last look at which something kept it."""
    is_confirmed: bool = False
    """Whether two sources that know nothing of each other have said the same."""


class Said(msgspec.Struct, frozen=True):
    """The time of day at steady 0, by the office: between these two, for a broker may have held its word back."""

    earliest: Moment
    latest: Moment
    at_s: float = 0.0
    """When it was heard, in steady seconds."""

    def apart(self, began: datetime) -> timedelta:
        """How far another clock's is from it; at most 0 where they may be the same."""
        return max(self.earliest - began, began - self.latest)


class Kept(msgspec.Struct, frozen=True):
    """All that is kept. What hangs on steady seconds counts in the same boot alone."""

    boot: str = ""
    floor: Moment = LONG_AGO
    """The latest time that was trusted: none before it is believed."""
    confirmed: Moment = LONG_AGO
    """The latest that two sources agreed on: nothing takes it back."""
    anchor: Anchor | None = None
    is_doubted: bool = False
    """Whether it had been trusted in that boot, and was in doubt when this was written."""
    said: Said | None = None
    """What the office said in that boot."""
    is_chip_proved: bool = False
    """Whether the clock chip kept the time through a power-off, as a second source said."""
    is_clean: bool = False
    """Whether the gate ended with a word, and so was perhaps never without power."""

    def was_off(self, boot: str, chip: datetime) -> bool:
        """Whether the machine was without power between this writing and the boot at which the chip said `chip`."""
        return self.boot != boot and not self.is_clean and self.floor > LONG_AGO and chip - self.floor >= OFF


def load(state: Path) -> Kept | None:
    """What was written; None where nothing was, or where it cannot be read."""
    try:
        kept = msgspec.json.decode((state / NAME).read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE) as error:
        log.warning("%s cannot be read, and begins anew: %s", state / NAME, error)
        return None
    if all(moment.year in YEARS for moment in _moments(kept)):
        return kept
    log.warning("%s says a year that there cannot be, and begins anew", state / NAME)
    return None


def _moments(kept: Kept) -> Iterator[datetime]:
    yield from (kept.floor, kept.confirmed)
    if kept.anchor is not None:
        yield from (kept.anchor.first, kept.anchor.last)
    if kept.said is not None:
        yield from (kept.said.earliest, kept.said.latest)


class KeptFile:
    """The file, written no oftener than it need be. May be used on any thread, by one at a time."""

    def __init__(self, state: Path, written: Kept | None) -> None:
        """`written`: what is there already."""
        self._state, self._written = state, written or Kept()
        self._at: float | None = None
        self._fails = False

    def is_due(self, kept: Kept, steady_s: float) -> bool:
        """Whether `keep` would write it now. Takes no time."""
        waited_s = float("inf") if self._at is None else steady_s - self._at
        return waited_s >= (AGAIN_S if _is_other(kept, self._written) else WRITE_S)

    def keep(self, kept: Kept, steady_s: float, *, is_end: bool = False) -> bool:
        """Write it if it is due; whether it was written. A disk that fails is told of once, and tried again."""
        if not (is_end or self.is_due(kept, steady_s)):
            return False
        self._at = steady_s
        try:
            write_whole(self._state / NAME, msgspec.json.encode(kept))
        except OSError as error:
            if not self._fails:
                log.warning("the time of day is not kept on disk, trying again: %s", error)
            self._fails = True
            return False
        self._written, self._fails = kept, False
        return True


def _is_other(kept: Kept, written: Kept) -> bool:
    """Whether it says something else than how late it is."""

    def told(each: Kept) -> tuple[object, ...]:
        anchor = each.anchor
        about = None if anchor is None else anchor.is_confirmed
        return each.boot, each.is_doubted, each.is_chip_proved, each.is_clean, about

    return told(kept) != told(written)
