"""The messages of the examples: one morning at gate-2 of market-south. They belong together, down to every hash."""

import hmac
import struct
from hashlib import sha256

from gated.events import DoorOpened, DoorReleased, Event
from gated.journal.chain import genesis, row_digest
from gated.journal.entry import event_body, event_kind
from gated.people import card_readings
from gated.people.pin_verifiers import Recipe, secret_of, verifier
from gated.protocol.command_messages import (
    UNATTENDED,
    AcceptQuarantined,
    Action,
    AnnounceBatch,
    AnswerCall,
    ChangeSettings,
    Command,
    Confirmation,
    ConfirmationRequest,
    Diagnose,
    Enrol,
    Offer,
    Progress,
    ReleaseDoor,
    Reply,
    ReplyFinding,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.face_messages import FaceTemplates, SealedFace, SharedFace, Vouching
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate, RecoveryNotice, VerifierKeys
from gated.protocol.record_keys import digest_of, fingerprint, key_of
from gated.protocol.record_messages import (
    Delta,
    QuarantinedRecord,
    QuarantineList,
    RecordRequest,
    RemovalReceipt,
    SnapshotPart,
)
from gated.protocol.status_messages import GuessingLimits, Heartbeat, JournalMark, RecordMark, Status
from gated.protocol.wire_records import (
    GateRecord,
    HouseholdRecord,
    PersonRecord,
    Record,
    RoleRecord,
    ScheduleRecord,
    Tombstone,
    WireAccessRule,
    WireCard,
    WireConsent,
    WireMark,
    WirePin,
    WirePreferences,
)
from gated.protocol.wire_types import Message
from gated.storage.vault import digest_readings

SITE, GATE, OTHER = "market-south", "gate-2", "gate-3"
US = {"site": SITE, "gate": GATE}
JOURNAL = "5b0f6a1c9e2d4471"
WANG, GONE = "8c1f0e5a77b2d943", "03bd6e1f2a9c5840"
DIMENSION = 128
EMBEDDER = sha256(b"the embedder's file").hexdigest()
TODAY = "2026-11-23T07:58:0{}.204113Z"
CHALLENGE = "kTq0mB7x2ZrVhS4e"
KEYS = VerifierKeys(**US, card=sha256(b"the key for cards").digest(), pin=sha256(b"the key for PINs").digest())
SALT = sha256(b"the salt of the site").digest()[:16]
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIHQMHgCAQAwFjEUMBIGA1UEAwwL\n-----END CERTIFICATE REQUEST-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBmTCCAT+gAwIBAgIUEo1m\n-----END CERTIFICATE-----\n"
"""Their beginnings: what X.509 looks like is told elsewhere."""
NONCE = "pX5dY9cJ1WgQo7Ut"
FACES = ((WANG, GATE), (WANG, OTHER))
"""Whose face is sealed to which gate."""
WRONG = (
    ({"v": 2}, "another version"),
    ({"seq": -1}, "a number below 0"),
    ({"seq": "2"}, "a text where a number belongs"),
    ({"hash": "0" * 65}, "a text that is longer than it may be"),
    ({"journal": None}, "nothing where something belongs"),
)
"""What makes an ack no ack."""


def templates(subject: str) -> FaceTemplates:
    """What a sealed face holds: here one vector of 128 numbers, each 1/sqrt(128), more or less."""
    bits = f"{int.from_bytes(sha256(subject.encode()).digest()[:16], 'big'):0128b}"
    vector = struct.pack(f"<{DIMENSION}f", *((1 if bit == "1" else -1) / DIMENSION**0.5 for bit in bits))
    return FaceTemplates(subject, EMBEDDER, [vector])


def tell(faces: list[str], keys: dict[str, str], vouched: str) -> dict[str, Message]:
    """All messages, by name; `faces` are the sealed ones of `FACES`, `keys` the public keys of each end, `vouched` what
    gate-2 has signed of gate-3's.
    """
    rows, held = _rows(), records(faces[0], keys[OTHER])
    return _status(rows, held) | _log(rows) | _records(held) | _faces(faces[1], vouched) | _commands()


def _rows() -> list[WireEvent]:
    events: list[Event] = [
        DoorReleased(cause="grant", lease_s=8.0, visit="3f2a"),
        DoorOpened(after="grant"),
        DoorReleased(cause="rex", lease_s=8.0),
    ]
    rows, before = [], genesis(SITE, GATE, JOURNAL)
    for seq, event in enumerate(events, 1):
        at, kind, body = TODAY.format(seq), event_kind(event), event_body(event)
        before = row_digest(before, seq, at.encode(), kind.encode(), body.encode())
        rows.append(WireEvent(seq, at, kind, body, before))
    return rows


RECOVERY = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"""The public key of RFC 8037, appendix A."""


def _status(rows: list[WireEvent], held: list[Record]) -> dict[str, Message]:
    live = [(key_of(record), record.n) for record in held if not isinstance(record, Tombstone)]
    status = Status(
        **US,
        version="0.1.0",
        at=TODAY.format(4),
        degraded=["vision"],
        door="secured",
        people=72,
        templates=216,
        models="site",
        journal=JournalMark(JOURNAL, 3, 0, 0, rows[-1].hash),
        records=RecordMark(6, digest_of(live), newest=6, people=1),
        challenge=CHALLENGE,
        heard=1804,
        silent_s=3,
        can=["live", "batch", "held", "handover", "verifiers", "sealed", "two_kinds"],
        certificate_ends="2028-10-12T07:58:00.000000Z",
        recovery=RECOVERY,
        guessing=GuessingLimits(1, 2, by_household=False, pins_day=12, household_day=10, cards_hour=20, cards_day=200,
                            short_cards_day=60, pin_digits=6),
    )  # fmt: skip
    return {
        "status": status,
        "status-will": Status(**US, state="offline", version="0.1.0", at=TODAY.format(0)),
        "word": Heartbeat(
            **US,
            challenge=CHALLENGE,
            number=1805,
            at=TODAY.format(5),
            version=6,
            digest=digest_of(live),
            verifiers=fingerprint(KEYS.card, KEYS.pin),
            understands=["sealed"],
        ),
        "verifiers": KEYS,
    }


def _log(rows: list[WireEvent]) -> dict[str, Message]:
    first = {"after": 0, "first": 1, "last": 2, "prev": genesis(SITE, GATE, JOURNAL)}
    ahead = {"after": 2, "first": 3, "last": 3, "prev": rows[1].hash, "is_ahead": True}
    return {
        "event": EventBatch(**US, journal=JOURNAL, **first, events=rows[:2]),
        "event-ahead": EventBatch(**US, journal=JOURNAL, **ahead, events=rows[2:]),
        "ack": Ack(**US, journal=JOURNAL, seq=2, hash=rows[1].hash),
    }


def card(number: str) -> WireCard:
    """A card as this gate is sent it."""
    own = hmac.digest(KEYS.card, card_readings.own_name(number).encode(), "sha256")
    return WireCard(
        "card-1", digest=own, readings=b"".join(sorted(digest_readings(KEYS.card, card_readings.given(number))))
    )


def pin(digits: str) -> WirePin:
    """A PIN as this gate is sent it."""
    result = Recipe(SALT).result(secret_of(digits))
    return WirePin(SALT, verifier(KEYS.pin, result, is_duress=False))


def records(face: str, other_keys: str) -> list[Record]:
    """One record of each kind, with the numbers 1 to 6."""
    return [
        ScheduleRecord(n=1, name="day", days=["mon", "tue", "wed", "thu", "fri"], start="06:00", end="22:00"),
        RoleRecord(n=2, role="staff", rights=[WireAccessRule(schedule="day"), WireAccessRule(door="+*")]),
        HouseholdRecord(n=3, household="12", rights=[WireAccessRule(door="main")]),
        GateRecord(n=4, gate=OTHER, keys=other_keys),
        Tombstone(n=5, key=f"person/{GONE}"),
        PersonRecord(
            n=6,
            subject=WANG,
            name="",
            household="12",
            added_at="2026-11-20T09:00:00Z",
            consents=[
                WireConsent("recognise", "paper-17", "2026-11", "2026-11-20T09:00:00Z"),
                WireConsent("transfer", "paper-17", "2026-11", "2026-11-20T09:00:00Z"),
            ],
            rights=[WireAccessRule(valid_until="2027-11-20T00:00:00+08:00")],
            mark=WireMark("child", "2031-04-02T00:00:00+08:00"),
            cards=[card("0006729715")],
            pins=[pin("739154")],
            wishes=WirePreferences(release_s=12.0, first="touch"),
            face=SealedFace("face-1", EMBEDDER, 1, face),
        ),
    ]


def _records(held: list[Record]) -> dict[str, Message]:
    live = [record for record in held if not isinstance(record, Tombstone)]
    digest = digest_of((key_of(record), record.n) for record in live)
    return {
        "request": RecordRequest(**US, after=4),
        "renew": CertificateRequest(**US, csr=CSR),
        "certificate": IssuedCertificate(**US, certificate=CERTIFICATE, authority=""),
        "recovery": RecoveryNotice(**US, key=RECOVERY, number=0, port=8884),
        "request-parts": RecordRequest(**US, is_snapshot=True, snapshot=6, parts=[0]),
        "delta": Delta(**US, after=4, upto=6, records=held[4:]),
        "part": SnapshotPart(**US, version=6, digest=digest, part=0, parts=1, records=live),
        "receipt": RemovalReceipt(**US, subject=GONE, n=5, templates=3, at=TODAY.format(6)),
    }


def _faces(sealed: str, vouched: str) -> dict[str, Message]:
    return {
        "shared": SharedFace(**US, subject=WANG, to=OTHER, face=SealedFace("face-1", EMBEDDER, 1, sealed)),
        "vouching": Vouching(**US, to=OTHER, vouched=vouched),
    }


def _commands() -> dict[str, Message]:
    actions: list[Action] = [
        ReleaseDoor(),
        SwitchLockdown(True),
        Suspend(WANG, 7),
        Enrol(WANG),
        Share(WANG, OTHER),
        SwitchModels("site"),
        ChangeSettings("[access]\nframes = 4\n"),
        Restart(),
        Diagnose(),
        AnswerCall("opening"),
        AnnounceBatch(216, 6.0),
        AcceptQuarantined([WANG]),
    ]
    told: dict[str, Message] = {}
    for number, action in enumerate(actions, 1):
        tag = str(action.__struct_config__.tag)
        told["command" if tag == "release" else f"command-{tag}"] = _command(number, action)
    first, order = "cH0mE5tRq9Lw3Zuv", {"command": "01" * 16}
    again = {"challenge": first, "number": 13, "action": Suspend(WANG, 7)}
    nobody = "its operator at the office waits no more"
    return told | {
        "command-again": Command(**US, id="0d" * 16, at=TODAY.format(9), operator="li", **again),
        "offer": Offer(**US, **order),
        "ask": ConfirmationRequest(**US, **order, nonce=NONCE),
        "ask-commit": ConfirmationRequest(
            **US, command="04" * 16, nonce=NONCE, step="commit", says="5 good looks were taken"
        ),
        "wanted": Confirmation(**US, command="04" * 16, nonce=NONCE, is_wanted=True),
        "wanted-no": Confirmation(**US, command="04" * 16, nonce=NONCE, why=nobody),
        "wanted-over": Confirmation(**US, command="04" * 16, why=nobody),
        "progress": Progress(**US, command="04" * 16, says="2 of 5 looks"),
        "held": QuarantineList(**US, heard=1804, records=[QuarantinedRecord(WANG, "bulk", 6)]),
        "reply": Reply(**US, command="01" * 16, outcome="done"),
        "reply-refused": Reply(**US, command="04" * 16, outcome="refused", why="nobody here is called so"),
        "reply-challenge": Reply(**US, command="03" * 16, outcome="challenge", challenge=first),
        "reply-findings": Reply(
            **US, command="09" * 16, outcome="done", findings=[ReplyFinding("camera", "error", "gives no pictures")]
        ),
    }


def _command(number: int, action: Action) -> Command:
    who = {"operator": "li", "reason": "a delivery" if isinstance(action, ReleaseDoor) else ""}
    is_live = not isinstance(action, UNATTENDED)
    live = {"challenge": NONCE, "is_live": True} if is_live else {}
    return Command(**US, id=f"{number:02x}" * 16, number=number, at=TODAY.format(9), **live, **who, action=action)
