"""Respond to presentation attacks: the imitated face rests, and PAD is stricter for every other face.

Pure except for its memory, which ends with the process. Callers pass the time in monotonic seconds. Only the face
rests: its owner's card, PIN, pass and call still work. Other faces still open, under the stricter PAD threshold. A
success does not end a rest or reduce the count, because the next attempt of an attacker may succeed by luck.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from math import inf, isfinite, sqrt

from gated.types import SubjectId

VISITS, WITHIN_S = 3, 60.0
"""The number of attacks on one face, and the time in seconds within which they begin a rest."""
VISITS_AN_HOUR = 6
"""The number of attacks on one face within an hour that also begins a rest. It limits attackers who wait between
attempts.
"""
FIRST_S, MOST_S = 30.0, 900.0
"""The length of the first rest and of the longest rest, in seconds. Each further rest is twice as long."""
QUIET_S = 3600.0
"""After so many seconds without an attack, the next rest is as short as the first."""
STRICT_S = 60.0
"""How long PAD is strict after an attack that resembles no enrolled person, in seconds."""
MOST_REMEMBERED = 1024
"""The number of attacked faces that are remembered. The most recently attacked ones are kept."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A rest that begins. `subject` is the person whose face rests. None: no face rests, and PAD is strict for
    `lasts_s`.
    """

    subject: SubjectId | None
    lasts_s: float


@dataclass(frozen=True, slots=True)
class _Attacked:
    """The attacks on one face at one door. `next_s` is the length of its next rest, in seconds."""

    at: tuple[float, ...] = field(default=())
    last_at: float = -inf
    until: float = -inf
    next_s: float = FIRST_S


class Impostors:
    """Counts the attacks at each door, for each person that they resemble, and for attacks that resemble nobody."""

    def __init__(self) -> None:
        self._faces: dict[tuple[str, SubjectId | None], _Attacked] = {}
        self._strict_until: dict[str, float] = {}

    def attacked(self, door: str, imitated: Collection[SubjectId], now: float) -> list[Rest]:
        """Count a visit that was an attack on these people, or on nobody. Return the rests that begin now."""
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
        """Return whether this face opens nothing now. Also true for an attacked face if `now` is not a number."""
        known = self._faces.get((door, subject))
        return known is not None and not now >= known.until

    def bound(self, door: str, pad_threshold: float, now: float) -> float:
        """Return the PAD threshold that applies now: `pad_threshold`, or its square root while PAD is strict."""
        is_usual = now >= self._strict_until.get(door, -inf)
        return pad_threshold if is_usual else max(pad_threshold, sqrt(max(0.0, pad_threshold)))

    def _count(self, door: str, subject: SubjectId | None, now: float) -> Rest | None:
        """Count one attack. An attack during a rest begins no new rest, but it keeps the next rest long."""
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
        """Forget faces without an attack for `QUIET_S`, and the oldest above the limit. The most recently attacked are
        last.
        """
        kept = [(key, each) for key, each in self._faces.items() if now < max(each.last_at + QUIET_S, each.until)]
        self._faces = dict(kept[-MOST_REMEMBERED:])

    def _be_strict(self, door: str, until: float) -> None:
        self._strict_until[door] = max(until, self._strict_until.get(door, -inf))
