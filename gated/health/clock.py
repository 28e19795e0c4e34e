"""Can the time of day be trusted? A Pi keeps none without power, and schedules must not open a door by a wrong one.

Only people and schedules ask; every timeout is monotonic. In doubt there is no time at all, which denies. Nothing sets
the clock here: a time server, a chip that has proved itself and the office each say what they know, and what one of
them says alone is undone by another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from gated.events import ClockDoubted
from gated.health.chip import steady
from gated.health.timekept import LONG_AGO, Anchor, Kept, Said

MOST_JUMP = timedelta(seconds=5)
"""A clock that moves further against the steady one, between two looks, was set."""
DRIFT = 500e-6
"""So far it may go wrong by itself while nothing keeps it: the most that Linux corrects (adjtimex(2), MAXFREQ)."""
CHIP_DRIFT = 100e-6
"""The same of a quartz alone, a chip's or the steady one, in the cold; data sheets name 20 to 50 millionths."""
SLACK = timedelta(minutes=5)
"""So much earlier than the latest time that was trusted it may be: a clock that ran fast was put right."""
AGREES = timedelta(seconds=60)
"""The office's clock and this one say the same when they are no further apart."""
ASKED_S = 30.0
"""What the office said longer after it was asked proves too little to agree with."""
OTHERWISE = timedelta(minutes=5)
"""The office says that it is another time, whatever a broker held back: as far off, a command counts no more."""

EARLIER = "it is earlier than what has already happened here"
NOTHING = "no time server was reached since the start, and no clock chip that has proved itself kept it"
OFFICE = "the office says that it is another time"
OWED = "it was in doubt when the machine was switched off, and the office has not agreed since"


@dataclass(frozen=True, slots=True)
class Look:
    """The clock at one moment. `began`: what it says the time was at steady 0."""

    wall: datetime
    began: datetime
    at_s: float
    is_kept: bool


class WallClock:
    """The time of day, or None while it is in doubt; a change of mind is reported once. For one thread."""

    def __init__(
        self,
        not_before: datetime,
        report: Callable[[ClockDoubted], None],
        is_kept: Callable[[], bool],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = steady,
        *,
        kept: Kept | None = None,
        boot: str = "",
        chip: datetime | None = None,
        has_office: bool = False,
        is_vouched: bool = False,
    ) -> None:
        """`not_before`: the latest time that is known to have passed. `is_kept`: whether a time server steers this
        clock now. `kept`: what an earlier life has written. `chip`: what the chip says the time was at steady 0.
        `has_office`: whether there is one that can settle a doubt. `is_vouched`: whether the installer says that
        something else keeps it right: that counts as a second source.
        """
        self._report, self._is_kept, self._wall, self._monotonic = report, is_kept, wall, monotonic
        before = kept or Kept()
        self._is_vouched = is_vouched
        self._boot, self._floor, self._confirmed = boot, max(not_before, before.floor), before.confirmed
        is_same_boot = boot != "" and before.boot == boot
        self._anchor = before.anchor if is_same_boot else None
        self._said = before.said if is_same_boot else None
        self._owes = has_office and not is_same_boot and before.is_doubted
        self._chip = Chip(before, boot, chip, is_alone=not is_same_boot and not is_kept())
        self.why: str | None = None
        """Why it is in doubt; None while it is trusted."""

    def now(self) -> datetime | None:
        """The time (UTC), or None."""
        look = self._look()
        why = self._doubt(look)
        if why is None:
            self._trust(look)
        if (why is None) != (self.why is None):
            self._report(ClockDoubted(why or "", is_over=why is None))
        self.why = why
        return look.wall if why is None else None

    def hear(self, at: datetime, took_s: float) -> None:
        """The office said `at` (aware), at some moment of the last `took_s` seconds: a broker may have held it back."""
        look = self._look()
        then = at - timedelta(seconds=look.at_s)
        self._said = Said(then, then + timedelta(seconds=took_s), look.at_s)
        if self._said.apart(look.began) <= AGREES and took_s <= ASKED_S:
            self._confirm(look)
        self.now()

    def kept(self, *, is_end: bool = False) -> Kept:
        """What the next life is to know."""
        return Kept(
            self._boot,
            self._floor,
            self._confirmed,
            self._anchor,
            is_doubted=self._owes or (self._anchor is not None and self.why is not None),
            said=self._said,
            is_chip_proved=self._chip.is_proved,
            is_clean=is_end,
        )

    def _look(self) -> Look:
        wall, at_s = self._wall(), self._monotonic()
        return Look(wall, wall - timedelta(seconds=at_s), at_s, self._is_kept())

    def _doubt(self, look: Look) -> str | None:
        if look.wall < self._floor - SLACK:
            return EARLIER
        if self._is_denied(look):
            return OFFICE
        if self._anchor is not None:
            spare = self._chip.spare if self._chip.counts and not self._anchor.is_confirmed else timedelta()
            return jump(look, self._anchor, spare)
        if self._owes:
            return OWED
        return None if look.is_kept or self._chip.keeps(look, self._floor) else NOTHING

    def _is_denied(self, look: Look) -> bool:
        """Whether the office says that it is another time, and is not alone with that.

        With this clock nobody else has ever agreed; or two have, and since then this clock has gone further than a
        quartz does from what both said, and the office has not. So goes a time server that lies ever so slowly.
        """
        said, anchor = self._said, self._anchor
        if said is None or self._is_vouched:
            return False
        if said.apart(look.began) <= OTHERWISE + _drift(DRIFT, said.at_s, look.at_s):
            return False
        if anchor is None or not anchor.is_confirmed:
            return True
        by_itself = _drift(CHIP_DRIFT, anchor.first_s, look.at_s)
        return said.apart(anchor.first) <= AGREES + by_itself < AGREES + abs(look.began - anchor.first)

    def _trust(self, look: Look) -> None:
        """Take note of a time that is trusted: none that is earlier is believed from now on."""
        if self._anchor is None:
            self._chip.judge(look, is_second=look.is_kept)
            self._chip.counts = not look.is_kept
            self._anchor = Anchor(look.began, look.at_s, look.began, look.at_s)
        if not self._anchor.is_confirmed and self._chip.counts and look.is_kept:  # chip and time server say the same
            self._anchor = Anchor(look.began, look.at_s, look.began, look.at_s, is_confirmed=True)
        kept_s = look.at_s if look.is_kept else self._anchor.kept_s
        self._anchor = replace(self._anchor, last=look.began, kept_s=kept_s)
        self._floor = max(self._floor, look.wall)
        if self._anchor.is_confirmed:
            self._confirmed = max(self._confirmed, look.wall)

    def _confirm(self, look: Look) -> None:
        """The office and this clock agree. That settles every doubt, but for what two have agreed on before."""
        if look.wall < self._confirmed - SLACK:
            return
        self._chip.judge(look, is_second=True)
        self._owes = False
        self._anchor = Anchor(look.began, look.at_s, look.began, look.at_s, is_confirmed=True)
        self._floor = self._confirmed = look.wall


class Chip:
    """The clock chip, as it was when this life began. `is_alone`: no time server has set it in this boot."""

    def __init__(self, before: Kept, boot: str, began: datetime | None, *, is_alone: bool) -> None:
        self._began = began if is_alone else None
        self._floor = before.floor
        wall = before.floor if began is None else began
        self.is_proved = before.is_chip_proved
        self._was_off = began is not None and before.was_off(boot, began)
        self.spare = timedelta(seconds=CHIP_DRIFT * max(0.0, (wall - before.floor).total_seconds()))
        """How far it may have gone wrong while the machine was off."""
        self.counts = False
        """Whether the trust of this life rests on it."""

    def keeps(self, look: Look, floor: datetime) -> bool:
        """Whether it has proved itself and this clock says what it says, which is later than all that was trusted."""
        if self._began is None or not self.is_proved:
            return False
        said = self._began + timedelta(seconds=look.at_s)
        if said < floor:
            self.is_proved = False  # its battery is empty
        return self.is_proved and abs(look.began - self._began) <= MOST_JUMP

    def judge(self, look: Look, *, is_second: bool) -> None:
        """Hold it against somebody else's time, once."""
        if self._began is None or not is_second:
            return
        is_right = abs(look.began - self._began) <= MOST_JUMP + self.spare
        self.is_proved = is_right and (self.is_proved or self._was_off)
        self._began = None


def _drift(rate: float, since_s: float, now_s: float) -> timedelta:
    return timedelta(seconds=rate * max(0.0, now_s - since_s))


def jump(look: Look, anchor: Anchor, spare: timedelta = timedelta()) -> str | None:
    """That the clock was set since it was trusted, or None. A time server that sets it is no reason to believe it."""
    drift, in_all = _drift(DRIFT, anchor.kept_s, look.at_s), _drift(DRIFT, anchor.first_s, look.at_s)
    step, way = look.began - anchor.last, look.began - anchor.first
    if abs(step) > MOST_JUMP + drift + spare:
        return f"it has jumped by {step.total_seconds():+.0f} s"
    if abs(way) > MOST_JUMP + in_all + spare:
        return f"it has jumped by {way.total_seconds():+.0f} s"
    return None


def not_before(kept: Kept | None, last_fact: datetime, written_s: float) -> datetime:
    """The latest time that is known to have passed. Facts are written down in doubt as well, with whatever time there
    was: one counts only as far as the clock can have gone on since it was kept, `written_s` at the most.
    """
    if kept is None or kept.floor == LONG_AGO:
        return last_fact
    return last_fact if kept.floor <= last_fact <= kept.floor + timedelta(seconds=written_s) + SLACK else kept.floor
