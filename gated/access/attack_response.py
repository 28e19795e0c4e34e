"""Respond to presentation attacks: the imitated face rests, and PAD is stricter for every other face.

Pure except for its memory. Callers pass the time in monotonic seconds. They also store the counted attacks (see
`guess_budget`), because a restart must not end a rest. Only the face rests: the owner's card, PIN, pass and call still
work. Other faces still open, under the stricter PAD threshold. A success does not end a rest or reduce the count,
because the next attempt of an attacker may succeed by luck.
"""

from collections.abc import Callable, Collection, Sequence
from math import inf, isfinite, sqrt

from msgspec import Struct, field
from msgspec.structs import replace

from gated.types import SubjectId

ATTACKS_TO_REST, ATTACK_WINDOW_S = 3, 60.0
"""The number of attacks on one face, and the time in seconds within which they begin a rest. The same number of attacks
at one door, on anybody or nobody, makes PAD strict.
"""
FACE_ATTACKS_AN_HOUR = 6
"""The number of attacks on one face within an hour that also begins a rest. It limits attackers who wait between
attempts.
"""
DOOR_ATTACKS_AN_HOUR = 12
"""The number of attacks at one door within an hour that also makes PAD strict. It limits attackers with pictures of
many people.
"""
FIRST_REST_S, LONGEST_REST_S = 30.0, 900.0
"""The length of the first rest and of the longest rest, in seconds. Each further rest is twice as long."""
FORGIVE_S = 3600.0
"""After so many seconds without an attack, the next rest is as short as the first."""
STRICT_PAD_S = 60.0
"""How long PAD is strict after an attack that resembles no enrolled person, in seconds."""
MOST_ATTACKED_FACES = 1024
"""The number of attacked faces that are remembered. If there are more, the most recently attacked faces are kept."""


class FaceRest(Struct, frozen=True):
    """A rest that begins. `subject` is the person whose face rests. None: no face rests, and PAD is strict for
    `lasts_s`.
    """

    subject: SubjectId | None
    lasts_s: float


class _AttackCount(Struct, frozen=True):
    """The attacks on one face at one door, or on all faces there. `next_s` is the length of the next rest, in
    seconds.
    """

    at: tuple[float, ...] = field(default=())
    last_at: float = -inf
    until: float = -inf
    next_s: float = FIRST_REST_S

    def counts(self, now: float) -> bool:
        """Return whether an attack at this time counts. One during a rest does not: it begins no new rest."""
        return now >= self.until

    def after(self, now: float, an_hour: int) -> "_AttackCount":
        """Return the count after one more attack. During a rest an attack only keeps the next rest long."""
        was = self if now - self.last_at < FORGIVE_S else replace(self, next_s=FIRST_REST_S)
        recent = (*(at for at in was.at if 0 <= now - at <= FORGIVE_S), now) if was.counts(now) else ()
        if len(recent) < an_hour and sum(now - at <= ATTACK_WINDOW_S for at in recent) < ATTACKS_TO_REST:
            return replace(was, at=recent, last_at=now)
        return _AttackCount((), now, now + was.next_s, min(2 * was.next_s, LONGEST_REST_S))


class AttackResponse:
    """Counts the attacks at each door: all of them, and those on each person that they resemble."""

    def __init__(
        self,
        before: Callable[[str], Sequence[float]] = lambda _: (),
        store: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        """`before` returns the times of the stored attacks of a place, oldest first, in monotonic seconds of this
        process. `store` receives the places of each attack that counts.
        """
        self._before, self._store = before, store
        self._faces: dict[tuple[str, SubjectId | None], _AttackCount] = {}
        self._strict_until: dict[str, float] = {}

    def record_attack(self, door: str, imitated: Collection[SubjectId], now: float) -> list[FaceRest]:
        """Count a visit that was an attack on these people, or on nobody. Return the rests that begin now. The strict
        time of the door is among them only if no face rests.
        """
        if not isfinite(now):
            return []
        if not imitated:
            self._be_strict(door, now + STRICT_PAD_S)
        self._forget(now)
        keys = [*((door, subject) for subject in sorted(imitated)), (door, None)]
        counted = [_place(*key) for key in keys if self._of(*key).counts(now)]
        rests = [rest for key in keys if (rest := self._count(*key, now))]
        for rest in rests:
            self._be_strict(door, now + rest.lasts_s)
        self._store(counted)
        return [rest for rest in rests if rest.subject] or rests

    def is_resting(self, door: str, subject: SubjectId, now: float) -> bool:
        """Return whether this face opens nothing now. Also true for an attacked face if `now` is not a number."""
        return not now >= self._of(door, subject).until

    def bound(self, door: str, pad_threshold: float, now: float) -> float:
        """Return the PAD threshold that applies now: `pad_threshold`, or its square root while PAD is strict."""
        is_usual = now >= max(self._strict_until.get(door, -inf), self._of(door, None).until)
        return pad_threshold if is_usual else max(pad_threshold, sqrt(max(0.0, pad_threshold)))

    def _count(self, door: str, subject: SubjectId | None, now: float) -> FaceRest | None:
        was = self._of(door, subject)
        self._faces.pop((door, subject), None)  # the most recently attacked are last
        self._faces[door, subject] = is_now = was.after(now, _an_hour(subject))
        return FaceRest(subject, round(is_now.until - now, 3)) if is_now.until > was.until else None

    def _of(self, door: str, subject: SubjectId | None) -> _AttackCount:
        """Return the attacks on a face, or at a door. The first time they are those from before a restart."""
        known = self._faces.get((door, subject))
        if known is None:
            known = _AttackCount()
            for at in self._before(_place(door, subject)):
                known = known.after(at, _an_hour(subject))
        return known

    def _forget(self, now: float) -> None:
        """Forget faces without an attack for `FORGIVE_S`, and the oldest above the limit."""
        kept = [(key, each) for key, each in self._faces.items() if now < max(each.last_at + FORGIVE_S, each.until)]
        self._faces = dict(kept[-MOST_ATTACKED_FACES:])

    def _be_strict(self, door: str, until: float) -> None:
        self._strict_until[door] = max(until, self._strict_until.get(door, -inf))


def _an_hour(subject: SubjectId | None) -> int:
    return DOOR_ATTACKS_AN_HOUR if subject is None else FACE_ATTACKS_AN_HOUR


def _place(door: str, subject: SubjectId | None) -> str:
    return f"faces/{door}" if subject is None else f"face/{door}/{subject}"
