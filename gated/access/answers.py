"""What the gate does about a card, a PIN or a pass that was decided: release, tell people and the journal, count."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gated.access.attempts import Attempts
from gated.access.rights import Refusal
from gated.errors import LatchError
from gated.events import Duress, Event, ReleaseRefused, TooManyAttempts, WayDenied, WayGranted
from gated.gallery.entitlement import AS_EVERYBODY, Preferences
from gated.types import SubjectId

log = logging.getLogger(__name__)

Release = Callable[[str, float, float, str], None]
"""Visit, lease in seconds, monotonic time of the decision, door. Raises `LatchError`."""

OURS = frozenset({Refusal.CLOCK, Refusal.LOCKDOWN, Refusal.UNDECIDED})
"""The gate's own reasons: whoever was refused for one of them did nothing wrong, and it is not counted."""


@dataclass(frozen=True, slots=True)
class WayOutcome:
    """What people at the gate are told: the same for everybody, but for the cue that they want first."""

    result: Literal["granted", "refused", "resting"]
    way: str
    door: str
    preferences: Preferences = AS_EVERYBODY


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown at which door, and whose it is, as far as that is known."""

    way: str
    door: str
    credential: str | None = None
    subject: SubjectId | None = None
    is_first: bool = False
    is_duress: bool = False
    preferences: Preferences = AS_EVERYBODY


class Answers:
    """Acts on decisions in the loop's thread. `release_s` is each door's own, where nobody prefers another."""

    def __init__(
        self,
        attempts: Attempts,
        release_s: Mapping[str, float],
        release: Release,
        report: Callable[[Event], None],
        on_outcome: Callable[[WayOutcome], None],
    ) -> None:
        self._attempts, self._release_s, self._release = attempts, release_s, release
        self._report, self._on_outcome = report, on_outcome

    def may_try(self, way: str, door: str) -> bool:
        """Whether this way does not rest. One that rests looks at nothing, and has told the journal so already."""
        if self._attempts.may_try(way, door, time.monotonic()):
            return True
        self._on_outcome(WayOutcome("resting", way, door))
        return False

    def give(self, shown: Shown, refusal: Refusal | None) -> bool:
        """Answer; True when the lock was asked to release. People hear nothing of a duress, in whichever answer."""
        visit = secrets.token_hex(6)
        is_released = self._refuse(shown, refusal) if refusal is not None else self._let_in(shown, visit)
        if shown.is_duress and shown.subject is not None:
            self._report(Duress(shown.subject, visit, shown.door))
        return is_released

    def _let_in(self, shown: Shown, visit: str) -> bool:
        """Release first, tell then: the person waits for the one and nobody for the other."""
        self._attempts.succeeded(shown.way, shown.door)
        trouble = self._ask(shown, visit)
        self._on_outcome(
            WayOutcome("granted" if trouble is None else "refused", shown.way, shown.door, shown.preferences)
        )
        if shown.credential is not None:
            self._report(
                WayGranted(shown.way, visit, shown.credential, shown.subject, shown.door, is_first=shown.is_first)
            )
        if trouble is not None:
            self._report(trouble)
        return trouble is None

    def _ask(self, shown: Shown, visit: str) -> ReleaseRefused | None:
        lease_s = shown.preferences.release_s or self._release_s[shown.door]
        try:
            self._release(visit, lease_s, time.monotonic(), shown.door)
        except LatchError as error:
            log.error("%s", error)
            return ReleaseRefused(visit, str(error), shown.door)
        return None

    def _refuse(self, shown: Shown, refusal: Refusal) -> Literal[False]:
        is_resting = refusal not in OURS and self._attempts.failed(shown.way, shown.door, time.monotonic())
        self._on_outcome(WayOutcome("resting" if is_resting else "refused", shown.way, shown.door, shown.preferences))
        self._report(WayDenied(shown.way, refusal, shown.subject, shown.credential, shown.door))
        if is_resting:
            self._report(TooManyAttempts(shown.way, self._attempts.limit, shown.door))
        return False
