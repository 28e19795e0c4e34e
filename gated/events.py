"""The events of a gate, as the journal stores them. No event has a name, a picture or a number of a credential.

An event is a small struct. Its tag is the `kind` that `gated events list` shows. Fields are only ever added.
"""

import msgspec

MAIN = "main"
"""The first door."""
SECOND = "second"


class Event(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The root of all events."""


class Started(Event, frozen=True, tag="started"):
    """The brain has started. `settings_sha256` is a digest of the settings: it shows a change."""

    version: str
    settings_sha256: str


class Stopped(Event, frozen=True, tag="stopped"):
    """The brain was stopped and ends. `why`: the reason."""

    why: str


class ConfigChanged(Event, frozen=True, tag="config_changed"):
    """The settings differ from those of the previous start."""

    before_sha256: str
    after_sha256: str


class AccessGranted(Event, frozen=True, tag="access_granted"):
    """A face was granted access. The fields are the evidence."""

    visit: str
    subject: str
    score: float
    threshold: float
    gallery_size: int
    pad_score: float
    frames: int
    embedder_sha256: str
    latency_s: float
    """Seconds from the exposure of the deciding frame to the decision."""


class AccessDenied(Event, frozen=True, tag="access_denied"):
    """A visit ended without a grant. `reason`: of `access.face_policy` or `access.permissions`.

    A stranger leaves no other trace.
    """

    visit: str
    reason: str
    threshold: float
    gallery_size: int
    frames: int
    latency_s: float
    """Seconds from the exposure of the last frame to the decision."""
    subject: str | None = None
    score: float | None = None
    pad_score: float | None = None


class CredentialGranted(Event, frozen=True, tag="way_granted"):
    """A credential other than a face was granted access. `way`: "card", "pin", "pass" or "remote"."""

    way: str
    visit: str
    credential: str
    """Id of the credential, never its number."""
    subject: str | None = None
    """None for a visitor pass."""
    door: str = MAIN
    is_first: bool = False
    """Whether this is its first use."""


class CredentialDenied(Event, frozen=True, tag="way_denied"):
    """A card, PIN or pass was denied. `reason`: a `Refusal` of `access.permissions`. The number is not stored."""

    way: str
    reason: str
    subject: str | None = None
    credential: str | None = None
    door: str = MAIN


class TooManyAttempts(Event, frozen=True, tag="too_many_attempts"):
    """One kind of credential rests for a while after too many failures. All other kinds still work."""

    way: str
    attempts: int
    door: str = MAIN


class PresentationAttack(Event, frozen=True, tag="presentation_attack"):
    """Pictures of faces were shown: `visits` within a minute, or more within an hour.

    The face of `subject` rests for `rests_s`. Without a subject, the pictures matched nobody or several people, and PAD
    is stricter for that time.
    """

    visits: int
    rests_s: float
    subject: str | None = None
    door: str = MAIN


class PinsGuessed(Event, frozen=True, tag="pins_guessed"):
    """The wrong PINs of a day reached the limit of a door or a household. PINs rest there, or the door slows down."""

    guesses: int
    door: str = MAIN


class WeakPin(Event, frozen=True, tag="weak_pin"):
    """A person typed their own PIN, and it is weak. The event tells neither the PIN nor whether it opened."""

    subject: str


class CardsGuessed(Event, frozen=True, tag="cards_guessed"):
    """The unknown cards of a day reached the limit of a reader. The reader now pauses after each further one."""

    guesses: int
    door: str = MAIN


class ReaderMisread(Event, frozen=True, tag="reader_misread"):
    """A reader sent unreadable input. `what`: the kind and length of the input, never its content."""

    reader: str
    what: str
    door: str = MAIN


class Duress(Event, frozen=True, tag="duress"):
    """A duress PIN was used. The gate opens as usual and shows nothing."""

    subject: str
    visit: str
    door: str = MAIN


class CredentialAdded(Event, frozen=True, tag="credential_added"):
    """A card, PIN or pass was issued."""

    way: str
    credential: str
    subject: str | None = None


class CredentialRemoved(Event, frozen=True, tag="credential_removed"):
    """A card, PIN or pass was revoked."""

    way: str
    credential: str
    subject: str | None = None


class DoorReleased(Event, frozen=True, tag="door_released"):
    """The lock was released. `cause`: "grant", "rex", "fire" or "schedule"."""

    cause: str
    lease_s: float
    """Seconds; 0 for a fire release, because it lasts until the reset."""
    visit: str | None = None
    door: str = MAIN


class DoorSecured(Event, frozen=True, tag="door_secured"):
    """The lock was secured.

    `cause`: "lease", "closed", "disconnect", "stop", "start", "lockdown" or "fire_reset".
    """

    cause: str
    door: str = MAIN


class DoorOpened(Event, frozen=True, tag="door_opened"):
    """The door opened. `after`: "grant", "rex", "fire", "schedule" or "nothing"."""

    after: str
    door: str = MAIN


class DoorClosed(Event, frozen=True, tag="door_closed"):
    """The door closed."""

    door: str = MAIN


class DoorHeldOpen(Event, frozen=True, tag="door_held_open"):
    """The door is open too long. The gate asks people to close it before it raises an alarm."""

    open_s: float
    is_alarm: bool = False
    door: str = MAIN


class DoorForcedOpen(Event, frozen=True, tag="door_forced_open"):
    """The door opened without a release."""

    door: str = MAIN


class DoorDidNotOpen(Event, frozen=True, tag="door_did_not_open"):
    """The lock was released, and the door stayed closed until the end of the release."""

    cause: str
    door: str = MAIN


class DoorTried(Event, frozen=True, tag="door_tried"):
    """A person who maintains the gate tests the door. The following events show the result."""

    by: str
    door: str = MAIN


class LineImplausible(Event, frozen=True, tag="line_implausible"):
    """A relay or an input has an impossible level. `line`: "lock", "contact" or the name of another input."""

    line: str
    why: str
    door: str = MAIN


class LinePlausible(Event, frozen=True, tag="line_plausible"):
    """A relay or an input has a possible level again."""

    line: str
    door: str = MAIN


class Tampered(Event, frozen=True, tag="tampered"):
    """The case or its wires were opened; `is_over`: they are closed again."""

    is_over: bool = False
    door: str = MAIN


class FireRelease(Event, frozen=True, tag="fire_release"):
    """The fire input is active. Every door stays released until a person resets it at the gate."""

    door: str = MAIN


class FireReset(Event, frozen=True, tag="fire_reset"):
    """A person ended the fire release with the reset key, and the fire input is inactive."""

    door: str = MAIN


class Lockdown(Event, frozen=True, tag="lockdown"):
    """The gate denies entry to everyone; `is_over`: no longer. Leaving and fire work as usual."""

    by: str
    is_over: bool = False


class ScheduledUnlock(Event, frozen=True, tag="free_passage"):
    """An unlock schedule keeps the door released; `is_over`: no longer."""

    schedule: str
    is_over: bool = False
    door: str = MAIN


class CallPressed(Event, frozen=True, tag="call_pressed"):
    """A person at the gate pressed the call button."""

    door: str = MAIN


class CallAnswered(Event, frozen=True, tag="call_answered"):
    """An operator at the office answered a call. `answer`: "opening", "wait" or "nobody" (nobody can come).

    `is_over` comes from gates before version 0.2: the conversation is over.
    """

    door: str = MAIN
    is_over: bool = False
    answer: str = "wait"


class CallEnded(Event, frozen=True, tag="call_ended"):
    """A call ended without an answer, or after the answer "wait".

    `outcome`: "unanswered" (no answer within the limit), "unreachable" (no link to the office) or "opened" (the door
    was released first).
    """

    outcome: str
    door: str = MAIN


class ClockDoubted(Event, frozen=True, tag="clock_doubted"):
    """The time of day is not trusted; `is_over`: trusted again. Meanwhile schedules grant nobody access."""

    why: str
    is_over: bool = False


class PreferencesChanged(Event, frozen=True, tag="preferences_changed"):
    """A person's preferences changed. The event does not tell which."""

    subject: str


class AccessRulesChanged(Event, frozen=True, tag="rights_changed"):
    """The access rules of a person, household or role changed."""

    subject: str
    is_household: bool = False
    is_role: bool = False


class ReleaseRefused(Event, frozen=True, tag="release_refused"):
    """The latch refused a release: the request was too old, too long, or malformed."""

    visit: str
    why: str
    door: str = MAIN


class WorkerLost(Event, frozen=True, tag="worker_lost"):
    """A worker process ended, stopped answering, or reported that it cannot work. `worker`: "vision" or "latch"."""

    worker: str
    why: str


class WorkerReady(Event, frozen=True, tag="worker_ready"):
    """A worker process works, or works again."""

    worker: str


class Degraded(Event, frozen=True, tag="degraded"):
    """The functions that the gate has lost now. An empty list: all work again."""

    lost: list[str]


class PersonEnrolled(Event, frozen=True, tag="person_enrolled"):
    """A person consented, under this version of the notice, and was enrolled. The consent's reference stays here.

    `purposes`: further consents that the person gave at this gate, beside recognition.
    """

    subject: str
    templates: int
    notice: str
    embedder_sha256: str
    purposes: list[str] = []


class PersonAdded(Event, frozen=True, tag="person_added"):
    """A person was added without a face, for a card or a PIN."""

    subject: str


class PersonSuspended(Event, frozen=True, tag="person_suspended"):
    """A person is suspended: known, but not granted access."""

    subject: str


class PersonResumed(Event, frozen=True, tag="person_resumed"):
    """A suspension ended."""

    subject: str


class PersonRemoved(Event, frozen=True, tag="person_removed"):
    """A person was removed from this gate, and the key of the stored data was destroyed."""

    subject: str
    templates: int


class RecordsApplied(Event, frozen=True, tag="records_applied"):
    """The office's records up to `version` were applied. The counts are of people."""

    version: int
    added: int
    changed: int
    removed: int


class Enrolling(Event, frozen=True, tag="enrolling"):
    """The office ordered an enrolment. The gate shows it at the gate until `is_over`."""

    is_over: bool = False


class RecordQuarantined(Event, frozen=True, tag="record_quarantined"):
    """A record looks like poisoning and waits for a decision at the gate.

    `why`: "bulk", "duplicate", "vector" or "changed".
    """

    subject: str
    why: str


class RecordAccepted(Event, frozen=True, tag="record_accepted"):
    """A person at the gate, or `operator` at the office, accepted a quarantined record."""

    subject: str
    operator: str = ""


class GateHeld(Event, frozen=True, tag="gate_held"):
    """The office sent new keys of another gate. No face goes to that gate until a person here accepts its keys."""

    gate: str
    fingerprint: str


class GateAccepted(Event, frozen=True, tag="gate_accepted"):
    """Faces may go to `gate`: a person here accepted its keys, or the trusted gate `by` has signed them."""

    gate: str
    fingerprint: str
    by: str = ""


class ConsentHeld(Event, frozen=True, tag="consent_held"):
    """Only the office reports a further consent of a person enrolled here. It counts after acceptance here."""

    subject: str


class ConsentsAccepted(Event, frozen=True, tag="consents_accepted"):
    """A person at the gate accepted the reported consents of `people` people; `left` still wait."""

    people: int
    left: int = 0


class BatchRenewed(Event, frozen=True, tag="batch_renewed"):
    """A person at the gate lets the office add people in batches again.

    The office had already added `spent` people in that way.
    """

    spent: int


class Commanded(Event, frozen=True, tag="commanded"):
    """A command of the office ended. `outcome`: "done", "refused" or "failed". `operator`: the short name there."""

    action: str
    command: str
    operator: str
    reason: str
    outcome: str
    why: str = ""


class OfficeSilent(Event, frozen=True, tag="server_silent"):
    """The office has proved nothing for too long; `is_over`: it has again."""

    silent_s: int
    is_over: bool = False


class SettingsTried(Event, frozen=True, tag="settings_tried"):
    """Settings of the office were tried. `outcome`: "kept", or "rolled_back" because the gate was not healthy."""

    outcome: str
    why: str = ""


class FaceShared(Event, frozen=True, tag="face_shared"):
    """A person's templates were sealed to another gate, with the person's consent."""

    subject: str
    to: str


class Updated(Event, frozen=True, tag="updated"):
    """Another version of gated was "kept" after its trial, or "rolled_back" to the version before."""

    before: str
    after: str
    outcome: str
    why: str = ""


class EventsLost(Event, frozen=True, tag="events_lost"):
    """`count` events were lost while the disk could not be written."""

    count: int


class DatabaseReplaced(Event, frozen=True, tag="database_mended"):
    """A damaged database was replaced by a new one with its readable part. `kept_as`: the file of the damaged one."""

    file: str
    kept_as: str
    torn: list[str] = []
    """Tables that have lost rows."""
    anew: list[str] = []
    """Ids of people known only to this gate who must be enrolled again."""


AnyEvent = (
    Started
    | Stopped
    | ConfigChanged
    | AccessGranted
    | AccessDenied
    | CredentialGranted
    | CredentialDenied
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
    | ScheduledUnlock
    | CallPressed
    | CallAnswered
    | CallEnded
    | ClockDoubted
    | PreferencesChanged
    | AccessRulesChanged
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
    | OfficeSilent
    | SettingsTried
    | FaceShared
    | Updated
    | EventsLost
    | DatabaseReplaced
)
"""Every event that the journal can read."""
