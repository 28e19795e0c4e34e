"""The seven ways in which a part fails: off, stuck, garbage, wrong, slow, delayed, intermittent.

The words are PX4's (its failure injection says them of sensors and actuators alike). Each is applied to what a part
says, or for the lock to what it is told, read by read on one timeline.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Generic, TypeVar

from gated.simulator.timeline import Timeline

T = TypeVar("T")

SLOW_S = 1.5
"""A slow part says something new only so often."""
DELAY_S = 2.0
"""A delayed part says what was true so long ago: longer than any decision of the gate is fresh."""
FLICKER_S = 0.3
"""An intermittent part works, or does not, for so long at a time."""


class Verb(StrEnum):
    """How a part fails."""

    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


class Faulty(Generic[T]):
    """A part that is read again and again, sound until a fault is inflicted on it, and again when it is healed.

    `off` says what a dead one gives (it may raise instead), `garbage` makes noise of its kind, `wrong` makes of the
    truth something plausible and false.
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
        """From now on it fails like this; None heals it."""
        if verb in (Verb.STUCK, Verb.SLOW):
            self._held, self._held_at = self._past[-1][1] if self._past else self._read(), self._timeline.now
        self.fault = verb

    def read(self) -> T:
        """What it says now."""
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
        return self._held  # type: ignore[return-value]  # set when the fault was inflicted; T may itself be None

    def _remember(self, truth: T, now: float) -> None:
        """Keep the last of what is older than the delay, and everything younger."""
        self._past.append((now, truth))
        while len(self._past) > 1 and self._past[1][0] <= now - DELAY_S:
            self._past.popleft()
