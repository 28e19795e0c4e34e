"""What a gate and its office say to each other: JSON with a version `v`. Fields are only ever added.

`README.md` in this folder tells whoever writes another end the same; `wire` signs and seals. Of a person a message says
an id and, where it is sealed to one reader, what that reader must know; a face is only ever in `Face.sealed`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.journal.chain import digest
from gated.journal.entry import MAX_BODY_BYTES

MAX_BYTES = 100 * 1024
"""Of a message on the wire; below the smallest limit of the brokers that this must run on (AWS IoT Core, 128 KB)."""
MAX_PLAIN_BYTES = 56_000
"""Of its JSON: sealed and signed it grows by 16/9 (twice base64) and some 400 bytes of headers."""
MAX_EVENTS = 500
MAX_RECORDS = 500
MAX_PARTS = 10_000
MAX_TEMPLATES = 20

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, Meta(max_length=64)]
"""64 hex digits; anything else of that length also passes, because a row that was altered must still arrive."""
Short = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200)]
Time = Annotated[str, Meta(max_length=40)]
"""ISO 8601 with a zone."""
Token = Annotated[str, Meta(max_length=60_000)]
"""A compact JWE, or public keys as a JWK set."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all messages: whose conversation it belongs to."""

    v: Literal[1] = 1
    site: Short
    gate: Short


# -- up: the gate speaks ----------------------------------------------------------------------------------------------


class JournalMark(msgspec.Struct, frozen=True):
    """How far the journal is, and how far the gate believes that the office is. Signed every minute: a checkpoint."""

    id: Short
    head: Seq
    acked: Seq
    dropped: Seq = 0
    """Rows that had to go before the office had them."""
    hash: Hash = ""
    """Of row `head`; the genesis for 0."""


class RecordMark(msgspec.Struct, frozen=True):
    """How far the gate is with the records, and a digest of which it has (see `records.digest_of`)."""

    version: Seq
    digest: Hash
    quarantined: Seq = 0
    """Records that look like poisoning and count for nothing until somebody at the gate accepts them."""
    newest: Seq = 0
    """The highest number that the gate has heard of; what takes away counts ahead of its turn, and above `version`."""


class Status(Message, frozen=True, kw_only=True):
    """The whole state of a gate, about nobody."""

    state: Literal["online", "offline"] = "online"
    version: Short
    at: Time = ""
    """When this was written; in a last will, when the gate came online."""
    degraded: list[Short] = []
    door: Short = "unknown"
    people: Seq = 0
    templates: Seq = 0
    models: Short = ""
    """The model set."""
    journal: JournalMark | None = None
    records: RecordMark | None = None
    challenge: Short = ""
    """The office's next word echoes it, and so proves that it is fresh."""
    heard: Seq = 0
    """The newest `Word.beat` that arrived, which proves to the office that this is fresh."""
    silent_s: Seq = 0
    """How old the office's newest proven word is; 0 where there never was one."""


class WireEvent(msgspec.Struct, frozen=True):
    """One row of the journal, as it lies on disk; `body` is text, so that its hash can be checked byte for byte."""

    seq: Seq
    at: Short
    kind: Short
    body: Annotated[str, Meta(max_length=MAX_BODY_BYTES)]
    hash: Hash


class EventBatch(Message, frozen=True, kw_only=True):
    """Rows of the journal without a gap, from `first` to `last`."""

    journal: Short
    """Another journal (a new card) counts from 1 again."""
    after: Seq
    """The row before `first` that the gate still has; 0 when there is none."""
    first: Seq
    last: Seq
    prev: Hash
    """The hash of row `first - 1`; empty when that row is gone."""
    is_ahead: bool = False
    """News, sent while older rows are still being drained; it comes again in its turn."""
    events: Annotated[list[WireEvent], Meta(min_length=1, max_length=MAX_EVENTS)]

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other."""
        if [event.seq for event in self.events] != list(range(self.first, self.last + 1)) or self.after >= self.first:
            raise ValueError("the events are not those from first to last")


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    part: Short
    level: Short
    says: Text


class Reply(Message, frozen=True, kw_only=True):
    """What came of a command."""

    command: Short
    outcome: Literal["done", "refused", "failed", "challenge", "spent"]
    """spent: the number was another command's, or is too old; an office that has lost count must skip some."""
    why: Text = ""
    challenge: Short = ""
    """The gate's clock is not trusted: the command must be sent anew, with this in it, within 5 s."""
    findings: Annotated[list[Finding], Meta(max_length=200)] = []


class Receipt(Message, frozen=True, kw_only=True):
    """Somebody is gone from this gate: the key destroyed, the templates and the name deleted."""

    subject: Short
    n: Seq
    """Of the removal."""
    templates: Seq
    at: Time


class Shared(Message, frozen=True, kw_only=True):
    """A face for another gate, which only that gate can open; sent when the office asks, and the person has agreed."""

    subject: Short
    to: Short
    face: "Face"


class Request(Message, frozen=True, kw_only=True):
    """Records that the gate misses: those after `after`, or parts of a snapshot."""

    after: Seq = 0
    is_snapshot: bool = False
    snapshot: Seq = 0
    """The version of the snapshot that `parts` are of; 0: any, from its first part on."""
    parts: Annotated[list[Seq], Meta(max_length=64)] = []


# -- down: the office speaks ------------------------------------------------------------------------------------------


class Ack(Message, frozen=True, kw_only=True):
    """The office holds every row of that journal up to `seq`, on disk, whose hash is `hash`."""

    journal: Short
    seq: Seq
    hash: Hash


class Word(Message, frozen=True, kw_only=True):
    """The office's regular sign of life: which records there are, and that this was said just now."""

    challenge: Short
    """Of the gate's newest status."""
    beat: Seq
    """Counts up, for every gate on its own."""
    at: Time
    version: Seq
    digest: Hash


class Consented(msgspec.Struct, frozen=True):
    """What somebody agreed to: "recognise", "transfer"."""

    purpose: Short
    reference: Text
    notice: Short
    at: Time


class Passage(msgspec.Struct, frozen=True):
    """By which door and in which schedule's hours somebody may pass; null: every door, all hours."""

    door: Short | None = None
    schedule: Short | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None


class Card(msgspec.Struct, frozen=True):
    """A card, by what its reader says."""

    id: Short
    number: Short
    label: Text = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    uses: Seq | None = None


class Wishes(msgspec.Struct, frozen=True):
    """How somebody wants the gate to behave for them; null: as for everybody. Never why."""

    release_s: float | None = None
    search_s: float | None = None
    first: Literal["speech", "light", "touch"] | None = None


class Face(msgspec.Struct, frozen=True):
    """Somebody's templates, made at one gate and sealed there to another: the office passes on what it cannot open."""

    id: Short
    """Another face of the same person has another id."""
    embedder_sha256: Hash
    count: Annotated[int, Meta(ge=1, le=MAX_TEMPLATES)]
    sealed: Token
    """JWE to the reader's key of `Templates`."""


class Templates(msgspec.Struct, frozen=True):
    """What `Face.sealed` holds; the only place on the wire where a vector is.

    The subject is in it, so that it cannot be moved to another person.
    """

    subject: Short
    embedder_sha256: Hash
    vectors: Annotated[list[bytes], Meta(min_length=1, max_length=MAX_TEMPLATES)]
    """Each little-endian float32 of unit length; base64 in JSON."""


class PersonRecord(msgspec.Struct, frozen=True, tag="person", kw_only=True):
    """All that a gate must know of somebody, as it is since record `n`. Key: `person/SUBJECT`."""

    n: Seq
    subject: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    name: Text
    household: Text
    role: Short = "resident"
    status: Literal["active", "suspended"] = "active"
    added_at: Time
    consents: Annotated[list[Consented], Meta(max_length=10)] = []
    rights: Annotated[list[Passage], Meta(max_length=50)] = []
    cards: Annotated[list[Card], Meta(max_length=20)] = []
    pin: Annotated[str, Meta(max_length=12)] = ""
    duress_pin: Annotated[str, Meta(max_length=12)] = ""
    wishes: Wishes = Wishes()
    face: Face | None = None
    """Null: this gate gets none; one that was made at this gate itself stays."""


class HouseholdRecord(msgspec.Struct, frozen=True, tag="household", kw_only=True):
    """When all who live together may pass. Key: `household/HOUSEHOLD`."""

    n: Seq
    household: Text
    rights: Annotated[list[Passage], Meta(max_length=50)]


class RoleRecord(msgspec.Struct, frozen=True, tag="role", kw_only=True):
    """When all of one role may pass. Key: `role/ROLE`."""

    n: Seq
    role: Short
    rights: Annotated[list[Passage], Meta(max_length=50)]


class ScheduleRecord(msgspec.Struct, frozen=True, tag="schedule", kw_only=True):
    """Hours of the week. Key: `schedule/NAME`."""

    n: Seq
    name: Short
    days: Annotated[list[Short], Meta(max_length=8)]
    start: Short
    end: Short


class GateRecord(msgspec.Struct, frozen=True, tag="gate", kw_only=True):
    """Another gate of the site, and its public keys, to which faces may be sealed. Key: `gate/GATE`."""

    n: Seq
    gate: Short
    keys: Token


class Gone(msgspec.Struct, frozen=True, tag="gone", kw_only=True):
    """What that key named is no more; stays for good, so that an older record does not bring it back."""

    n: Seq
    key: Annotated[str, Meta(max_length=220)]
    """The longest is that of a household."""


Record = PersonRecord | HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord | Gone


class Delta(Message, frozen=True, kw_only=True):
    """Every record whose newest `n` is above `after` and at most `upto`.

    One with `after` above what the gate has leaves a gap: then only what takes away (`Gone`, a suspension) counts, at
    once, and the gate asks for the rest.
    """

    after: Seq
    upto: Seq
    records: Annotated[list[Record], Meta(max_length=MAX_RECORDS)]


class SnapshotPart(Message, frozen=True, kw_only=True):
    """One of the `parts` of everything there is at `version`; what no part names is no more."""

    version: Seq
    digest: Hash
    part: Seq
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)]
    records: Annotated[list[Record], Meta(max_length=MAX_RECORDS)]


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Let somebody in now."""

    door: Short = "main"


class SetLockdown(msgspec.Struct, frozen=True, tag="lockdown"):
    """Nobody is let in any more, or again."""

    on: bool


class Suspend(msgspec.Struct, frozen=True, tag="suspend"):
    """Somebody is not let in from now on; `n` is the record that says so as well."""

    subject: Short
    n: Seq


class Enrol(msgspec.Struct, frozen=True, tag="enrol"):
    """Take the face of somebody who is known here, has agreed, and stands before the gate."""

    subject: Short
    within_s: Annotated[float, Meta(ge=5, le=120)] = 60.0


class Share(msgspec.Struct, frozen=True, tag="share"):
    """Seal somebody's templates to another gate, whose keys are in the records."""

    subject: Short
    to: Short


class SwitchModels(msgspec.Struct, frozen=True, tag="models"):
    """Fetch a model set if it is not there, prove it, and use it from the next start, which is now."""

    set: Short


class ChangeSettings(msgspec.Struct, frozen=True, tag="settings"):
    """Other settings, as TOML; only the tables that an office may change. Empty: back to the gate's own."""

    toml: Annotated[str, Meta(max_length=20_000)]


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Begin anew."""


class Diagnose(msgspec.Struct, frozen=True, tag="diagnose"):
    """Say what the doctor says."""


Action = Release | SetLockdown | Suspend | Enrol | Share | SwitchModels | ChangeSettings | Restart | Diagnose


class Command(Message, frozen=True, kw_only=True):
    """What the gate is to do now, once."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    number: Seq
    """Counts up, for every gate on its own; each is good once."""
    at: Time
    challenge: Short = ""
    """Of the gate's `Reply`; then the time does not count."""
    operator: Short
    """Who orders it: a short name that the office knows."""
    reason: Text = ""
    action: Action


UP = (Status, EventBatch, Reply, Receipt, Shared, Request)
DOWN = (Ack, Word, Delta, SnapshotPart, Command)

KINDS: dict[type[Message], str] = {
    Status: "status",
    EventBatch: "event",
    Reply: "reply",
    Receipt: "receipt",
    Shared: "shared",
    Request: "request",
    Ack: "ack",
    Word: "word",
    Delta: "delta",
    SnapshotPart: "part",
    Command: "command",
}
"""The name of each in its signature."""
OPEN = frozenset({"status", "request", "ack", "word"})
"""These are about nobody, and signed alone; every other is sealed as well."""


def kind_of(message: type[Message]) -> str:
    """The name of a message in its signature."""
    return KINDS[message]


def misfit(batch: EventBatch, before: str) -> int | None:
    """The first row of a batch that does not follow from the hash `before` it: it, or one before it, was altered."""
    for event in batch.events:
        texts = (event.at.encode(), event.kind.encode(), event.body.encode())
        if digest(before, event.seq, *texts) != event.hash:
            return event.seq
        before = event.hash
    return None
