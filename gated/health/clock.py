"""Can the time of day be trusted? A Pi keeps none without power, and schedules must not open a door by a wrong one.

Only people and schedules ask; every timeout is monotonic. In doubt there is no time at all, which denies.
"""

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gated.events import ClockDoubted

MOST_JUMP = timedelta(seconds=60)
"""A clock that moves further against the monotonic one was set, and not by a time server that slews."""
SLACK = timedelta(minutes=5)
"""So much earlier than the last fact it may be: a clock that ran fast was put right."""
UNSYNCHRONISED = 0x40
"""STA_UNSYNC in `timex.status` (adjtimex(2)): no time server steers the kernel's clock."""
STATUS_AT = 40
"""Where the status lies in the kernel's `struct timex` on 64-bit Linux."""
TIMEX_BYTES = 256
"""More than the structure needs (208)."""


class WallClock:
    """The time of day, or None while it is in doubt; a change of mind is reported once."""

    def __init__(
        self,
        not_before: datetime,
        report: Callable[[ClockDoubted], None],
        is_kept: Callable[[], bool],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`not_before`: when the last fact was written down. `is_kept`: whether something keeps this clock right."""
        self._not_before, self._report, self._is_kept = not_before, report, is_kept
        self._wall, self._monotonic = wall, monotonic
        self._began: datetime | None = None
        """The time of day at monotonic 0, when it was last trusted."""
        self.why: str | None = None
        """Why it is in doubt; None while it is trusted."""

    def now(self) -> datetime | None:
        """The time (UTC), or None."""
        wall = self._wall()
        began = wall - timedelta(seconds=self._monotonic())
        why = doubt(wall, began, self._began, self._not_before, self._is_kept())
        if why is None:
            self._began = began
        if (why is None) != (self.why is None):
            self._report(ClockDoubted(why or "", is_over=why is None))
        self.why = why
        return wall if why is None else None


def doubt(
    wall: datetime, began: datetime, trusted_began: datetime | None, not_before: datetime, is_kept: bool
) -> str | None:
    """Why a time of day is not to be believed, or None. `began`: what it says the time was at monotonic 0."""
    if wall < not_before - SLACK:
        return "it is earlier than what has already happened here"
    if is_kept:
        return None
    if trusted_began is None:
        return "no time server was reached since the start, and no clock chip kept it"
    if abs(began - trusted_began) > MOST_JUMP:
        return f"it has jumped by {(began - trusted_began).total_seconds():+.0f} s"
    return None


def kernel_keeps_time() -> bool:
    """Whether a time server steers this machine's clock, or a chip with a battery carries it."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes 0: only read
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    status = ctypes.c_int.from_buffer(timex, STATUS_AT).value
    return not status & UNSYNCHRONISED or Path("/sys/class/rtc/rtc0").exists()
