"""What a fact changes for the people at the gate. Pure: the scene so far and a fact in, the scene from then on out."""

from dataclasses import replace

from gated import events
from gated.cues.cue import GUIDANCE, Situation
from gated.cues.scene import Scene, claim, let_end, stand, without
from gated.events import Event

REFUSED_S = 9.0
"""So long people are told which other ways there are; the sentence in two languages takes 7 s."""
RESTING_S = 9.0
CALLING_S = 30.0
"""So long a call that nobody answers is shown as going on."""
ALARM_S = 30.0
"""So long a forced door is still an alarm after it was shut."""

_ATTEMPT = {Situation.REFUSED, Situation.RESTING, Situation.CALLING, Situation.ANSWERED, *GUIDANCE}
"""What is over when the door opens for somebody."""
_OF_THE_DOOR = {Situation.OPEN, Situation.HELD_OPEN, Situation.ALARM}
"""What only a latch that answers can know."""
_FACELESS = {"camera", "gallery", "models", "vision"}
"""Losses that leave card and PIN. Without the latch nothing opens; the others keep nobody out."""


def happened(scene: Scene, fact: Event, now: float) -> Scene:
    """The scene after a fact of the time `now`; a fact that was kept for a while ends as long ago as it should."""
    match fact:
        case events.AccessGranted():
            return replace(scene, decided=_track(scene))
        case events.AccessDenied():
            return claim(replace(scene, decided=_track(scene)), Situation.REFUSED, "face", now, REFUSED_S)
        case events.WayDenied() | events.ReleaseRefused():
            return claim(scene, Situation.REFUSED, "way", now, REFUSED_S)
        case events.TooManyAttempts():
            return claim(scene, Situation.RESTING, "way", now, RESTING_S)
        case events.CallPressed(door=door):
            return claim(scene, Situation.CALLING, door, now, CALLING_S)
        case events.CallAnswered(door=door, is_over=is_over):
            scene = without(scene, {Situation.CALLING, Situation.ANSWERED}, door)
            return scene if is_over else claim(scene, Situation.ANSWERED, door, now)
        case events.Lockdown(is_over=is_over):
            return stand(scene, Situation.LOCKDOWN, "", now, not is_over)
        case events.FreePassage(door=door, is_over=is_over):
            return stand(scene, Situation.FREE_PASSAGE, door, now, not is_over)
        case events.Degraded(lost=lost):
            scene = stand(scene, Situation.OUT_OF_ORDER, "", now, "latch" in lost)
            return stand(scene, Situation.FAULT, "", now, not _FACELESS.isdisjoint(lost))
        case events.WorkerLost(worker="latch"):
            return without(scene, _OF_THE_DOOR)
    return _door_happened(scene, fact, now)


def _door_happened(scene: Scene, fact: Event, now: float) -> Scene:
    """The same for what a lock or a leaf does."""
    match fact:
        case events.DoorReleased(cause="grant" | "rex", door=door, lease_s=lease_s):
            return claim(without(scene, _ATTEMPT), Situation.OPEN, door, now, lease_s)
        case events.DoorSecured(door=door, cause=cause):
            gone = {Situation.OPEN, Situation.FIRE} if cause in ("start", "fire_reset") else {Situation.OPEN}
            return without(scene, gone, door)
        case events.DoorHeldOpen(door=door, is_alarm=is_alarm):
            return stand(scene, Situation.ALARM if is_alarm else Situation.HELD_OPEN, door, now, True)
        case events.DoorForcedOpen(door=door):
            return claim(scene, Situation.ALARM, f"{door} forced", now)
        case events.DoorClosed(door=door):
            scene = without(scene, {Situation.HELD_OPEN, Situation.ALARM}, door)
            return let_end(scene, (Situation.ALARM, f"{door} forced"), now + ALARM_S)
        case events.FireRelease(door=door):
            return stand(scene, Situation.FIRE, door, now, True)
        case events.FireReset(door=door):
            return without(scene, {Situation.FIRE}, door)
    return scene


def _track(scene: Scene) -> int | None:
    return None if scene.sight is None else scene.sight.track
