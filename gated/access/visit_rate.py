"""Limit the rate of new visits and shown passes. Real crowds stay below the limit; a compromised vision process may
not.

Each refused visit costs a journal row and a cue. Visits and passes above the limit are not examined.
"""

import time
from collections.abc import Callable

from gated.runtime.rate_limit import Pace
from gated.runtime.tasks import Losses

VISITS_A_SECOND, VISITS_AT_ONCE = 1.0, 120.0
"""New visits: the sustained rate per second, and the burst after a quiet time. After school about one person a second
arrives at a gate.
"""
PASSES_A_SECOND, PASSES_AT_ONCE = 0.5, 5.0
"""Passes: the sustained rate per second, and the burst. One person shows one pass, and the scanner reports each pass
once in three seconds.
"""
RATE_PART = "crowd"
RATE_EXCEEDED = (
    "vision reports more new faces than people can come to a gate; some are not looked at. Look what the camera sees, "
    "and start the gate anew"
)


class VisitRate:
    """The rate limits of one gate. They stay in force when the vision process restarts."""

    def __init__(self, losses: Losses = lambda *_: None, clock: Callable[[], float] = time.monotonic) -> None:
        """Calls `losses` when the limit for visits is reached, and when the rate is normal again."""
        self._losses, self._is_reported = losses, False
        self._visits = Pace(VISITS_A_SECOND, clock, at_once=VISITS_AT_ONCE)
        self._passes = Pace(PASSES_A_SECOND, clock, at_once=PASSES_AT_ONCE)

    def admits(self) -> bool:
        """Return whether one more new face may be examined, and count it."""
        if self._is_reported and self._visits.is_rested:
            self._report(is_lost=False)
        admitted = self._visits.spare()
        if not admitted and not self._is_reported:
            self._report(is_lost=True)
        return admitted

    def admits_pass(self) -> bool:
        """Return whether one more pass may be examined, and count it."""
        return self._passes.spare()

    def _report(self, *, is_lost: bool) -> None:
        self._is_reported = is_lost
        self._losses(RATE_PART, RATE_EXCEEDED if is_lost else None)
