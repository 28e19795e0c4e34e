"""What people could be told now: claims, and the one that ranks highest. Pure.

A claim says "this situation, for this reason, until then"; facts and faces make claims and take them back.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType

from gated.cues.cue import RANK, Situation


@dataclass(frozen=True, slots=True)
class Sight:
    """A face in one frame, without who it is.

    `problem`: why it cannot be used (see `face.messages.Observation`), None when it can. `centre_x`: its middle, 0 at
    the left edge of the picture and 1 at the right. `size_ratio`: its size over the least that is needed. `pitch_deg`:
    positive for a face turned up.
    """

    track: int
    problem: str | None
    centre_x: float
    size_ratio: float
    pitch_deg: float

    @property
    def nearness(self) -> float:
        """How far it is from where it should be: 0 is far, 1 is there."""
        return max(0.0, min(1.0, 2 * self.size_ratio - 1, 1 - abs(2 * self.centre_x - 1)))


@dataclass(frozen=True, slots=True)
class Claim:
    """A situation holds until `ends_at`; `number` is another one whenever people must be told anew."""

    ends_at: float
    number: int
    began_at: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is remembered: the claims by situation and reason, and the face that is looked at."""

    claims: Mapping[tuple[Situation, str], Claim] = field(default_factory=lambda: MappingProxyType({}))
    number: int = 0
    sight: Sight | None = None
    came_at: float = -inf
    seen_at: float = -inf
    unusable_at: float | None = None
    """Since when the face cannot be used."""
    decided: int | None = None
    """The face that a decision was made about, or that has stood there for too long to be spoken to."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What people are told now; the same situation with another `number` is told from the beginning."""

    situation: Situation
    number: int = 0


def shown(scene: Scene, now: float) -> Shown:
    """What holds now."""
    alive = [(RANK[s], -c.number, s) for (s, _), c in scene.claims.items() if now < c.ends_at]
    if not alive:
        return Shown(Situation.IDLE)
    _, number, situation = min(alive)
    return Shown(situation, -number)


def ends_at(scene: Scene, now: float) -> float:
    """When the next claim ends by itself, in monotonic seconds; infinity when none does."""
    return min((c.ends_at for c in scene.claims.values() if now < c.ends_at), default=inf)


def claim(
    scene: Scene, situation: Situation, why: str, now: float, lasts_s: float = inf, *, again: bool = True
) -> Scene:
    """With a claim more, told from the beginning; without `again` one that still stands only lasts longer."""
    old = scene.claims.get((situation, why))
    if old is not None and not again and now < old.ends_at:
        new = replace(old, ends_at=max(old.ends_at, now + lasts_s))
    else:
        new = Claim(now + lasts_s, scene.number + 1, now)
    alive = {key: c for key, c in scene.claims.items() if now < c.ends_at}
    claims = MappingProxyType({**alive, (situation, why): new})
    return replace(scene, claims=claims, number=max(scene.number, new.number))


def stand(scene: Scene, situation: Situation, why: str, now: float, on: bool) -> Scene:
    """What stands until it is taken back."""
    return claim(scene, situation, why, now, again=False) if on else without(scene, {situation}, why)


def without(scene: Scene, situations: Set[Situation], why: str | None = None) -> Scene:
    """Without these claims, all of them or those for one reason."""
    kept = {k: c for k, c in scene.claims.items() if k[0] not in situations or why not in (None, k[1])}
    return replace(scene, claims=MappingProxyType(kept))


def let_end(scene: Scene, key: tuple[Situation, str], at: float) -> Scene:
    """The same, and one claim ends then, if it stands."""
    if key not in scene.claims:
        return scene
    return replace(scene, claims=MappingProxyType({**scene.claims, key: replace(scene.claims[key], ends_at=at)}))
