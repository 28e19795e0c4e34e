"""Guides people by arrow and sound to a place where the gate can use their face. Pure.

Guidance during the capture helps far more than instructions before it (HCIS 5:24). No guidance asks people to open
their eyes, to look at a certain spot, or to take anything off.
"""

from math import isfinite

from msgspec.structs import replace

from gated.cues.cue import GUIDANCE, Situation
from gated.cues.scene import Scene, Sight, add_claim, drop_claims, shown_situation

FACE_S = 1.0
"""A face that is not seen for this long has left. The tracker uses the same time."""
UNUSABLE_S = 0.7
"""A face that is unusable for this long gets guidance. Most become usable earlier without it."""
OFFER_AFTER_S = 6.0
"""After this time without a decision, the gate offers the other credentials once. The identification continues."""
OFFERED_S = 9.0
"""How long the offer is shown. The sentence in two languages takes 7 s."""
SLOW = "slow"
"""The reason of that offer."""
STANDS_S = 30.0
"""A person without a decision for this long only stands there, and gets no more cues."""
GUIDED_S = 2.5
"""The shortest time that one guidance is shown before another."""
ANNOUNCE_AGAIN_S = 10.0
"""The shortest time between two announcements of a lasting situation to people who arrive."""

NEAR_ENOUGH = 0.5
"""A face smaller than this share of the needed size is a person who walks by."""
OFF_CENTRE = 0.3
"""A face with its centre in the outer 30 % of the picture is guided to the middle."""
TILTED_DEG = 15.0
"""A head that is turned away and pitched by more than this is asked to come level."""

_STANDING = {Situation.LOCKDOWN, Situation.OUT_OF_ORDER, Situation.HELD_OPEN, Situation.FREE_PASSAGE, Situation.FAULT}
"""The lasting situations. They are announced again to people who arrive later."""


def apply_sight(scene: Scene, sight: Sight, now: float) -> Scene:
    """Return the scene after a face was seen.

    A face that walks by or is farther away does not replace the current face.
    """
    if sight.problem == "background" or not (isfinite(sight.centre_x) and sight.size_ratio >= NEAR_ENOUGH):
        return scene
    if now - scene.present_at > FACE_S:
        scene = replace(scene, looking_at=now)
    scene = replace(scene, present_at=now)
    present = scene.sight if now - scene.seen_at <= FACE_S else None
    if present is not None and present.track != sight.track and not sight.size_ratio > present.size_ratio:
        return scene
    is_new = present is None or present.track != sight.track
    if is_new and scene.decided is not None:
        scene = replace(scene, looking_at=now)
    if is_new:
        scene = _announce_again(replace(scene, came_at=now, unusable_at=None, decided=None), now)
    scene = replace(
        scene,
        sight=sight,
        seen_at=now,
        unusable_at=None if sight.problem is None else now if scene.unusable_at is None else scene.unusable_at,
        decided=sight.track if now - scene.came_at > STANDS_S else scene.decided,
    )
    if scene.decided is not None:
        return replace(scene, looking_at=None)
    if scene.looking_at is not None and now - scene.looking_at >= OFFER_AFTER_S:
        scene = _offer(scene, now)
    return _guide(add_claim(scene, Situation.LOOKING, "", now, FACE_S, again=False), sight, now)


def _offer(scene: Scene, now: float) -> Scene:
    """Offer the other credentials. While a situation of higher priority is shown, restart the time instead."""
    if shown_situation(scene, now).situation not in (*GUIDANCE, Situation.LOOKING, Situation.IDLE):
        return replace(scene, looking_at=now)
    return replace(add_claim(scene, Situation.REFUSED, SLOW, now, OFFERED_S), looking_at=None)


def _guide(scene: Scene, sight: Sight, now: float) -> Scene:
    """Guide a person with an unusable face, with one guidance at a time, long enough to be heard."""
    wanted = _guidance(sight) if scene.unusable_at is not None and now - scene.unusable_at >= UNUSABLE_S else None
    current = {s: c for (s, _), c in scene.claims.items() if s in GUIDANCE and now < c.ends_at}
    if sight.problem is None:
        return drop_claims(scene, set(current))
    if wanted is None or current.keys() - {wanted}:
        return scene
    lasts_s = FACE_S if wanted in current else GUIDED_S
    return add_claim(scene, wanted, "", now, lasts_s, again=False)


def _guidance(sight: Sight) -> Situation | None:
    """Return the guidance that a face needs, or None.

    The camera faces people, so a person at the left of the picture must go to their own left.
    """
    if sight.problem == "too_small":
        return Situation.CLOSER
    if sight.problem == "too_near" and sight.fill > 1:
        return Situation.BACK
    if sight.centre_x < OFF_CENTRE:
        return Situation.LEFT
    if sight.centre_x > 1 - OFF_CENTRE:
        return Situation.RIGHT
    if sight.problem == "too_near":  # at the upper or lower edge: the whole face is visible from farther back
        return Situation.BACK
    if sight.problem == "turned_away" and abs(sight.pitch_deg) > TILTED_DEG:
        return Situation.UP if sight.pitch_deg < 0 else Situation.DOWN
    return None


def _announce_again(scene: Scene, now: float) -> Scene:
    """Announce the lasting situations again to a person who arrives."""
    for (situation, why), old in scene.claims.items():
        if situation in _STANDING and now - old.began_at >= ANNOUNCE_AGAIN_S:
            scene = add_claim(scene, situation, why, now)
    return scene
