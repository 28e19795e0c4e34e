"""Limits the rate of events from a source, so that a fast sender does not use all of a process's time."""

import asyncio
import time
from collections.abc import Callable


class Pace:
    """Rate limit for one source: `a_second` permits a second, `at_once` after a quiet time.

    A permit stands for one message or one second of work, as the caller decides.
    """

    def __init__(
        self, a_second: float, clock: Callable[[], float] = time.monotonic, *, at_once: float | None = None
    ) -> None:
        """Set the limits. `at_once`: the burst; by default `a_second`. `clock`: monotonic seconds."""
        self._a_second, self._clock = a_second, clock
        self._most = a_second if at_once is None else at_once
        self._tokens, self._at = self._most, clock()

    def wait_s(self, many: float = 1.0) -> float:
        """Use `many` permits, even if fewer are left.

        Return the seconds that the caller must wait before it goes on.
        """
        self._refill()
        self._tokens -= many
        return max(0.0, -self._tokens / self._a_second)

    def spare(self) -> bool:
        """Use one permit if one is left. Return False without a permit. Never waits."""
        self._refill()
        has_one = self._tokens >= 1
        self._tokens -= has_one
        return has_one

    @property
    def is_rested(self) -> bool:
        """Return whether the full burst is available again."""
        self._refill()
        return self._tokens >= self._most

    async def wait(self, many: float = 1.0) -> None:
        """Take `many` permits and wait until they are due. Other tasks run meanwhile, however fast events arrive."""
        await asyncio.sleep(self.wait_s(many))

    def _refill(self) -> None:
        before, self._at = self._at, self._clock()
        self._tokens = min(self._most, self._tokens + (self._at - before) * self._a_second)
