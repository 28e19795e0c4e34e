"""Unlock schedules: a door with one stays released while the schedule holds. The brain renews a short lease again and
again. So the release ends when the brain stops.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from gated.access.permissions import Permissions
from gated.errors import LatchError
from gated.events import Event, ScheduledUnlock

log = logging.getLogger(__name__)

RENEW_INTERVAL_S = 5.0
UNLOCK_LEASE_S = 15.0
"""The length of one lease, in seconds. It covers three renewals."""

RenewLease = Callable[[str, float, float], None]
"""A function that renews a lease. Arguments: door, lease in seconds, monotonic time of the decision. Raises
`LatchError`.
"""


class UnlockSchedules:
    """All doors with an unlock schedule, by name."""

    def __init__(
        self,
        schedules: Mapping[str, str],
        permissions: Permissions,
        renew: RenewLease,
        report: Callable[[Event], None],
        wall: Callable[[], datetime | None],
    ) -> None:
        """`schedules` gives the schedule name of each door. `wall` returns the aware time of day, or None while it is
        not trusted.
        """
        self._schedules, self._permissions = schedules, permissions
        self._renew, self._report, self._wall = renew, report, wall
        self._unlocked: set[str] = set()

    async def run(self) -> None:
        """Renew the leases every `RENEW_INTERVAL_S` seconds. Runs until cancelled."""
        while True:
            self.renew()
            await asyncio.sleep(RENEW_INTERVAL_S)

    def renew(self) -> None:
        """Begin, renew or end the scheduled release of every door. Without a trusted time, or in a lockdown, it
        releases no door.
        """
        at = self._wall()
        for door, schedule in self._schedules.items():
            is_unlocked = self._permissions.is_unlocked(schedule, at)
            if is_unlocked != (door in self._unlocked):
                self._report(ScheduledUnlock(schedule, is_over=not is_unlocked, door=door))
            if is_unlocked:
                self._unlocked.add(door)
                self._renew_lease(door)
            else:
                self._unlocked.discard(door)

    def _renew_lease(self, door: str) -> None:
        try:
            self._renew(door, UNLOCK_LEASE_S, time.monotonic())
        except LatchError as error:
            log.warning("the unlock schedule of the %s door was not applied: %s", door, error)
