"""A limit on new visits and on passes that are shown: no crowd is so fast, but a compromised vision process is.

Each refused visit is a row in the journal and a cue for people. What is over the limit is not looked at.
"""

import time
from collections.abc import Callable

from gated.runtime.pace import Pace
from gated.runtime.tasks import Losses

A_SECOND, AT_ONCE = 1.0, 120.0
"""New visits: sustained, and after a quiet time. A school's end brings about one person a second to a gate."""
PASSES_A_SECOND, PASSES_AT_ONCE = 0.5, 5.0
"""Passes: one person shows one, and the scanner tells each once in three seconds."""
PART = "crowd"
WHY = (
    "vision reports more new faces than people can come to a gate; some are not looked at. Look what the camera sees, "
    "and start the gate anew"
)


class Crowd:
    """The counts outlive each vision process."""

    def __init__(self, losses: Losses = lambda *_: None, clock: Callable[[], float] = time.monotonic) -> None:
        """`losses`: told when the limit is reached, and when it is over."""
        self._losses, self._is_told = losses, False
        self._visits = Pace(A_SECOND, clock, at_once=AT_ONCE)
        self._passes = Pace(PASSES_A_SECOND, clock, at_once=PASSES_AT_ONCE)

    def admits(self) -> bool:
        """Whether one more new face is looked at."""
        if self._is_told and self._visits.is_rested:
            self._tell(is_lost=False)
        admitted = self._visits.spare()
        if not admitted and not self._is_told:
            self._tell(is_lost=True)
        return admitted

    def admits_pass(self) -> bool:
        """Whether one more pass is looked at."""
        return self._passes.spare()

    def _tell(self, *, is_lost: bool) -> None:
        self._is_told = is_lost
        self._losses(PART, WHY if is_lost else None)
