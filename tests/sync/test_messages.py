"""Nothing that arrives is believed: measured before it is parsed, parsed strictly, and never quoted."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import WireError
from gated.sync.messages import MAX_BYTES, Ack, EventBatch, JournalMark, StatusMessage, WireEvent, decode, encode

EVENT = WireEvent(seq=4, at="2026-01-01T00:00:00.000000Z", kind="door_closed", body="{}", hash="a" * 64)
MESSAGES = [
    Ack(seq=4, hash="a" * 64),
    StatusMessage(site="s", gate="g", version="0.1.0", degraded=["vision"], journal=JournalMark("00", 9, 8, 1)),
    EventBatch(site="s", gate="g", journal="00", after=3, first=4, last=4, prev="b" * 64, events=[EVENT]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_comes_back_as_it_was_and_bears_its_version(message):
    assert decode(encode(message), type(message)) == message
    assert msgspec.json.decode(encode(message))["v"] == 1


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_field_from_the_future_is_passed_over(message):
    fields = msgspec.to_builtins(message) | {"signature": "x", "nested": {"a": [1]}}
    assert decode(msgspec.json.encode(fields), type(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5, True])
def test_another_version_is_refused(message, version):
    with pytest.raises(WireError):
        decode(msgspec.json.encode(msgspec.to_builtins(message) | {"v": version}), type(message))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
@given(st.data())
def test_a_message_with_a_byte_changed_is_a_message_or_a_wire_error(message, data):
    payload = bytearray(encode(message))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(payload), type(message))
    except WireError as error:
        assert "door_closed" not in str(error)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_wire_error_at_worst(payload):
    for kind in (Ack, StatusMessage, EventBatch):
        with pytest.raises(WireError):
            decode(payload, kind)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":1,"seq":1,"hash":"aa","x":' + b"[" * 90_000,
        b'{"v":1,"seq":1,"hash":"aa","x":' + b'{"a":' * 15_000,
        b'{"v":1,"seq":18446744073709551616,"hash":"aa"}',
        b'{"v":1,"seq":1.0e0,"hash":"aa"}',
        b'{"v":1,"seq":"1","hash":"aa"}',
        b'{"v":1,"seq":1,"hash":"' + b"a" * 65 + b'"}',
        b'{"v":1,"seq":1,"hash":"\xff"}',
    ],
)
def test_hostile_acks_are_refused(payload):
    with pytest.raises(WireError):
        if decode(payload, Ack).seq == 1:  # 1.0 is the number 1 in JSON
            raise WireError("as it may be")


def test_a_message_that_is_too_long_is_not_even_parsed():
    right = b'{"v":1,"seq":1,"hash":"aa"}'
    assert decode(right + b" " * (MAX_BYTES - len(right)), Ack).seq == 1
    with pytest.raises(WireError, match="more than 102400"):
        decode(right + b" " * (MAX_BYTES - len(right) + 1), Ack)


def test_a_message_that_is_too_long_is_never_handed_to_the_wire():
    status = StatusMessage(site="s", gate="g", version="1", degraded=["x" * 60] * 2000)
    with pytest.raises(WireError, match="StatusMessage: .* at most 102400"):
        encode(status)


@pytest.mark.parametrize("change", [{"first": 3}, {"last": 5}, {"after": 4}, {"after": 9}, {"events": []}])
def test_a_batch_whose_numbers_contradict_each_other_is_refused(change):
    with pytest.raises(WireError):
        decode(msgspec.json.encode(msgspec.to_builtins(MESSAGES[2]) | change), EventBatch)


def test_a_batch_of_more_than_500_events_is_refused():
    events = [{"seq": n, "at": "", "kind": "", "body": "", "hash": ""} for n in range(1, 502)]
    fields = msgspec.to_builtins(MESSAGES[2]) | {"after": 0, "first": 1, "last": 501, "events": events}
    with pytest.raises(WireError):
        decode(msgspec.json.encode(fields), EventBatch)


def test_the_status_has_no_field_for_anything_about_a_person():
    assert set(StatusMessage.__struct_fields__) == {
        *("v", "site", "gate", "state", "version", "at", "degraded", "door", "people", "templates", "journal")
    }
