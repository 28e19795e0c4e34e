"""Checks whether the camera still shows colour, judged only by pictures with a face. Pure except for its memory.

A street may be grey, but a face is not. Reports a loss once and its end once. Between the two limits the state does not
change.
"""

from collections.abc import Callable

from gated.face.colour import COLOUR, NO_COLOUR
from gated.runtime.rate_limit import Pace

PART = "colour"
WHY = (
    "no_colour: the camera's pictures are grey or infra-red, so PAD cannot distinguish faces from prints; fit a "
    "colour camera, or a lamp with white light"
)
A_SECOND, AT_ONCE = 1 / 60, 2.0
"""Limits the changes that are reported: sustained rate a second, and burst. Each change is a row in the journal."""
OBSERVATIONS = 10
"""Number of looks in a row that must agree, about one second of a person's presence."""


class ColourWatch:
    """The state of the camera's colour. `report(part, why)` gets each change, in the form of `Duty.set`."""

    def __init__(self, report: Callable[[str, str | None], None]) -> None:
        self._report = report
        self._is_lost = False
        self._against = 0
        self._changes = Pace(A_SECOND, at_once=AT_ONCE)

    def observe(self, colour: float | None) -> None:
        """Take the colour of one face; None if it could not be measured."""
        if colour is None:
            return
        is_against = colour >= COLOUR if self._is_lost else not colour >= NO_COLOUR
        self._against = self._against + 1 if is_against else 0
        if self._against >= OBSERVATIONS and self._changes.spare():
            self._is_lost, self._against = not self._is_lost, 0
            self._report(PART, WHY if self._is_lost else None)
