"""The effect of events on the scene. Pure: each function takes a scene and an event, and returns the next scene."""

from typing import Literal

from msgspec.structs import replace

from gated import events
from gated.cues.cue import GUIDANCE, Situation
from gated.cues.guidance import SLOW
from gated.cues.scene import Scene, add_claim, drop_claims, end_claim_at, set_lasting
from gated.events import Event

CredentialResult = Literal["resting", "go_on", "second", "second_face"]
"""The results of a credential that cause no event (see `access.responder`)."""
REFUSAL_SHOWN_S = 9.0
"""How long a refusal is shown. Its sentence in two languages takes 7 s."""
RESTING_S = 9.0
"""How long a resting credential kind is shown."""
CODE_S = 20.0
"""How long the request for the PIN is shown after a flat number (`access.keypad`)."""
SECOND_S = 60.0
"""The longest time that the request for a second credential is shown. Its denial ends it earlier."""
CALLING_S = 70.0
"""The longest time that a call is shown as in progress. `access.calls` ends it earlier."""
OPENING_S = 3.0
"""How long "somebody has answered, the gate opens" is shown before "the gate is open"."""
NO_ANSWER_S = 25.0
"""How long an unanswered call is shown. A telephone number takes long to speak."""
ALARM_S = 30.0
"""How long the alarm of a forced door is shown after the door was closed."""

_NO_ANSWER = {
    "nobody": Situation.DECLINED,
    "unanswered": Situation.UNANSWERED,
    "unreachable": Situation.UNREACHABLE,
}
_CALL = {Situation.CALLING, Situation.OPENING, Situation.ANSWERED, *_NO_ANSWER.values()}
"""The situations of a call at one door."""
_SECOND = {Situation.SECOND, Situation.SECOND_FACE}
"""The requests for a second credential."""
_ATTEMPT = {Situation.CODE, *_SECOND, Situation.REFUSED, Situation.RESTING, *GUIDANCE}
"""The situations that a release for a person ends."""
_OF_THE_DOOR = {Situation.OPEN, Situation.HELD_OPEN, Situation.ALARM}
"""The situations that only a latch can report."""
_FACELESS = {"camera", "colour", "gallery", "models", "vision"}
"""The lost parts that disable the face. Card and PIN still work. Without the latch no credential works."""


def apply_event(scene: Scene, fact: Event, now: float) -> Scene:
    """Return the scene after an event of the time `now`, which may be in the past.

    The claims of a late event end at the right time, possibly in the past.
    """
    match fact:
        case events.AccessGranted():
            return replace(scene, decided=_track(scene), looking_at=None)
        case events.AccessDenied(reason="second_credential_missing"):
            return _refused(drop_claims(scene, _SECOND), now)
        case events.AccessDenied():
            return _refused(replace(scene, decided=_track(scene), looking_at=None), now)
        case events.CredentialDenied() | events.ReleaseRefused():
            scene = drop_claims(scene, {Situation.CODE, *_SECOND})
            return add_claim(scene, Situation.REFUSED, "way", now, REFUSAL_SHOWN_S)
        case events.TooManyAttempts():
            return apply_result(scene, "resting", now)
        case events.CallPressed() | events.CallAnswered() | events.CallEnded():
            return _apply_call(scene, fact, now)
        case events.Lockdown(is_over=is_over):
            return set_lasting(scene, Situation.LOCKDOWN, "", now, not is_over)
        case events.Enrolling(is_over=is_over):
            return set_lasting(scene, Situation.ENROLLING, "", now, not is_over)
        case events.ScheduledUnlock(door=door, is_over=is_over):
            return set_lasting(scene, Situation.FREE_PASSAGE, door, now, not is_over)
        case events.Degraded(lost=lost):
            scene = set_lasting(scene, Situation.OUT_OF_ORDER, "", now, not {"latch", "main"}.isdisjoint(lost))
            return set_lasting(scene, Situation.FAULT, "", now, not _FACELESS.isdisjoint(lost))
        case events.WorkerLost(worker="latch"):
            return drop_claims(scene, _OF_THE_DOOR)
    return _apply_door_event(scene, fact, now)


def apply_result(scene: Scene, result: CredentialResult, now: float) -> Scene:
    """Return the scene after a try of a resting credential kind, after a flat number that needs a PIN, or after a first
    credential that needs a second one.

    A resting cue that is already shown does not start again, so the next key does not interrupt its sentence.
    """
    if result == "resting":
        scene = drop_claims(scene, {Situation.CODE, *_SECOND})
        return add_claim(scene, Situation.RESTING, "way", now, RESTING_S, again=False)
    if result == "go_on":
        return add_claim(drop_claims(scene, {Situation.REFUSED, Situation.RESTING}), Situation.CODE, "way", now, CODE_S)
    scene = drop_claims(scene, _ATTEMPT)
    if result == "second":  # the face is decided, and gets no more guidance
        scene = replace(scene, decided=_track(scene), looking_at=None)
        return add_claim(scene, Situation.SECOND, "way", now, SECOND_S)
    scene = replace(scene, decided=None, came_at=now, looking_at=now)  # the gate looks at the face again
    return add_claim(scene, Situation.SECOND_FACE, "way", now, SECOND_S)


def _refused(scene: Scene, now: float) -> Scene:
    """Return the scene after a refused face.

    Extends the offer of other credentials if the gate has just shown it.
    """
    slow = scene.claims.get((Situation.REFUSED, SLOW))
    if slow is not None and now < slow.ends_at:
        return add_claim(scene, Situation.REFUSED, SLOW, now, REFUSAL_SHOWN_S, again=False)
    return add_claim(scene, Situation.REFUSED, "face", now, REFUSAL_SHOWN_S)


def _apply_call(scene: Scene, fact: events.CallPressed | events.CallAnswered | events.CallEnded, now: float) -> Scene:
    """Return the scene after an event of a call. It ends the claims of the previous call at this door."""
    scene = drop_claims(scene, _CALL, fact.door)
    match fact:
        case events.CallPressed():
            return add_claim(scene, Situation.CALLING, fact.door, now, CALLING_S)
        case events.CallAnswered(is_over=True) | events.CallEnded(outcome="opened"):
            return scene
        case events.CallAnswered(answer="opening"):
            return add_claim(scene, Situation.OPENING, fact.door, now, OPENING_S)
        case events.CallAnswered(answer=why) | events.CallEnded(outcome=why) if why in _NO_ANSWER:
            return add_claim(scene, _NO_ANSWER[why], fact.door, now, NO_ANSWER_S)
    return add_claim(scene, Situation.ANSWERED, fact.door, now)


def _apply_door_event(scene: Scene, fact: Event, now: float) -> Scene:
    """Return the scene after an event of a lock or a leaf."""
    match fact:
        case events.DoorReleased(cause="grant" | "rex", door=door, lease_s=lease_s):
            scene = drop_claims(
                drop_claims(replace(scene, looking_at=None), _ATTEMPT), _CALL - {Situation.OPENING}, door
            )
            return _show_open(scene, door, now, lease_s)
        case events.DoorSecured(door=door, cause=cause):
            ended = {Situation.OPEN, Situation.FIRE} if cause in ("start", "fire_reset") else {Situation.OPEN}
            return drop_claims(scene, ended, door)
        case events.DoorHeldOpen(door=door, is_alarm=is_alarm):
            return set_lasting(scene, Situation.ALARM if is_alarm else Situation.HELD_OPEN, door, now, True)
        case events.DoorForcedOpen(door=door):
            return add_claim(scene, Situation.ALARM, f"{door} forced", now)
        case events.DoorClosed(door=door):
            scene = drop_claims(scene, {Situation.HELD_OPEN, Situation.ALARM}, door)
            return end_claim_at(scene, (Situation.ALARM, f"{door} forced"), now + ALARM_S)
        case events.FireRelease(door=door):
            return set_lasting(scene, Situation.FIRE, door, now, True)
        case events.FireReset(door=door):
            return drop_claims(scene, {Situation.FIRE}, door)
    return scene


def _show_open(scene: Scene, door: str, now: float, lease_s: float) -> Scene:
    """Return the scene with a new open cue. A shorter lease does not shorten a longer one."""
    before = scene.claims.get((Situation.OPEN, door))
    runs_s = 0.0 if before is None else before.ends_at - now
    return add_claim(scene, Situation.OPEN, door, now, max(lease_s, runs_s))


def _track(scene: Scene) -> int | None:
    return None if scene.sight is None else scene.sight.track
