"""Facts that cross chapters and that the journal keeps: what happened at this gate, never to whom by name.

A fact is one small struct; its tag is the `kind` that `gated events list` shows. Fields are only ever added.
"""

import msgspec

MAIN = "main"
"""The first door."""
SECOND = "second"


class Event(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The root of all facts."""


class Started(Event, frozen=True, tag="started"):
    """The brain is up, with these settings (a digest, so that a change is seen) and this version."""

    version: str
    settings_sha256: str


class Stopped(Event, frozen=True, tag="stopped"):
    """The brain ends as it was asked to."""

    why: str


class ConfigChanged(Event, frozen=True, tag="config_changed"):
    """The settings are not those of the start before."""

    before_sha256: str
    after_sha256: str


class AccessGranted(Event, frozen=True, tag="access_granted"):
    """Somebody enrolled was let in, and on what evidence."""

    visit: str
    subject: str
    score: float
    threshold: float
    gallery_size: int
    pad_score: float
    frames: int
    embedder_sha256: str
    latency_s: float
    """From the exposure of the deciding frame to the decision."""


class AccessDenied(Event, frozen=True, tag="access_denied"):
    """A visit ended without a grant; `reason` is one of `access.policy.Reason` or of
    `access.rights.Refusal`. A stranger leaves no other trace.
    """

    visit: str
    reason: str
    threshold: float
    gallery_size: int
    frames: int
    latency_s: float
    """From the exposure of the last frame that was looked at to the decision."""
    subject: str | None = None
    score: float | None = None
    pad_score: float | None = None


class WayGranted(Event, frozen=True, tag="way_granted"):
    """Somebody was let in by another way than the face; `way` is "card", "pin", "pass" or "remote"."""

    way: str
    visit: str
    credential: str
    """Its id; never its number."""
    subject: str | None = None
    """None: a guest's pass."""
    door: str = MAIN
    is_first: bool = False
    """Whether it was never used before."""


class WayDenied(Event, frozen=True, tag="way_denied"):
    """A card, PIN or pass opened nothing; `reason` is one of `access.rights.Refusal`. What was shown is not kept."""

    way: str
    reason: str
    subject: str | None = None
    credential: str | None = None
    door: str = MAIN


class TooManyAttempts(Event, frozen=True, tag="too_many_attempts"):
    """One way in rests for a while; the others do not."""

    way: str
    attempts: int
    door: str = MAIN


class PresentationAttack(Event, frozen=True, tag="presentation_attack"):
    """Pictures of faces were held up: `visits` within a minute, or more within an hour. `subject`'s face rests for
    `rests_s`. Without a subject they resembled nobody known or several people, and PAD is stricter for so long.
    """

    visits: int
    rests_s: float
    subject: str | None = None
    door: str = MAIN


class PinsGuessed(Event, frozen=True, tag="pins_guessed"):
    """So many wrong PINs in a day, as many as the door or a household is given: PINs rest there, or the door slows."""

    guesses: int
    door: str = MAIN


class WeakPin(Event, frozen=True, tag="weak_pin"):
    """Somebody typed a PIN of theirs that strangers try early. Which one, and whether it opened, is not said."""

    subject: str


class CardsGuessed(Event, frozen=True, tag="cards_guessed"):
    """So many unknown cards in a day, as many as a reader is given: it pauses after each one more."""

    guesses: int
    door: str = MAIN


class ReaderMisread(Event, frozen=True, tag="reader_misread"):
    """A reader has said something that nobody understands: `what` tells its kind and its length, never what it was."""

    reader: str
    what: str
    door: str = MAIN


class Duress(Event, frozen=True, tag="duress"):
    """Somebody was forced to open: the gate opens as always, and tells nobody at the gate."""

    subject: str
    visit: str
    door: str = MAIN


class CredentialAdded(Event, frozen=True, tag="credential_added"):
    """Somebody was given a card, a PIN or a pass."""

    way: str
    credential: str
    subject: str | None = None


class CredentialRemoved(Event, frozen=True, tag="credential_removed"):
    """A card, a PIN or a pass is good no longer."""

    way: str
    credential: str
    subject: str | None = None


class DoorReleased(Event, frozen=True, tag="door_released"):
    """The lock is released; `cause` is "grant", "rex", "fire" or "schedule"."""

    cause: str
    lease_s: float
    """0 of a fire: until it is reset."""
    visit: str | None = None
    door: str = MAIN


class DoorSecured(Event, frozen=True, tag="door_secured"):
    """The lock is secured; `cause` is "lease", "closed", "disconnect", "stop", "start", "lockdown" or "fire_reset"."""

    cause: str
    door: str = MAIN


class DoorOpened(Event, frozen=True, tag="door_opened"):
    """The leaf opened; `after` is "grant", "rex", "fire", "schedule" or "nothing"."""

    after: str
    door: str = MAIN


class DoorClosed(Event, frozen=True, tag="door_closed"):
    """The leaf is shut."""

    door: str = MAIN


class DoorHeldOpen(Event, frozen=True, tag="door_held_open"):
    """The leaf has stood open too long; people are asked to shut it before it is an alarm."""

    open_s: float
    is_alarm: bool = False
    door: str = MAIN


class DoorForcedOpen(Event, frozen=True, tag="door_forced_open"):
    """The leaf opened and nothing had released the lock."""

    door: str = MAIN


class DoorDidNotOpen(Event, frozen=True, tag="door_did_not_open"):
    """The lock was released, and the leaf stayed shut to the end."""

    cause: str
    door: str = MAIN


class DoorTried(Event, frozen=True, tag="door_tried"):
    """Somebody who looks after the gate has it released, to see whether it works; what came of that follows."""

    by: str
    door: str = MAIN


class LineImplausible(Event, frozen=True, tag="line_implausible"):
    """A relay or an input says what cannot be; `line` is "lock", "contact" or another input's name."""

    line: str
    why: str
    door: str = MAIN


class LinePlausible(Event, frozen=True, tag="line_plausible"):
    """A line that said what cannot be makes sense again."""

    line: str
    door: str = MAIN


class Tampered(Event, frozen=True, tag="tampered"):
    """The box or its wires were opened, or (`is_over`) are shut again."""

    is_over: bool = False
    door: str = MAIN


class FireRelease(Event, frozen=True, tag="fire_release"):
    """The fire input is active: every door stands released until somebody resets it by hand."""

    door: str = MAIN


class FireReset(Event, frozen=True, tag="fire_reset"):
    """Somebody has turned the key after a fire release, and the fire input is quiet."""

    door: str = MAIN


class Lockdown(Event, frozen=True, tag="lockdown"):
    """Nobody is let in any more, or (`is_over`) again; leaving and fire are as always."""

    by: str
    is_over: bool = False


class FreePassage(Event, frozen=True, tag="free_passage"):
    """By schedule the door stands released, or (`is_over`) does no longer."""

    schedule: str
    is_over: bool = False
    door: str = MAIN


class CallPressed(Event, frozen=True, tag="call_pressed"):
    """Somebody at the gate asks for a person."""

    door: str = MAIN


class CallAnswered(Event, frozen=True, tag="call_answered"):
    """Somebody at the office has answered a call; `answer` is "opening", "wait" or "nobody" (nobody can come).

    `is_over`, of gates before 0.2: a person no longer speaks with the one at the gate.
    """

    door: str = MAIN
    is_over: bool = False
    answer: str = "wait"


class CallEnded(Event, frozen=True, tag="call_ended"):
    """A call is over that nobody answered, or that was answered with "wait"; `outcome` is one of these.

    "unanswered": nobody answered in time. "unreachable": there is no link to the office. "opened": the door was
    released meanwhile.
    """

    outcome: str
    door: str = MAIN


class ClockDoubted(Event, frozen=True, tag="clock_doubted"):
    """The time of day cannot be trusted, or (`is_over`) can again; meanwhile schedules let nobody in."""

    why: str
    is_over: bool = False


class PreferencesChanged(Event, frozen=True, tag="preferences_changed"):
    """Somebody asked the gate to behave otherwise for them; how is not written down here."""

    subject: str


class RightsChanged(Event, frozen=True, tag="rights_changed"):
    """By which doors and when somebody, all they live with, or all of their role may pass is another now."""

    subject: str
    is_household: bool = False
    is_role: bool = False


class ReleaseRefused(Event, frozen=True, tag="release_refused"):
    """The latch would not release: the request was too old, too long, or malformed."""

    visit: str
    why: str
    door: str = MAIN


class WorkerLost(Event, frozen=True, tag="worker_lost"):
    """A worker process ended, fell silent, or said that it cannot work; `worker` is "vision" or "latch"."""

    worker: str
    why: str


class WorkerReady(Event, frozen=True, tag="worker_ready"):
    """A worker process works (again)."""

    worker: str


class Degraded(Event, frozen=True, tag="degraded"):
    """What the gate cannot do now; an empty list means that all is well again."""

    lost: list[str]


class PersonEnrolled(Event, frozen=True, tag="person_enrolled"):
    """Somebody consented, after this version of the notice, and was enrolled. The consent's reference stays here.

    `purposes`: what they agreed to at this gate beside being recognised.
    """

    subject: str
    templates: int
    notice: str
    embedder_sha256: str
    purposes: list[str] = []


class PersonAdded(Event, frozen=True, tag="person_added"):
    """Somebody was added without a face, to come in by a card or a PIN."""

    subject: str


class PersonSuspended(Event, frozen=True, tag="person_suspended"):
    """Somebody is known and not let in for the time being."""

    subject: str


class PersonResumed(Event, frozen=True, tag="person_resumed"):
    """A suspension is over."""

    subject: str


class PersonRemoved(Event, frozen=True, tag="person_removed"):
    """Somebody is gone from this gate; the key to what was stored is destroyed."""

    subject: str
    templates: int


class RecordsApplied(Event, frozen=True, tag="records_applied"):
    """The office's records were followed up to `version`; so many people came, changed and went."""

    version: int
    added: int
    changed: int
    removed: int


class Enrolling(Event, frozen=True, tag="enrolling"):
    """The office ordered an enrolment: the gate says so to whoever stands there, until `is_over`."""

    is_over: bool = False


class RecordQuarantined(Event, frozen=True, tag="record_quarantined"):
    """A record looks like poisoning and waits for somebody here: "bulk", "duplicate", "vector" or "changed"."""

    subject: str
    why: str


class RecordAccepted(Event, frozen=True, tag="record_accepted"):
    """Somebody at the gate, or (`operator`) at the office, found that a record which was held back is no poison."""

    subject: str
    operator: str = ""


class GateHeld(Event, frozen=True, tag="gate_held"):
    """The office says keys of another gate (`gate`) that nobody accepted here: no face goes there until then."""

    gate: str
    fingerprint: str


class GateAccepted(Event, frozen=True, tag="gate_accepted"):
    """Faces may go to `gate`: somebody here accepted its keys, or gate `by`, which is trusted here, has signed them."""

    gate: str
    fingerprint: str
    by: str = ""


class ConsentHeld(Event, frozen=True, tag="consent_held"):
    """Only the office says that somebody, whose face was taken here, agreed to more. It counts when accepted here."""

    subject: str


class ConsentsAccepted(Event, frozen=True, tag="consents_accepted"):
    """Somebody at the gate accepted what the office says that `people` people agreed to; `left` still wait."""

    people: int
    left: int = 0


class BatchRenewed(Event, frozen=True, tag="batch_renewed"):
    """Somebody at the gate lets the office bring people in batches anew; it had brought `spent` of them."""

    spent: int


class Commanded(Event, frozen=True, tag="commanded"):
    """The office ordered something; `outcome` is "done", "refused" or "failed". `operator` is its short name there."""

    action: str
    command: str
    operator: str
    reason: str
    outcome: str
    why: str = ""


class ServerSilent(Event, frozen=True, tag="server_silent"):
    """For too long nothing proves that the office still speaks to us, or (`is_over`) something does again."""

    silent_s: int
    is_over: bool = False


class SettingsTried(Event, frozen=True, tag="settings_tried"):
    """Settings from the office were kept, or (`outcome` "rolled_back") taken back because the gate was not healthy."""

    outcome: str
    why: str = ""


class FaceShared(Event, frozen=True, tag="face_shared"):
    """Somebody's templates were sealed to another gate, as they agreed."""

    subject: str
    to: str


class Updated(Event, frozen=True, tag="updated"):
    """Another version of gated was "kept" after its trial, or "rolled_back" to the one before it."""

    before: str
    after: str
    outcome: str
    why: str = ""


class EventsLost(Event, frozen=True, tag="events_lost"):
    """So many facts found no place while the disk could not be written."""

    count: int


class DatabaseMended(Event, frozen=True, tag="database_mended"):
    """A damaged database was begun anew with what could be read of it, and `kept_as` is the damaged one's name now."""

    file: str
    kept_as: str
    torn: list[str] = []
    """The tables that have lost rows."""
    anew: list[str] = []
    """Ids of people whom only this gate knows, and who are to be enrolled anew."""


AnyEvent = (
    Started
    | Stopped
    | ConfigChanged
    | AccessGranted
    | AccessDenied
    | WayGranted
    | WayDenied
    | TooManyAttempts
    | PresentationAttack
    | PinsGuessed
    | CardsGuessed
    | ReaderMisread
    | Duress
    | CredentialAdded
    | CredentialRemoved
    | DoorReleased
    | DoorSecured
    | DoorOpened
    | DoorClosed
    | DoorHeldOpen
    | DoorForcedOpen
    | DoorDidNotOpen
    | DoorTried
    | LineImplausible
    | LinePlausible
    | Tampered
    | FireRelease
    | FireReset
    | Lockdown
    | FreePassage
    | CallPressed
    | CallAnswered
    | CallEnded
    | ClockDoubted
    | PreferencesChanged
    | RightsChanged
    | ReleaseRefused
    | WorkerLost
    | WorkerReady
    | Degraded
    | PersonEnrolled
    | PersonAdded
    | PersonSuspended
    | PersonResumed
    | PersonRemoved
    | RecordsApplied
    | Enrolling
    | RecordQuarantined
    | RecordAccepted
    | BatchRenewed
    | GateHeld
    | GateAccepted
    | ConsentHeld
    | ConsentsAccepted
    | Commanded
    | ServerSilent
    | SettingsTried
    | FaceShared
    | Updated
    | EventsLost
    | DatabaseMended
)
"""Every fact there is; what the journal can read back."""
