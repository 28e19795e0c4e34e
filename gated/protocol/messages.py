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
MAX_ACCEPTED = 100
MAX_VOUCHES = 16
WAITS = "waits"
"""The level of a finding: it was refused until somebody at the gate accepts it."""
MAX_READINGS = 24
KEY_BYTES, SALT_BYTES, DIGEST_BYTES, READING_BYTES = 32, 16, 32, 16

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, Meta(max_length=64)]
"""64 hex digits; anything else of that length also passes, because a row that was altered must still arrive."""
Short = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z", description="a public key of Ed25519, base64url")]
Time = Annotated[str, Meta(max_length=40)]
"""ISO 8601 with a zone."""
Subject = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z", description="16 hex digits")]
OrderId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="32 hex digits")]
Token = Annotated[str, Meta(max_length=60_000)]
"""A compact JWE, or public keys as a JWK set."""
Vouched = Annotated[str, Meta(max_length=1_000)]
"""A compact JWS of `Vouch`, as the kind "vouch"."""
VerifierKey = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES, description="32 bytes, base64")]
Digested = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES, description="32 bytes, base64")]
Pem = Annotated[str, Meta(max_length=4_000)]
"""A certificate or a request for one: with Ed25519 or P-256 below 1,100 characters, with RSA 4096 below 3,000."""


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
    people: Seq = 0
    """People of whom the gate has a record that counts; those who are held back are not among them."""


class Guessing(msgspec.Struct, frozen=True):
    """What a stranger may try at a gate: the office reckons with it how long one must guess PINs and card numbers."""

    keypads: Seq
    """Doors with keys."""
    readers: Seq
    """Of cards."""
    by_household: bool
    """Whether a PIN opens only after a flat number."""
    pins_day: Seq
    """So many wrong PINs a door looks at in a day."""
    household_day: Seq
    """The same after one household's flat number."""
    cards_hour: Seq
    """So many unknown cards a reader looks at in an hour without a pause."""
    cards_day: Seq
    """The same in a day, and then each pause is as long as any."""
    short_cards_day: Seq
    """After so many, cards that it tells by 24 bits alone rest."""
    pin_digits: Seq = 0
    """The least that a PIN has there."""


class Status(Message, frozen=True, kw_only=True):
    """The whole state of a gate, about nobody. On the wire it is sealed within a `Shell`."""

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
    can: Annotated[list[Short], Meta(max_length=32)] = []
    """What this gate understands beyond the first version: "live" (offers), "batch", "held", "handover", "verifiers".
    """
    certificate_ends: Time = ""
    """Of the certificate that this gate's link uses."""
    recovery: Short = ""
    """The recovery key that this gate knows; empty where it knows none."""
    guessing: Guessing | None = None
    """Null: this gate is too old to say it."""
    withheld: Annotated[list[Short], Meta(max_length=16)] = []
    """What the office is known to have, or to owe, and has not arrived for ten minutes: "records", "words", "orders",
    "events" (their acks), "receipts" (it asks for them again and again)."""


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


class Vouching(Message, frozen=True, kw_only=True):
    """Somebody at this gate accepted another gate's keys. The office passes it on, in that gate's record."""

    to: Short
    vouched: Vouched


class Vouch(msgspec.Struct, frozen=True):
    """What a gate signs of another one: the names of its two keys (RFC 7638)."""

    site: Short
    by: Short
    gate: Short
    sign: Hash
    seal: Hash


class Ask(Message, frozen=True, kw_only=True):
    """Is this order still wanted? Asked before the gate begins, and again before what cannot be undone."""

    order: OrderId
    nonce: Short
    """Fresh and random; the answer must have it, and is good for 5 s after it was made."""
    step: Literal["begin", "commit"] = "begin"
    says: Text = ""
    """What was done so far, for the operator; about nobody."""


class Progress(Message, frozen=True, kw_only=True):
    """What a gate is doing about an order, for the operator who waits; about nobody."""

    order: OrderId
    says: Text


class HeldBack(msgspec.Struct, frozen=True):
    """Somebody of whom a record is held back, and why: "bulk", "duplicate", "vector" or "changed"."""

    subject: Subject
    why: Short
    n: Seq


class Held(Message, frozen=True, kw_only=True):
    """Who is held back at this gate: one of `parts` lists, which together take the place of those before."""

    heard: Seq
    """As in `Status`: the newest word that had arrived. A list with an older one is passed over."""
    part: Seq = 0
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)] = 1
    records: Annotated[list[HeldBack], Meta(max_length=MAX_RECORDS)] = []


class Request(Message, frozen=True, kw_only=True):
    """Records that the gate misses: those after `after`, or parts of a snapshot."""

    after: Seq = 0
    is_snapshot: bool = False
    snapshot: Seq = 0
    """The version of the snapshot that `parts` are of; 0: any, from its first part on."""
    parts: Annotated[list[Seq], Meta(max_length=64)] = []


class Verifiers(Message, frozen=True, kw_only=True):
    """The keys under which this gate compares cards and PINs: what it is sent of them is digested with these.

    They are derived from its site key, and do not change while it is paired. The first that come count.
    """

    card: VerifierKey
    pin: VerifierKey


class Renew(Message, frozen=True, kw_only=True):
    """A gate asks for a new certificate, 90 days before its own ends, and once a day until it has one."""

    csr: Pem
    """PKCS 10, in PEM, for the same key as before; its subject is the gate."""


# -- down: the office speaks ------------------------------------------------------------------------------------------


class Ack(Message, frozen=True, kw_only=True):
    """The office holds every row of that journal up to `seq`, on disk, whose hash is `hash`."""

    journal: Short
    seq: Seq
    hash: Hash


class Certificate(Message, frozen=True, kw_only=True):
    """A gate's new certificate. The next connection uses it."""

    certificate: Pem
    """X.509, in PEM."""
    authority: Pem = ""
    """The authority's certificate as it is now: a renewed one has the same name and key."""


class Recovery(Message, frozen=True, kw_only=True):
    """The public half of the site's recovery key, said to a gate that knows none; one that knows one passes it over."""

    key: Key
    number: Seq = 0
    """Of the newest hand-over there was."""
    port: Annotated[int, Meta(ge=1, le=65535)]
    """Of the pairing, at the broker's host."""


class Word(Message, frozen=True, kw_only=True):
    """The office's regular sign of life: which records there are, and that this was said just now."""

    challenge: Short
    """Of the gate's newest status."""
    beat: Seq
    """Counts up, for every gate on its own."""
    at: Time
    """By the office's clock. With the echo it settles a gate's doubt about the time of day, and sets no clock."""
    version: Seq
    digest: Hash
    verifiers: Hash = ""
    """SHA-256, in hex, of `Verifiers.card` and `Verifiers.pin` one after the other, as the office has them; empty: it
    has none, and waits for them."""
    understands: Annotated[list[Short], Meta(max_length=32)] = []
    """What this office understands beyond the first version: "sealed"."""
    withheld: Annotated[list[Short], Meta(max_length=16)] = []
    """What the gate is known to have, or to owe, and has not arrived for ten minutes; as in `Status`."""


class Consented(msgspec.Struct, frozen=True):
    """What somebody agreed to: "recognise", "transfer"."""

    purpose: Short
    reference: Text
    notice: Short
    at: Time


class Passage(msgspec.Struct, frozen=True):
    """By which door and in which schedule's hours somebody may pass; null: every door, all hours."""

    door: Annotated[str, Meta(max_length=80)] | None = None
    """"main" or "second" of any gate; "GATE/main", or "GATE/*" for all doors of one gate."""
    schedule: Short | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None


class Card(msgspec.Struct, frozen=True):
    """A card, by digests of what readers may say of it."""

    id: Short
    number: Short = ""
    """Only an office that is too old fills it in; no gate takes it."""
    label: Text = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    uses: Seq | None = None
    digest: Annotated[bytes, Meta(max_length=DIGEST_BYTES, description="32 bytes, base64")] = b""
    """HMAC-SHA256 of its number under the gate's key for cards."""
    readings: Annotated[bytes, Meta(max_length=MAX_READINGS * READING_BYTES, description="16 bytes each, base64")] = b""
    """The same of each of its readings, the first 16 bytes, in the order of their bytes and one after the other."""


class Pin(msgspec.Struct, frozen=True):
    """A PIN, or a duress PIN: nothing here tells which, nor in which order they come."""

    salt: Annotated[bytes, Meta(min_length=SALT_BYTES, max_length=SALT_BYTES, description="16 bytes, base64")]
    """The same for all PINs of a site, so that a gate asks argon2 once for whatever is typed."""
    verifier: Digested
    """HMAC-SHA256, under the gate's key for PINs, of `pin` or `duress` and, behind it, argon2id of the digits."""


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


class AnyPerson(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same of somebody on the wire and at the office."""

    n: Seq
    subject: Subject
    name: Text
    """Empty unless the site chose to have names at its gates."""
    household: Text
    role: Short = "resident"
    status: Literal["active", "suspended"] = "active"
    added_at: Time
    consents: Annotated[list[Consented], Meta(max_length=10)] = []
    rights: Annotated[list[Passage], Meta(max_length=50)] = []
    wishes: Wishes = Wishes()


class PersonRecord(AnyPerson, frozen=True, tag="person", kw_only=True):
    """All that a gate must know of somebody, as it is since record `n`. Key: `person/SUBJECT`."""

    cards: Annotated[list[Card], Meta(max_length=20)] = []
    pins: Annotated[list[Pin], Meta(max_length=2)] = []
    pin: Annotated[str, Meta(max_length=12)] = ""
    """Only an office that is too old fills it in; no gate takes it."""
    duress_pin: Annotated[str, Meta(max_length=12)] = ""
    """The same."""
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
    """Hours of the week, or with `holidays` or `workdays` the calendar of a year. Key: `schedule/NAME`.

    A gate that knows no calendars takes one for a schedule without days, which never holds.
    """

    n: Seq
    name: Short
    days: Annotated[list[Short], Meta(max_length=8)]
    start: Short
    end: Short
    holidays: Annotated[list[Short], Meta(max_length=100)] = []
    """Days, YYYY-MM-DD, on which a schedule's "holiday" counts, and its weekdays do not."""
    workdays: Annotated[list[Short], Meta(max_length=100)] = []
    """Make-up working days: on these a schedule that has all of mon to fri counts, and no other."""


class GateRecord(msgspec.Struct, frozen=True, tag="gate", kw_only=True):
    """Another gate of the site, and its public keys, to which faces may be sealed. Key: `gate/GATE`."""

    n: Seq
    gate: Short
    keys: Token
    vouched: Annotated[list[Vouched], Meta(max_length=MAX_VOUCHES)] = []
    """Signatures of gates at which somebody accepted these keys; see `vouching`."""


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


class AnswerCall(msgspec.Struct, frozen=True, tag="answer"):
    """Answer whoever has pressed the call button: the gate says so, and with "opening" lets them in now."""

    answer: Literal["opening", "wait", "nobody"]
    door: Short = ""
    """Empty: the door that is calling."""


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


class AnnounceBatch(msgspec.Struct, frozen=True, tag="batch"):
    """So many people will join within so many hours. The gate's own settings say how many may in all."""

    people: Annotated[int, Meta(ge=1, le=100_000)]
    hours: Annotated[float, Meta(gt=0, le=72)]


class AcceptHeld(msgspec.Struct, frozen=True, tag="accept"):
    """These people, of whom a record is held back for their number, are no poison; within the gate's own total."""

    subjects: Annotated[list[Subject], Meta(min_length=1, max_length=MAX_ACCEPTED)]


Action = (
    Release
    | AnswerCall
    | SetLockdown
    | Suspend
    | Enrol
    | Share
    | SwitchModels
    | ChangeSettings
    | Restart
    | Diagnose
    | AnnounceBatch
    | AcceptHeld
)


UNATTENDED = (Suspend, Share)
"""For these nobody waits: they carry out what the records say, and are fresh by their time."""


class Offer(Message, frozen=True, kw_only=True):
    """Somebody at the office waits with an order. A gate that wants it asks, and gets the command with its nonce."""

    order: OrderId


class StillWanted(Message, frozen=True, kw_only=True):
    """Whether an order is still wanted, which the office says only while its operator waits.

    Without a nonce, and `is_wanted` false, it is the news that nobody waits any more.
    """

    order: OrderId
    nonce: Short = ""
    is_wanted: bool = False
    why: Text = ""


class Command(Message, frozen=True, kw_only=True):
    """What the gate is to do now, once."""

    id: OrderId
    """Where an operator waits, that of the order."""
    number: Seq
    """Counts up, for every gate on its own; each is good once."""
    at: Time
    challenge: Short = ""
    """Of the gate's `Ask` or `Reply`; then the time does not count."""
    is_live: bool = False
    """An answer to the gate's `Ask`, given while the operator waited. Only `suspend` and `share` need none."""
    operator: Short
    """Who orders it: a short name that the office knows."""
    reason: Text = ""
    action: Action


UP = (Status, EventBatch, Reply, Receipt, Shared, Vouching, Ask, Progress, Held, Verifiers, Request, Renew)
DOWN = (Ack, Word, Certificate, Recovery, Delta, SnapshotPart, Command, Offer, StillWanted)

KINDS: dict[type[Message], str] = {
    Status: "status",
    EventBatch: "event",
    Reply: "reply",
    Receipt: "receipt",
    Shared: "shared",
    Vouching: "vouching",
    Ask: "ask",
    Progress: "progress",
    Held: "held",
    Verifiers: "verifiers",
    Request: "request",
    Renew: "renew",
    Ack: "ack",
    Word: "word",
    Certificate: "certificate",
    Recovery: "recovery",
    Delta: "delta",
    SnapshotPart: "part",
    Command: "command",
    Offer: "offer",
    StillWanted: "wanted",
}
"""The name of each in its signature."""
LIVE, BATCH, HELD, HANDOVER, VERIFIERS, SEALED = "live", "batch", "held", "handover", "verifiers", "sealed"
"""What `Status.can` names: orders that are offered first; `AnnounceBatch`; `Held` and `AcceptHeld`; `Recovery`; people
whose cards and PINs come as digests (`Card.digest`, `Pin.verifier`); and, as in `Word.understands`, that what is about
nobody is sealed as well."""
OPEN = frozenset({"renew", "certificate"})
"""These hold what every handshake shows, and are signed alone; every other is sealed as well."""
ONCE_OPEN = frozenset({"status", "request", "ack", "word"})
"""An older end does not seal these, and cannot read them sealed; a newer one reads both."""


class Shell(Message, frozen=True, kw_only=True):
    """A status on the wire: in the clear what a broker must know of it, all else in `sealed`."""

    state: Literal["online", "offline"] = "online"
    version: Short = "update this office to read it"
    """Always this: an office that knows no `sealed` shows it where it shows a gate's version."""
    sealed: Token = ""
    """JWE of the whole `Status`. Empty in one of an older gate, which is in the clear throughout."""


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
