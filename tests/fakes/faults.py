"""The seven failures of a part: off, stuck, garbage, wrong, slow, delayed, intermittent.

The names are those of PX4's failure injection, for sensors and actuators. A fault changes the value of a part (for the
lock, its input) at every read, on one timeline.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Generic, TypeVar

from tests.fakes.timeline import Timeline

T = TypeVar("T")

SLOW_S = 1.5
"""A slow part has a new value only this often."""
DELAY_S = 2.0
"""A delayed part gives values of this age, older than any fresh input of a decision."""
FLICKER_S = 0.3
"""An intermittent part changes between working and dead at most this often."""


class Verb(StrEnum):
    """The kind of failure."""

    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


class Faulty(Generic[T]):
    """A part that is read repeatedly. It works until a fault is inflicted, and again after it is removed.

    `off`: the value of a dead part (may raise instead). `garbage`: a random value of its kind. `wrong`: a plausible
    false value from the true one.
    """

    def __init__(
        self,
        timeline: Timeline,
        read: Callable[[], T],
        *,
        off: Callable[[], T],
        garbage: Callable[[Random], T],
        wrong: Callable[[T], T],
    ) -> None:
        self._timeline, self._read = timeline, read
        self._off, self._garbage, self._wrong = off, garbage, wrong
        self.fault: Verb | None = None
        self._held: T | None = None
        self._held_at = self._toss_at = float("-inf")
        self._works = True
        self._past: deque[tuple[float, T]] = deque()

    def inflict(self, verb: Verb | None) -> None:
        """Apply a fault. None removes it."""
        if verb in (Verb.STUCK, Verb.SLOW):
            self._held, self._held_at = self._past[-1][1] if self._past else self._read(), self._timeline.now
        self.fault = verb

    def read(self) -> T:
        """Return the current value, with the fault applied."""
        truth, now = self._read(), self._timeline.now
        self._remember(truth, now)
        match self.fault:
            case None:
                return truth
            case Verb.OFF:
                return self._off()
            case Verb.STUCK:
                return self._holding()
            case Verb.GARBAGE:
                return self._garbage(self._timeline.dice)
            case Verb.WRONG:
                return self._wrong(truth)
            case Verb.SLOW:
                if now - self._held_at >= SLOW_S:
                    self._held, self._held_at = truth, now
                return self._holding()
            case Verb.DELAYED:
                return self._past[0][1]
            case Verb.INTERMITTENT:
                if now - self._toss_at >= FLICKER_S:
                    self._works, self._toss_at = self._timeline.dice.random() < 0.5, now
                return truth if self._works else self._off()

    def _holding(self) -> T:
        return self._held  # type: ignore[return-value]  # set when the fault was inflicted; None may be a valid T

    def _remember(self, truth: T, now: float) -> None:
        """Append the value. Keep the newest one older than the delay, and all younger ones."""
        self._past.append((now, truth))
        while len(self._past) > 1 and self._past[1][0] <= now - DELAY_S:
            self._past.popleft()
