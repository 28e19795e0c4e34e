"""Whether the camera still shows colour, judged by the faces that it shows; told once, and once when it is over. Pure
but for its memory.

A street may be grey, a face is not: only pictures with a face in them count. Between the two bounds nothing changes.
"""

from collections.abc import Callable

from gated.face.colour import COLOUR, NO_COLOUR
from gated.runtime.pace import Pace

PART = "colour"
WHY = (
    "no_colour: the camera's pictures are grey or infra-red, in which faces cannot be told from prints; fit a colour "
    "camera, or a lamp by whose light it shows colour"
)
A_SECOND, AT_ONCE = 1 / 60, 2.0
"""Changes: sustained, and after a quiet time. Each change is a row in the journal."""
LOOKS = 10
"""So many looks in a row must agree: a second of somebody's presence."""


class ColourWatch:
    """`tell(part, why)` is given what is lost, as `Duty.set` takes it."""

    def __init__(self, tell: Callable[[str, str | None], None]) -> None:
        self._tell = tell
        self._is_lost = False
        self._against = 0
        self._changes = Pace(A_SECOND, at_once=AT_ONCE)

    def look(self, colour: float | None) -> None:
        """One look at a face; None where nobody could measure."""
        if colour is None:
            return
        is_against = colour >= COLOUR if self._is_lost else not colour >= NO_COLOUR
        self._against = self._against + 1 if is_against else 0
        if self._against >= LOOKS and self._changes.spare():
            self._is_lost, self._against = not self._is_lost, 0
            self._tell(PART, WHY if self._is_lost else None)
