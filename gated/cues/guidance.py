"""Where a face should go so that it can be used, for people who see the arrow and for people who hear it. Pure.

Guidance while one is looked at helps far more than instructions beforehand (HCIS 5:24), and nobody is asked to open the
eyes, to look anywhere, or to take off anything.
"""

from dataclasses import replace
from math import isfinite

from gated.cues.cue import GUIDANCE, Situation
from gated.cues.scene import Scene, Sight, claim, without

FACE_S = 1.0
"""A face not seen for so long has left; the tracker's patience."""
UNUSABLE_S = 0.7
"""A face that cannot be used for so long is guided; most come right by themselves."""
STANDS_S = 30.0
"""Who is looked at for so long, and comes to no decision, only stands there: they are left in peace."""
GUIDED_S = 2.5
"""So long one piece of guidance stands before another may follow."""
AGAIN_S = 10.0
"""Who arrives is told what stands (closed, out of order), at most so often."""

NEAR_ENOUGH = 0.5
"""A face smaller than this share of the size that is needed is somebody who walks by."""
ASIDE = 0.3
"""A face whose middle is in the outer 30 % of the picture is asked to the middle."""
TILTED_DEG = 15.0
"""A head that is turned away, and up or down by more than this, is asked to come level."""

_STANDING = {Situation.LOCKDOWN, Situation.OUT_OF_ORDER, Situation.HELD_OPEN, Situation.FREE_PASSAGE, Situation.FAULT}
"""What was told once, and holds for those who come later."""


def saw(scene: Scene, sight: Sight, now: float) -> Scene:
    """The scene after a face was seen; one that walks by, or stands behind a nearer one, changes nothing."""
    if sight.problem == "background" or not (isfinite(sight.centre_x) and sight.size_ratio >= NEAR_ENOUGH):
        return scene
    present = scene.sight if now - scene.seen_at <= FACE_S else None
    if present is not None and present.track != sight.track and not sight.size_ratio > present.size_ratio:
        return scene
    is_new = present is None or present.track != sight.track
    if is_new:
        scene = _tell_arrival(replace(scene, came_at=now, unusable_at=None, decided=None), now)
    scene = replace(
        scene,
        sight=sight,
        seen_at=now,
        unusable_at=None if sight.problem is None else now if scene.unusable_at is None else scene.unusable_at,
        decided=sight.track if now - scene.came_at > STANDS_S else scene.decided,
    )
    if scene.decided is not None:
        return scene
    return _guide(claim(scene, Situation.LOOKING, "", now, FACE_S, again=False), sight, now)


def _guide(scene: Scene, sight: Sight, now: float) -> Scene:
    """Tell somebody whose face cannot be used where to go; one thing at a time, for as long as it takes to hear."""
    wanted = _guidance(sight) if scene.unusable_at is not None and now - scene.unusable_at >= UNUSABLE_S else None
    standing = {s: c for (s, _), c in scene.claims.items() if s in GUIDANCE and now < c.ends_at}
    if sight.problem is None:
        return without(scene, set(standing))
    if wanted is None or standing.keys() - {wanted}:
        return scene
    lasts_s = FACE_S if wanted in standing else GUIDED_S
    return claim(scene, wanted, "", now, lasts_s, again=False)


def _guidance(sight: Sight) -> Situation | None:
    """Where to go. The camera faces people: who is at the left of its picture must go to their own left."""
    if sight.problem == "too_small":
        return Situation.CLOSER
    if sight.centre_x < ASIDE:
        return Situation.LEFT
    if sight.centre_x > 1 - ASIDE:
        return Situation.RIGHT
    if sight.problem == "turned_away" and abs(sight.pitch_deg) > TILTED_DEG:
        return Situation.UP if sight.pitch_deg < 0 else Situation.DOWN
    return None


def _tell_arrival(scene: Scene, now: float) -> Scene:
    """Somebody comes: what stands is told again."""
    for (situation, why), old in scene.claims.items():
        if situation in _STANDING and now - old.began_at >= AGAIN_S:
            scene = claim(scene, situation, why, now)
    return scene
