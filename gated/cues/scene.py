"""The claims of all situations, and the choice of the shown one. Pure.

A claim is a situation, a reason and an end time. Events and faces add claims and remove them. The claim with the
highest priority is shown.
"""

from collections.abc import Mapping, Set
from math import inf
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from gated.cues.cue import GUIDANCE, RANK, Situation

SENTENCE_S = 9.5
"""The time in which the beeps and the sentence of the request for a face are heard, in two languages: 9.2 s."""


class Sight(Struct, frozen=True):
    """A face in one frame, without an identity.

    `problem`: why it is unusable (see `face.messages.Observation`), or None. `centre_x`: its centre, 0 at the left edge
    of the picture, 1 at the right. `size_ratio`: its size divided by the least needed. `pitch_deg`: positive for a face
    turned up. `fill`: its share of the picture divided by the largest allowed share; 0 if unknown.
    """

    track: int
    problem: str | None
    centre_x: float
    size_ratio: float
    pitch_deg: float
    fill: float = 0.0

    @property
    def nearness(self) -> float:
        """How near the face is to its best position: 0 is far, 1 is there."""
        return max(0.0, min(1.0, 2 * self.size_ratio - 1, 1 - abs(2 * self.centre_x - 1), 2 - self.fill))


class SituationClaim(Struct, frozen=True):
    """The begin and the end of one situation, in monotonic seconds. A new `number` means that its cue starts again."""

    ends_at: float
    number: int
    began_at: float


class Scene(Struct, frozen=True):
    """The whole state: the claims by situation and reason, and the current face. Times are monotonic seconds."""

    claims: Mapping[tuple[Situation, str], SituationClaim] = field(default_factory=lambda: MappingProxyType({}))
    number: int = 0
    sight: Sight | None = None
    came_at: float = -inf
    seen_at: float = -inf
    present_at: float = -inf
    """When any face was last seen, including faces farther than the current one."""
    unusable_at: float | None = None
    """When the current face became unusable, or None."""
    looking_at: float | None = None
    """When the wait for a decision began. None: no person waits, or the gate already offers the other credentials."""
    decided: int | None = None
    """The track of a face with a decision, or of a face that stands there for too long. It gets no more cues."""


class ShownSituation(Struct, frozen=True):
    """The situation that is shown now. The same situation with another `number` starts its cue again."""

    situation: Situation
    number: int = 0


def shown_situation(scene: Scene, now: float) -> ShownSituation:
    """Return the situation to show now: the highest priority, then the newest claim.

    The request for a face gives way to the guidance of that face, once people have heard it.
    """
    alive = [(RANK[s], -c.number, s) for (s, _), c in scene.claims.items() if now < c.ends_at]
    if not alive:
        return ShownSituation(Situation.IDLE)
    first = min(alive)
    if first[2] is Situation.SECOND_FACE and _is_spoken(scene, now):
        first = min((each for each in alive if each[2] in GUIDANCE), default=first)
    return ShownSituation(first[2], -first[1])


def _is_spoken(scene: Scene, now: float) -> bool:
    """Return whether the newest request for a face has been shown for `SENTENCE_S`."""
    begins = [c.began_at for (situation, _), c in scene.claims.items() if situation is Situation.SECOND_FACE]
    return now - max(begins) >= SENTENCE_S


def next_end(scene: Scene, now: float) -> float:
    """Return when the next claim expires, in monotonic seconds. Infinite if none does."""
    return min((c.ends_at for c in scene.claims.values() if now < c.ends_at), default=inf)


def add_claim(
    scene: Scene, situation: Situation, why: str, now: float, lasts_s: float = inf, *, again: bool = True
) -> Scene:
    """Return the scene with one more claim, whose cue starts from the beginning.

    Without `again`, a claim of the same situation and reason that has not expired is only extended.
    """
    old = scene.claims.get((situation, why))
    if old is not None and not again and now < old.ends_at:
        new = replace(old, ends_at=max(old.ends_at, now + lasts_s))
    else:
        new = SituationClaim(now + lasts_s, scene.number + 1, now)
    alive = {key: c for key, c in scene.claims.items() if now < c.ends_at}
    claims = MappingProxyType({**alive, (situation, why): new})
    return replace(scene, claims=claims, number=max(scene.number, new.number))


def set_lasting(scene: Scene, situation: Situation, why: str, now: float, on: bool) -> Scene:
    """Return the scene with (`on`) or without a claim that has no end time."""
    return add_claim(scene, situation, why, now, again=False) if on else drop_claims(scene, {situation}, why)


def drop_claims(scene: Scene, situations: Set[Situation], why: str | None = None) -> Scene:
    """Return the scene without the claims of these situations, for one reason or for every reason."""
    kept = {k: c for k, c in scene.claims.items() if k[0] not in situations or why not in (None, k[1])}
    return replace(scene, claims=MappingProxyType(kept))


def end_claim_at(scene: Scene, key: tuple[Situation, str], at: float) -> Scene:
    """Return the scene with another end time of one claim, if it exists."""
    if key not in scene.claims:
        return scene
    return replace(scene, claims=MappingProxyType({**scene.claims, key: replace(scene.claims[key], ends_at=at)}))
