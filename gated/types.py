"""Names for the plain values that all packages use.

A suffix tells the kind of time: `now` and `_at` in the code are monotonic seconds, `at` in a record is UTC wall time.
"""

from enum import StrEnum
from typing import Literal, NewType, assert_never


class CredentialKind(StrEnum):
    """The table of credential kinds, by their names in events and metrics. Code that treats them differently matches
    every member and ends with `assert_never`, so that mypy finds each place that a new kind must change.
    """

    FACE = "face"
    """A face before the camera. Presentation attacks let it rest (`access.attack_response`)."""
    CARD = "card"
    """A card at a reader. Failures and unknown numbers are counted for each reader."""
    PIN = "pin"
    """A PIN at a keypad. Wrong PINs use up a budget for each door and household (`access.guess_counts`)."""
    PASS = "pass"  # noqa: S105 - a visitor pass
    """A visitor pass before the camera. Its uses are counted, and forged ones let passes rest."""
    REMOTE = "remote"
    """A command of the office, such as the answer to a call."""

    @property
    def limit(self) -> Literal["numbers", "guesses", "failures", "none"]:
        """Return the limit on refused credentials of this kind.

        "numbers": failures and unknown numbers of a reader. "guesses": the budget of a door and a household.
        "failures": failures of a reader. "none": no credential is presented at a reader.
        """
        match self:
            case CredentialKind.CARD:
                return "numbers"
            case CredentialKind.PIN:
                return "guesses"
            case CredentialKind.PASS:
                return "failures"
            case CredentialKind.FACE | CredentialKind.REMOTE:
                return "none"
            case _:
                assert_never(self)


SubjectId = NewType("SubjectId", str)
"""An enrolled person (subject): 16 random hex digits without any other meaning."""

TrackId = NewType("TrackId", int)
"""One face in view, from its first frame until it leaves."""

Score = NewType("Score", float)
"""Cosine similarity of two embeddings, -1 to 1. Higher is more similar. A score is accepted at `>=` the threshold."""
