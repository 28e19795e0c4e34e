"""A pace for whoever listens: somebody who speaks without end must not take all of our time."""

import asyncio
import time
from collections.abc import Callable


class Pace:
    """Lets through `a_second` a second (messages, or seconds of work), and `at_once` after a silence."""

    def __init__(
        self, a_second: float, clock: Callable[[], float] = time.monotonic, *, at_once: float | None = None
    ) -> None:
        """`at_once`: by default what a second lets through."""
        self._a_second, self._clock = a_second, clock
        self._most = a_second if at_once is None else at_once
        self._left, self._at = self._most, clock()

    def taken(self, many: float = 1.0) -> float:
        """Take so many; gives the seconds that their taker has to wait before it is heard again."""
        self._refill()
        self._left -= many
        return max(0.0, -self._left / self._a_second)

    def spare(self) -> bool:
        """Take one where there is one; else nothing is taken, and nobody waits."""
        self._refill()
        has_one = self._left >= 1
        self._left -= has_one
        return has_one

    @property
    def is_rested(self) -> bool:
        """Whether nothing was taken for so long that all is there again."""
        self._refill()
        return self._left >= self._most

    async def wait(self, many: float = 1.0) -> None:
        """Take so many, and wait for them; everybody else has a turn in between, however fast they come."""
        await asyncio.sleep(self.taken(many))

    def _refill(self) -> None:
        before, self._at = self._at, self._clock()
        self._left = min(self._most, self._left + (self._at - before) * self._a_second)
