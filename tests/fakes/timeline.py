"""One clock and one random generator for all simulated parts. The same seed gives the same day, exactly."""

import heapq
import itertools
import random
from collections.abc import Callable


class Timeline:
    """Simulated monotonic seconds, and the actions due at them."""

    def __init__(self, seed: int, now: float = 1000.0) -> None:
        self.seed, self.now = seed, now
        self.dice = random.Random(seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Schedule an action. Actions due at the same time run in the order of scheduling."""
        heapq.heappush(self._due, (when, next(self._order), do))

    def advance(self, seconds: float) -> None:
        """Let time pass. Run each due action at its own time."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            when, _, do = heapq.heappop(self._due)
            self.now = max(self.now, when)
            do()
        self.now = end

    def happens(self, per_second: float, seconds: float) -> bool:
        """Return at random whether an event of this rate occurs within `seconds`."""
        return self.dice.random() < per_second * seconds
