"""The window of a second credential: a person has shown one credential kind, and must show another one in time.

Pure except for its memory; callers pass the time in monotonic seconds. Used by `second_after_face` and
`second_requests`.
The first credential alone opens nothing. The second one must belong to the same person and must come to the same door.
Both are judged when the second one comes. So a lockdown, a suspension, a removed PIN, an expired card or a resting face
in between denies. A restart forgets all windows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite

from gated.types import CredentialKind, SubjectId

MOST_WAITING = 100
"""Largest number of people with a waiting first credential. Above it, the oldest window is dropped."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class FirstCredential:
    """A valid credential that opens nothing alone. It waits for the second one until `ends_at`."""

    subject: SubjectId
    kind: CredentialKind
    door: str
    ends_at: float
    deny: Callable[[], None] = _nothing
    """Called if the window ends before the second credential came."""
    complete: Callable[[], None] = _nothing
    """Called after the door was released by both."""
    is_valid: Callable[[], bool] = lambda: True
    """Returns whether the credential would still count, if it were shown now."""
    is_duress: bool = False
    """Whether it is a duress PIN, or one was typed in the same window."""


class SecondCredentials:
    """The open windows of one gate."""

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.is_face_resting: Callable[[str, SubjectId, float], bool] = lambda door, subject, now: False
        """`is_face_resting(door, subject, now)` returns whether this face opens nothing now."""
        self.judge_again: Callable[[str], None] = lambda door: None
        """`judge_again(door)` judges the faces at a door again, because a card or PIN needs a face with it."""
        self._waiting: dict[tuple[str, SubjectId], FirstCredential] = {}

    def begin(self, first: FirstCredential, now: float) -> None:
        """Wait for the second credential. The same kind again prolongs the window, if the first one still counts."""
        if not (isfinite(now) and isfinite(first.ends_at)):
            return
        key = first.door, first.subject
        before = self._waiting.pop(key, None)
        if before is not None and before.kind == first.kind and self._counts(before, now):
            is_duress = before.is_duress or first.is_duress
            first = replace(before, ends_at=max(before.ends_at, first.ends_at), is_duress=is_duress)
        if len(self._waiting) >= MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = first

    def first(self, door: str, subject: SubjectId | None, kind: CredentialKind, now: float) -> FirstCredential | None:
        """Return the credential of another kind that this person has just shown at this door, or None."""
        first = None if subject is None else self._waiting.get((door, subject))
        return first if first is not None and first.kind != kind and self._counts(first, now) else None

    def complete(self, first: FirstCredential | None) -> CredentialKind | None:
        """End a window, because both credentials released the door. Return the kind of the first one."""
        if first is None:
            return None
        self._waiting.pop((first.door, first.subject), None)
        first.complete()
        return first.kind

    def recognised(self, door: str, now: float) -> frozenset[SubjectId]:
        """Return the people whose face waits at this door for a card or PIN."""
        return frozenset(
            each.subject
            for each in self._waiting.values()
            if each.kind == CredentialKind.FACE and each.door == door and self._counts(each, now)
        )

    def expire(self, now: float) -> list[FirstCredential]:
        """Remove and return the windows that have ended. The caller calls `deny` of each."""
        ended = [each for each in self._waiting.values() if not now < each.ends_at]
        for each in ended:
            del self._waiting[each.door, each.subject]
        return ended

    def _counts(self, first: FirstCredential, now: float) -> bool:
        is_resting = first.kind == CredentialKind.FACE and self.is_face_resting(first.door, first.subject, now)
        return now < first.ends_at and not is_resting and first.is_valid()


def kind_of(first: FirstCredential | None) -> frozenset[CredentialKind]:
    """Return the kind of the first credential as a set: empty without one."""
    return frozenset() if first is None else frozenset({first.kind})
