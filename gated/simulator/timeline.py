"""One clock and one set of dice for all simulated parts: the same seed is the same day, to the last edge."""

import heapq
import itertools
import random
from collections.abc import Callable


class Timeline:
    """Monotonic seconds that pass when told to, and what is to happen at them."""

    def __init__(self, seed: int, now: float = 1000.0) -> None:
        self.seed, self.now = seed, now
        self.dice = random.Random(seed)  # noqa: S311 - a simulation that can be repeated, no secret
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a moment; what is due at the same moment is done in the order it was asked for."""
        heapq.heappush(self._due, (when, next(self._order), do))

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what falls due at its own moment."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            when, _, do = heapq.heappop(self._due)
            self.now = max(self.now, when)
            do()
        self.now = end

    def happens(self, per_second: float, seconds: float) -> bool:
        """Whether something that comes about so often comes about within so many seconds: a throw of the dice."""
        return self.dice.random() < per_second * seconds
