"""Prints and screens that were held up: the imitated face rests, and everybody else's is looked at more strictly.

Pure but for its memory, which ends with the process: time is passed in, in monotonic seconds, and rests are returned. A
face rests alone. Its owner's card, PIN, pass and call are as before, and so is every other face but for the stricter
bound. No success ends a rest or is counted against one: the next try of an impostor may be the lucky one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from math import inf, isfinite, sqrt

from gated.types import SubjectId

VISITS, WITHIN_S = 3, 60.0
"""So many attacks on one face within so long, and it rests."""
VISITS_AN_HOUR = 6
"""So many on one face within an hour, and it rests as well: who waits between tries has few of them all the same."""
FIRST_S, MOST_S = 30.0, 900.0
"""The first rest; each next one is twice as long, up to the longest."""
QUIET_S = 3600.0
"""An hour without an attack, and the next rest is as short as the first."""
STRICT_S = 60.0
"""So long after an attack that looks like nobody PAD is strict."""
MOST_REMEMBERED = 1024
"""So many faces are remembered; of more, those that were attacked last."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A rest that begins. `subject`: whose face rests; None: nobody's, and PAD is strict for so long."""

    subject: SubjectId | None
    lasts_s: float


@dataclass(frozen=True, slots=True)
class _Attacked:
    """What is remembered of one face at one door. `next_s`: how long its next rest lasts."""

    at: tuple[float, ...] = field(default=())
    last_at: float = -inf
    until: float = -inf
    next_s: float = FIRST_S


class Impostors:
    """Counts the attacks at each door by whom they look like: of each person alone, and of nobody who is known."""

    def __init__(self) -> None:
        self._faces: dict[tuple[str, SubjectId | None], _Attacked] = {}
        self._strict_until: dict[str, float] = {}

    def attacked(self, door: str, imitated: Collection[SubjectId], now: float) -> list[Rest]:
        """A visit was an attack that looked like these people, or like nobody; gives the rests that begin now."""
        if not isfinite(now):
            return []
        if not imitated:
            self._be_strict(door, now + STRICT_S)
        self._forget(now)
        rests = [rest for subject in imitated or (None,) if (rest := self._count(door, subject, now))]
        for rest in rests:
            self._be_strict(door, now + rest.lasts_s)
        return rests

    def is_resting(self, door: str, subject: SubjectId, now: float) -> bool:
        """Whether this face opens nothing now; also where the time is no number and it was attacked before."""
        known = self._faces.get((door, subject))
        return known is not None and not now >= known.until

    def bound(self, door: str, pad_threshold: float, now: float) -> float:
        """The PAD score that is wanted now: the usual one, or while PAD is strict its square root."""
        is_usual = now >= self._strict_until.get(door, -inf)
        return pad_threshold if is_usual else max(pad_threshold, sqrt(max(0.0, pad_threshold)))

    def _count(self, door: str, subject: SubjectId | None, now: float) -> Rest | None:
        """Count one attack; what comes while the face rests begins no other rest, and keeps the next one long."""
        was = self._faces.pop((door, subject), _Attacked())
        if now - was.last_at >= QUIET_S:
            was = replace(was, next_s=FIRST_S)
        recent = (*(at for at in was.at if 0 <= now - at <= QUIET_S), now) if now >= was.until else ()
        is_many = subject is not None and len(recent) >= VISITS_AN_HOUR
        is_over = is_many or sum(now - at <= WITHIN_S for at in recent) >= VISITS
        self._faces[door, subject] = _Attacked(
            at=() if is_over else recent,
            last_at=now,
            until=now + was.next_s if is_over else was.until,
            next_s=min(2 * was.next_s, MOST_S) if is_over else was.next_s,
        )
        return Rest(subject, was.next_s) if is_over else None

    def _forget(self, now: float) -> None:
        """Whoever had a quiet hour is as everybody; memory has an end. What was attacked last stands last."""
        kept = [(key, each) for key, each in self._faces.items() if now < max(each.last_at + QUIET_S, each.until)]
        self._faces = dict(kept[-MOST_REMEMBERED:])

    def _be_strict(self, door: str, until: float) -> None:
        self._strict_until[door] = max(until, self._strict_until.get(door, -inf))
