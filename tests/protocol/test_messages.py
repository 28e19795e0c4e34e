"""Messages have limits, and a batch describes itself correctly."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.protocol.command_messages import Command, ReleaseDoor
from gated.protocol.event_messages import Ack, EventBatch, WireEvent, first_altered
from gated.protocol.limits import MAX_EVENTS
from gated.protocol.message_kinds import DOWN, KINDS, OPEN, UP, kind_of
from gated.protocol.record_messages import RemovalReceipt
from gated.protocol.status_messages import Heartbeat, JournalMark, Status, StatusShell
from gated.protocol.wire_records import PersonRecord

ABOUT = {"site": "s", "gate": "g"}
EVENT = WireEvent(seq=4, at="2026-01-01T00:00:00.000000Z", kind="door_closed", body="{}", hash="a" * 64)
MESSAGES = [
    Ack(**ABOUT, journal="00", seq=4, hash="a" * 64),
    Heartbeat(**ABOUT, challenge="c", number=1, at="", version=3, digest="d" * 64),
    Status(**ABOUT, version="0.1.0", degraded=["vision"], journal=JournalMark("00", 9, 8, 1, "a" * 64)),
    EventBatch(**ABOUT, journal="00", after=3, first=4, last=4, prev="b" * 64, events=[EVENT]),
    RemovalReceipt(**ABOUT, subject="0011223344556677", n=4, templates=3, at=""),
    Command(**ABOUT, id="0" * 32, number=1, at="", operator="li", action=ReleaseDoor()),
]
named = pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)


def read(fields, kind):
    return msgspec.json.decode(msgspec.json.encode(fields), type=kind)


@named
def test_a_message_is_read_back_unchanged_with_its_version(message):
    assert read(message, type(message)) == message
    assert msgspec.to_builtins(message)["v"] == 1


@named
def test_an_unknown_field_is_ignored(message):
    fields = msgspec.to_builtins(message) | {"signature": "x", "nested": {"a": [1]}}
    assert read(fields, type(message)) == message


@named
@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5, True])
def test_an_unknown_version_is_refused(message, version):
    with pytest.raises(msgspec.ValidationError):
        read(msgspec.to_builtins(message) | {"v": version}, type(message))


@named
@given(st.data())
@settings(max_examples=30)
def test_a_message_with_a_changed_byte_is_valid_or_refused_by_name(message, data):
    payload = bytearray(msgspec.json.encode(message))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        msgspec.json.decode(bytes(payload), type=type(message))
    except (msgspec.MsgspecError, UnicodeError):
        pass


def test_every_message_has_one_direction_and_its_own_name():
    assert set(KINDS) == {*UP, *DOWN}
    assert not {*UP} & {*DOWN}
    assert len(set(KINDS.values())) == len(KINDS)
    assert {kind_of(kind) for kind in KINDS} >= OPEN


@pytest.mark.parametrize("change", [{"first": 3}, {"last": 5}, {"after": 4}, {"after": 9}, {"events": []}])
def test_a_batch_with_contradictory_numbers_is_refused(change):
    with pytest.raises(msgspec.ValidationError):
        read(msgspec.to_builtins(MESSAGES[3]) | change, EventBatch)


def test_a_batch_of_more_than_500_events_is_refused():
    events = [{"seq": n, "at": "", "kind": "", "body": "", "hash": ""} for n in range(1, MAX_EVENTS + 2)]
    fields = msgspec.to_builtins(MESSAGES[3]) | {"after": 0, "first": 1, "last": MAX_EVENTS + 1, "events": events}
    with pytest.raises(msgspec.ValidationError):
        read(fields, EventBatch)


def test_a_batch_with_a_broken_chain_is_detected():
    assert first_altered(MESSAGES[3], "b" * 64) == 4


def test_unsealed_messages_have_no_field_about_a_person():
    open_to_all = [*(kind for kind, name in KINDS.items() if name in OPEN), StatusShell]
    fields = {field for kind in open_to_all for field in kind.__struct_fields__}
    assert fields == {
        *("v", "site", "gate", "state", "version", "sealed"),
        *("csr", "certificate", "authority"),  # certificates of the gate, not of a person
    }


def test_a_subject_is_an_id_and_not_a_name():
    fields = {"n": 1, "subject": "Zhang Wei", "name": "x", "household": "y", "added_at": ""}
    with pytest.raises(msgspec.ValidationError):
        read(fields, PersonRecord)
