"""Decides whether the gate can trust the time of day: a wrong clock must never open a door on schedule.

A Pi keeps no time without power. Only people and access rules need the time of day; every timeout is monotonic. While
the clock is in doubt, the gate has no time of day and access rules deny. This module never sets the clock. The time
server, the clock chip and the office are independent sources. One source alone can be overruled by another.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from gated.events import ClockDoubted
from gated.service.clock_chip import steady
from gated.service.clock_file import LONG_AGO, Anchor, OfficeTime, StoredClock

MOST_JUMP = timedelta(seconds=5)
"""Limits how far the clock may move against the steady clock between two readings. A larger move: it was set."""
DRIFT = 500e-6
"""Limits the clock's drift while nothing steers it, as a ratio: the most that Linux corrects (adjtimex(2), MAXFREQ)."""
CHIP_DRIFT = 100e-6
"""Limits the drift of a quartz alone in the cold (the chip's or the steady clock's), as a ratio.

Data sheets name 20 to 50 millionths.
"""
SLACK = timedelta(minutes=5)
"""Limits how far the clock may be behind the latest trusted time. A clock that ran fast is set back by this much."""
AGREES = timedelta(seconds=60)
"""Largest difference at which the office and this clock agree."""
ASKED_S = 30.0
"""Limits the age of the office's answer, in seconds. A later answer is too uncertain to confirm this clock."""
OTHERWISE = timedelta(minutes=5)
"""Smallest difference at which the office contradicts this clock, beyond any delay at the broker.

A command of the office with this difference is refused as well.
"""

EARLIER = "the time is earlier than the newest event here"
NOTHING = "no time server was reached since the start, and no proven clock chip kept the time"
OFFICE = "the office reports another time"
OWED = "the time was in doubt at power-off, and the office has not confirmed it since"


class ClockReading(Struct, frozen=True):
    """The clock at one moment. `began`: the clock's time at steady second 0. `at_s`: steady seconds."""

    wall: datetime
    began: datetime
    at_s: float
    is_kept: bool


class WallClock:
    """The time of day, or None while it is in doubt. Reports each change once. For one thread."""

    def __init__(
        self,
        not_before: datetime,
        report: Callable[[ClockDoubted], None],
        is_kept: Callable[[], bool],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = steady,
        *,
        kept: StoredClock | None = None,
        boot: str = "",
        chip: datetime | None = None,
        has_office: bool = False,
        is_vouched: bool = False,
    ) -> None:
        """Start from what is known.

        `not_before`: the latest time known to have passed. `is_kept`: whether a time server steers this clock now.
        `kept`: what an earlier start stored. `chip`: the chip's time at steady second 0. `has_office`: whether an
        office can end a doubt. `is_vouched`: the installer states that another source keeps the clock right; this
        counts as a second source.
        """
        self._report, self._is_kept, self._wall, self._monotonic = report, is_kept, wall, monotonic
        before = kept or StoredClock()
        self._is_vouched = is_vouched
        self._boot, self._floor, self._confirmed = boot, max(not_before, before.floor), before.confirmed
        is_same_boot = boot != "" and before.boot == boot
        self._anchor = before.anchor if is_same_boot else None
        self._office = before.office if is_same_boot else None
        self._owes = has_office and not is_same_boot and before.is_doubted
        self._chip = Chip(before, boot, chip, is_alone=not is_same_boot and not is_kept())
        self.why: str | None = None
        """Why the clock is in doubt; None while it is trusted."""

    def now(self) -> datetime | None:
        """Return the time of day (UTC), or None while it is in doubt."""
        reading = self._read_clock()
        why = self._doubt(reading)
        if why is None:
            self._trust(reading)
        if (why is None) != (self.why is None):
            self._report(ClockDoubted(why or "", is_over=why is None))
        self.why = why
        return reading.wall if why is None else None

    def accept_office_time(self, at: datetime, delay_s: float) -> None:
        """Accept the office's time `at` (aware). It was right at some moment of the last `delay_s` seconds.

        A broker may have delayed the message by that much.
        """
        reading = self._read_clock()
        then = at - timedelta(seconds=reading.at_s)
        self._office = OfficeTime(then, then + timedelta(seconds=delay_s), reading.at_s)
        if self._office.apart(reading.began) <= AGREES and delay_s <= ASKED_S:
            self._confirm(reading)
        self.now()

    def kept(self, *, is_end: bool = False) -> StoredClock:
        """Return what the next start must know. `is_end`: whether the gate stops cleanly."""
        return StoredClock(
            self._boot,
            self._floor,
            self._confirmed,
            self._anchor,
            is_doubted=self._owes or (self._anchor is not None and self.why is not None),
            office=self._office,
            is_chip_proved=self._chip.is_proved,
            is_clean=is_end,
        )

    def _read_clock(self) -> ClockReading:
        wall, at_s = self._wall(), self._monotonic()
        return ClockReading(wall, wall - timedelta(seconds=at_s), at_s, self._is_kept())

    def _doubt(self, reading: ClockReading) -> str | None:
        if reading.wall < self._floor - SLACK:
            return EARLIER
        if self._is_denied(reading):
            return OFFICE
        if self._anchor is not None:
            spare = self._chip.spare if self._chip.counts and not self._anchor.is_confirmed else timedelta()
            return jump(reading, self._anchor, spare)
        if self._owes:
            return OWED
        return None if reading.is_kept or self._chip.keeps(reading, self._floor) else NOTHING

    def _is_denied(self, reading: ClockReading) -> bool:
        """Return whether the office contradicts this clock and other evidence supports the office.

        This holds if no second source ever confirmed this clock. It also holds if this clock has left the confirmed
        time by more than a quartz drifts, and the office has not. A time server that lies in small steps looks like
        this.
        """
        office, anchor = self._office, self._anchor
        if office is None or self._is_vouched:
            return False
        if office.apart(reading.began) <= OTHERWISE + _drift(DRIFT, office.at_s, reading.at_s):
            return False
        if anchor is None or not anchor.is_confirmed:
            return True
        by_itself = _drift(CHIP_DRIFT, anchor.first_s, reading.at_s)
        return office.apart(anchor.first) <= AGREES + by_itself < AGREES + abs(reading.began - anchor.first)

    def _trust(self, reading: ClockReading) -> None:
        """Record a trusted time: no earlier time is trusted from now on."""
        if self._anchor is None:
            self._chip.judge(reading, is_second=reading.is_kept)
            self._chip.counts = not reading.is_kept
            self._anchor = Anchor(reading.began, reading.at_s, reading.began, reading.at_s)
        if (
            not self._anchor.is_confirmed and self._chip.counts and reading.is_kept
        ):  # the chip and the time server agree
            self._anchor = Anchor(reading.began, reading.at_s, reading.began, reading.at_s, is_confirmed=True)
        kept_s = reading.at_s if reading.is_kept else self._anchor.kept_s
        self._anchor = replace(self._anchor, last=reading.began, kept_s=kept_s)
        self._floor = max(self._floor, reading.wall)
        if self._anchor.is_confirmed:
            self._confirmed = max(self._confirmed, reading.wall)

    def _confirm(self, reading: ClockReading) -> None:
        """Record that the office and this clock agree. This ends every doubt.

        Does nothing if the clock is behind a time that two sources had agreed on.
        """
        if reading.wall < self._confirmed - SLACK:
            return
        self._chip.judge(reading, is_second=True)
        self._owes = False
        self._anchor = Anchor(reading.began, reading.at_s, reading.began, reading.at_s, is_confirmed=True)
        self._floor = self._confirmed = reading.wall


class Chip:
    """The clock chip's time at the start of the gate. `is_alone`: no time server has set the chip in this boot."""

    def __init__(self, before: StoredClock, boot: str, began: datetime | None, *, is_alone: bool) -> None:
        self._began = began if is_alone else None
        self._floor = before.floor
        wall = before.floor if began is None else began
        self.is_proved = before.is_chip_proved
        self._was_off = began is not None and before.was_off(boot, began)
        self.spare = timedelta(seconds=CHIP_DRIFT * max(0.0, (wall - before.floor).total_seconds()))
        """How far the chip may have drifted while the machine was off."""
        self.counts = False
        """Whether the trust in this clock rests on the chip."""

    def keeps(self, reading: ClockReading, floor: datetime) -> bool:
        """Return whether the chip is proved, agrees with this clock, and is not behind the latest trusted time."""
        if self._began is None or not self.is_proved:
            return False
        chip_time = self._began + timedelta(seconds=reading.at_s)
        if chip_time < floor:
            self.is_proved = False  # the chip's battery is empty
        return self.is_proved and abs(reading.began - self._began) <= MOST_JUMP

    def judge(self, reading: ClockReading, *, is_second: bool) -> None:
        """Compare the chip once with the time of a second source."""
        if self._began is None or not is_second:
            return
        is_right = abs(reading.began - self._began) <= MOST_JUMP + self.spare
        self.is_proved = is_right and (self.is_proved or self._was_off)
        self._began = None


def _drift(rate: float, since_s: float, now_s: float) -> timedelta:
    return timedelta(seconds=rate * max(0.0, now_s - since_s))


def jump(reading: ClockReading, anchor: Anchor, spare: timedelta = timedelta()) -> str | None:
    """Return how the clock jumped since it was trusted, or None. A time server that sets it is no reason to trust it.

    `spare`: further drift to allow.
    """
    drift, in_all = _drift(DRIFT, anchor.kept_s, reading.at_s), _drift(DRIFT, anchor.first_s, reading.at_s)
    step, total = reading.began - anchor.last, reading.began - anchor.first
    if abs(step) > MOST_JUMP + drift + spare:
        return f"the time has jumped by {step.total_seconds():+.0f} s"
    if abs(total) > MOST_JUMP + in_all + spare:
        return f"the time has jumped by {total.total_seconds():+.0f} s"
    return None


def not_before(kept: StoredClock | None, last_fact: datetime, written_s: float) -> datetime:
    """Return the latest time that is known to have passed.

    The journal stores facts with a doubtful time too. So a fact's time counts only up to `written_s` seconds plus
    `SLACK` after the stored floor.
    """
    if kept is None or kept.floor == LONG_AGO:
        return last_fact
    return last_fact if kept.floor <= last_fact <= kept.floor + timedelta(seconds=written_s) + SLACK else kept.floor
