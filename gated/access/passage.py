"""Free passage: by its schedule a door stands released. It is a lease that is renewed, so it ends with the brain."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from gated.access.schedule import Calendar
from gated.errors import LatchError
from gated.events import Event
from gated.events import FreePassage as Fact

log = logging.getLogger(__name__)

RENEW_S = 5.0
LEASE_S = 15.0
"""Renewed three times before it would end."""

Renew = Callable[[str, float, float], None]
"""Door, lease in seconds, monotonic time of the decision. Raises `LatchError`."""


class FreePassage:
    """The doors that have a schedule of free passage, by name."""

    def __init__(
        self,
        schedules: Mapping[str, str],
        calendar: Calendar,
        renew: Renew,
        report: Callable[[Event], None],
        wall: Callable[[], datetime | None],
    ) -> None:
        """`schedules`: each door's own, by its name. `wall`: the time of day (aware), None while it is not trusted."""
        self._schedules, self.calendar = schedules, calendar
        self._renew, self._report, self._wall = renew, report, wall
        self._free: set[str] = set()
        self.is_locked_down = False

    async def run(self) -> None:
        """Renew what holds, for ever."""
        while True:
            self.look()
            await asyncio.sleep(RENEW_S)

    def look(self) -> None:
        """Begin, renew or end the free passage of every door, as it holds now."""
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
