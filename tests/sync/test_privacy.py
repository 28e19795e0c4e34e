"""The broker learns nothing about a person. No message shows a name or a face to a reader to whom it is not sealed."""

import base64
import math
import re
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

sys.path[:0] = [str(Path(__file__).parents[1] / "protocol")]
import wire_examples  # noqa: E402
import wire_story as story  # noqa: E402

from gated.errors import SealError, WireError  # noqa: E402
from gated.events import AnyEvent  # noqa: E402
from gated.journal.entry import MAX_BODY_BYTES  # noqa: E402
from gated.protocol.command_messages import Reply  # noqa: E402
from gated.protocol.event_messages import EventBatch, WireEvent  # noqa: E402
from gated.protocol.face_messages import FaceTemplates, SealedFace, SharedFace  # noqa: E402
from gated.protocol.key_messages import RecoveryNotice  # noqa: E402
from gated.protocol.limits import MAX_BYTES, MAX_PLAIN_BYTES  # noqa: E402
from gated.protocol.message_kinds import DOWN, KINDS, OPEN, UP  # noqa: E402
from gated.protocol.record_messages import Delta, SnapshotPart  # noqa: E402
from gated.protocol.status_messages import Status, StatusShell  # noqa: E402
from gated.protocol.wire_records import HouseholdRecord  # noqa: E402

HARMLESS = {
    "StatusShell": "v site gate state version sealed",
    "CertificateRequest": "v site gate csr",  # the gate's public key and name, which the broker sees in every handshake
    "IssuedCertificate": "v site gate certificate authority",
    "RecoveryNotice": "v site gate key number port",  # a public key, the number of hand-overs, and the pairing port
}
"""The fields that a broker, or a listener there, may read.

Add a new field of these messages here only with a reason.
"""
PERSONAL = {
    "name",
    "household",
    "label",
    "number",
    "pin",
    "duress_pin",
    "pins",
    "rights",
    "wishes",
    "cards",
    "consents",
    "face",
    "subject",
}
"""Fields that describe a person.

Exceptions: `Command.number` counts commands, and `ScheduleRecord.name` names a schedule.
"""
LONG = {
    ("GateRecord", "vouched"): 1_000,
    ("Vouching", "vouched"): 1_000,
    ("SealedFace", "sealed"): 60_000,  # a JWE to the reader's key
    ("GateRecord", "keys"): 60_000,  # public keys
    ("ChangeSettings", "toml"): 20_000,  # settings, which the gate checks as settings
    ("StatusShell", "sealed"): 60_000,  # a JWE to the office's key
    **{
        ("CertificateRequest", "csr"): 4_000,
        ("IssuedCertificate", "certificate"): 4_000,
        ("IssuedCertificate", "authority"): 4_000,
    },  # X.509
    ("WireEvent", "body"): MAX_BODY_BYTES,  # an event of `gated.events`, see below
}
"""Longest length of texts that may be longer than a line, by struct and field."""
IDS = {r"^[0-9a-f]{16}\Z": 16, r"^[0-9a-f]{32}\Z": 32, r"^[A-Za-z0-9_-]{43}\Z": 43}
"""Patterns that fix the length of a text."""


def parts(kind):
    """Return the types directly inside a type."""
    if isinstance(kind, inspect.StructType):
        return [field.type for field in kind.fields]
    if isinstance(kind, inspect.Metadata):  # a type with a description
        return [kind.type]
    inner = [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
    for name in ("item_type", "key_type", "value_type"):
        inner += [getattr(kind, name)] if getattr(kind, name, None) is not None else []
    return inner


def reached(root):
    """Return every type that a value of this type can contain."""
    found, left = [], [inspect.type_info(root)]
    while left:
        kind = left.pop()
        if kind not in found:
            found.append(kind)
            left += parts(kind)
    return found


def structs(root):
    return [kind for kind in reached(root) if isinstance(kind, inspect.StructType)]


def strings(kind):
    """Yield the text types of a field, also inside lists and unions, but not inside other structs."""
    if isinstance(kind, inspect.StrType):
        yield kind
    elif not isinstance(kind, inspect.StructType):
        for inner in parts(kind):
            yield from strings(inner)


DIGESTS = 24 * 16
"""Size in bytes of all readings of a card.

It is less than a vector of the smallest embedder (128 numbers, 512 bytes).
"""
PLAIN = (
    *(inspect.StructType, inspect.UnionType, inspect.ListType, inspect.StrType, inspect.IntType, inspect.FloatType),
    *(inspect.BoolType, inspect.NoneType, inspect.LiteralType, inspect.Metadata),
)


@pytest.mark.parametrize("message", [*KINDS, StatusShell], ids=[*KINDS.values(), "shell"])
def test_no_message_can_carry_a_vector_a_picture_or_a_name_in_the_clear(message):
    """Checks types, so the result holds for every value.

    The unsealed messages are a known list. No field has raw bytes (except digests), an arbitrary type, or a text
    without a maximum length.
    """
    for kind in reached(message):
        is_digest = isinstance(kind, inspect.BytesType) and (kind.max_length or math.inf) <= DIGESTS
        assert isinstance(kind, PLAIN) or is_digest, f"{kind} could hold anything"
    for struct in structs(message):
        name, fields = struct.cls.__name__, {field.name: field for field in struct.fields}
        assert struct.cls is not FaceTemplates
        if message is StatusShell or KINDS[message] in OPEN:
            assert set(fields) == set(HARMLESS[name].split()), f"{name} travels in the clear"
            assert not PERSONAL & set(fields) - (
                {"number"} if struct.cls is RecoveryNotice else set()
            )  # counts hand-overs
        for field in fields.values():
            for text in strings(field.type):
                limit = LONG.get((name, field.name), 200 if name != "Tombstone" else 220)
                longest = IDS.get(text.pattern, text.max_length)
                assert longest is not None, f"{name}.{field.name} has no end"
                assert longest <= limit, f"{name}.{field.name} could hold a picture"


def test_every_personal_field_is_found_and_only_in_what_is_sealed():
    def fields(messages):
        found = {
            (struct.cls, field.name) for message in messages for struct in structs(message) for field in struct.fields
        }
        return {name for _, name in found - {(RecoveryNotice, "number")}}  # counts hand-overs

    assert fields(KINDS) >= PERSONAL
    assert not fields(message for message in KINDS if KINDS[message] in OPEN) & PERSONAL


def test_a_list_that_could_hold_a_picture_in_small_numbers_has_an_end():
    """Exception: `Status.degraded`, a list of the gate's own words for its parts. Only the message length limits it."""
    for message in KINDS:
        for struct in structs(message):
            for field in struct.fields:
                if isinstance(field.type, inspect.ListType) and (struct.cls, field.name) != (Status, "degraded"):
                    assert field.type.max_length <= 500, f"{struct.cls.__name__}.{field.name}"


def test_vectors_are_only_in_templates_which_no_message_holds():
    holders = [
        kind.cls for kind in structs(FaceTemplates) if any(isinstance(k, inspect.BytesType) for k in reached(kind.cls))
    ]
    assert holders == [FaceTemplates]
    assert not any(struct.cls is FaceTemplates for message in (*UP, *DOWN) for struct in structs(message))


def test_no_event_of_the_journal_can_hold_a_name_or_a_picture():
    """Checks the event types that `WireEvent.body` contains.

    Operators, schedules and credentials have names; residents have none.
    """
    for struct in structs(AnyEvent):
        assert not (PERSONAL - {"subject"}) & {field.name for field in struct.fields}, struct.cls
        for kind in (kind for field in struct.fields for kind in reached_field(field.type)):
            assert isinstance(kind, PLAIN), struct.cls


def reached_field(kind):
    yield kind
    for inner in parts(kind):
        yield from reached_field(inner)


# -- with real bytes ---------------------------------------------------------------------------------------------------


def written(message):
    """Return the message as it goes over the wire, and its content with all readable base64 decoded."""
    ends = ("office", "gate-2") if type(message) in DOWN else ("gate-2", "office")
    payload = wire_examples.peer(*ends).write(message)
    assert len(payload) <= MAX_BYTES
    return payload, bare(payload)


def bare(payload):
    """Return the payload with every part decoded, and each decoded part decoded again."""
    seen, left = b"", [payload]
    while left:
        part = left.pop()
        seen += b"\n" + part
        if re.fullmatch(rb"[\w-]*(\.[\w-]*){2,4}", part):
            left += [wire_examples.unb64(piece.decode()) for piece in part.split(b".")]
    return seen


def traces(secret):
    """Yield a secret as text, as JSON, and as base64 at each of the three offsets."""
    yield secret
    yield msgspec.json.encode(secret.decode())[1:-1] if secret.isascii() else secret
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret)
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


NAMES = st.text(st.characters(codec="utf-8", categories=("L",)), min_size=12, max_size=40)
"""Names so long that no trace appears by chance."""


def person(name, pin, face):
    record = story.records(face, "{}")[-1]
    return msgspec.structs.replace(record, name=name, household=f"flat of {name}", pin=pin)


def sayings(name, pin, vector):
    """Yield every message that contains data about a person."""
    templates = FaceTemplates(story.WANG, story.EMBEDDER, [vector])
    face = wire_examples.identity("gate-3").party.seal(msgspec.json.encode(templates)).decode()
    records = [person(name, pin, face), HouseholdRecord(n=7, household=f"flat of {name}", rights=[])]
    yield Delta(**story.US, after=0, upto=7, records=records)
    yield SnapshotPart(**story.US, version=7, digest="", part=0, parts=1, records=records)
    yield SharedFace(**story.US, subject=story.WANG, to="gate-3", face=SealedFace("f", story.EMBEDDER, 1, face))


@settings(deadline=None, max_examples=50)
@given(NAMES, st.from_regex(r"[0-9]{12}", fullmatch=True), st.binary(min_size=512, max_size=512).filter(any))
def test_neither_name_nor_pin_nor_vector_is_in_what_the_broker_sees(name, pin, vector):
    for message in sayings(name, pin, vector):
        payload, seen = written(message)
        for secret in (name.encode(), pin.encode(), vector[:16] if any(vector[:16]) else vector, story.WANG.encode()):
            for trace in traces(secret):
                assert trace not in payload
                assert trace not in seen


@settings(deadline=None)
@given(NAMES)
def test_the_search_for_a_name_finds_it_where_it_is(name):
    """Otherwise the test above would prove nothing."""
    plain = msgspec.json.encode(Reply(**story.US, command="", outcome="done", why=name))
    signed = wire_examples.identity("gate-2").sign("reply", plain)
    assert name.encode() in bare(signed)
    assert any(trace in signed for trace in traces(name.encode()))


def test_the_office_cannot_open_a_face_that_it_passes_on():
    for sealed in wire_examples.read()["faces"]:
        with pytest.raises(SealError):
            wire_examples.identity("office").open(sealed.encode())


def test_a_message_too_long_for_the_wire_is_never_sent():
    batch = [WireEvent(n, "", "", "x" * MAX_BODY_BYTES, "") for n in range(1, 5)]
    long = EventBatch(**story.US, journal="", after=0, first=1, last=4, prev="", events=batch)
    with pytest.raises(WireError, match=f"at most {MAX_PLAIN_BYTES}"):
        wire_examples.peer("gate-2", "office").write(long)
