"""Events of people at a gate: enrolled, changed, removed; and of the office's records about them."""

from msgspec import field

from gated.events.event import Event


class PreferencesChanged(Event, frozen=True, tag="preferences_changed"):
    """A person's preferences changed. The event does not tell which."""

    subject: str


class AccessRulesChanged(Event, frozen=True, tag="rights_changed"):
    """The access rules of a person, household or role changed."""

    subject: str
    is_household: bool = False
    is_role: bool = False


class PersonEnrolled(Event, frozen=True, tag="person_enrolled"):
    """A person consented, under this version of the notice, and was enrolled. The consent's reference stays here.

    `purposes`: further consents that the person gave at this gate, beside recognition. `is_from_paper`: the photos
    were scans of paper photos, which PAD did not judge.
    """

    subject: str
    templates: int
    notice: str
    embedder_sha256: str
    purposes: list[str] = field(default_factory=list)
    is_from_paper: bool = False


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


class BatchRenewed(Event, frozen=True, tag="batch_renewed"):
    """A person at the gate lets the office add people in batches again.

    The office had already added `spent` people in that way.
    """

    spent: int


class ConsentHeld(Event, frozen=True, tag="consent_held"):
    """Only the office reports a further consent of a person enrolled here. It counts after acceptance here."""

    subject: str


class ConsentsAccepted(Event, frozen=True, tag="consents_accepted"):
    """A person at the gate accepted the reported consents of `people` people; `waiting` still wait."""

    people: int
    waiting: int = field(name="left", default=0)


class FaceShared(Event, frozen=True, tag="face_shared"):
    """A person's templates were sealed to another gate, with the person's consent."""

    subject: str
    to: str


class GateHeld(Event, frozen=True, tag="gate_held"):
    """The office sent new keys of another gate. A person here must accept them before a face goes to that gate."""

    gate: str
    fingerprint: str


class GateAccepted(Event, frozen=True, tag="gate_accepted"):
    """Faces may go to `gate`: a person here accepted its keys, or the trusted gate `by` has signed them."""

    gate: str
    fingerprint: str
    by: str = ""


PeopleEvent = (
    PreferencesChanged
    | AccessRulesChanged
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
    | ConsentHeld
    | ConsentsAccepted
    | FaceShared
    | GateHeld
    | GateAccepted
)
