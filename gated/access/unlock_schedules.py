"""Unlock schedules: a door with one stays released during its hours. The brain renews a short lease, so that the
release ends when the brain stops.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from gated.access.schedules import Calendar
from gated.errors import LatchError
from gated.events import Event
from gated.events import FreePassage as Fact

log = logging.getLogger(__name__)

RENEW_S = 5.0
LEASE_S = 15.0
"""The length of one lease, in seconds. It covers three renewals."""

Renew = Callable[[str, float, float], None]
"""A function that renews a lease. Arguments: door, lease in seconds, monotonic time of the decision. Raises
`LatchError`.
"""


class FreePassage:
    """All doors with an unlock schedule, by name."""

    def __init__(
        self,
        schedules: Mapping[str, str],
        calendar: Calendar,
        renew: Renew,
        report: Callable[[Event], None],
        wall: Callable[[], datetime | None],
    ) -> None:
        """`schedules` gives the schedule name of each door. `wall` returns the aware time of day, or None while it is
        not trusted.
        """
        self._schedules, self.calendar = schedules, calendar
        self._renew, self._report, self._wall = renew, report, wall
        self._free: set[str] = set()
        self.is_locked_down = False

    async def run(self) -> None:
        """Renew the leases every `RENEW_S` seconds. Runs until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(RENEW_S)

    def look(self) -> None:
        """Begin, renew or end the scheduled release of every door. Without a trusted time, or in a lockdown, no door is
        released.
        """
        at = self._wall()
        for door, schedule in self._schedules.items():
            is_free = not self.is_locked_down and at is not None and self.calendar.allows(schedule, at)
            if is_free != (door in self._free):
                self._report(Fact(schedule, is_over=not is_free, door=door))
            if is_free:
                self._free.add(door)
                self._ask(door)
            else:
                self._free.discard(door)

    def _ask(self, door: str) -> None:
        try:
            self._renew(door, LEASE_S, time.monotonic())
        except LatchError as error:
            log.warning("free passage: %s", error)
