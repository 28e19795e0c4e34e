"""No incoming message is trusted: its size, signature, seal, content and address are checked. No error quotes it."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import WireError
from gated.protocol.command_messages import Reply, ReplyFinding
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack
from gated.protocol.jose import Identity
from gated.protocol.lag import DATA_KINDS
from gated.protocol.limits import MAX_BYTES, MAX_PLAIN_BYTES
from gated.protocol.message_kinds import DOWN, OPEN, UP, kind_of
from gated.protocol.record_messages import Delta, RecordRequest
from gated.protocol.status_messages import GuessingLimits, JournalMark, RecordMark, Status
from gated.protocol.wire_records import HouseholdRecord, Tombstone, WireAccessRule
from gated.sync.status_reports import FUNCTIONS

ACK = Ack(site="market-south", gate="gate-2", journal="00", seq=4, hash="a" * 64)
DELTA = Delta(
    site="market-south",
    gate="gate-2",
    after=3,
    upto=4,
    records=[Tombstone(n=4, key="person/00"), HouseholdRecord(n=3, household="3-2-401", rights=[WireAccessRule()])],
)


@pytest.mark.parametrize("message", [ACK, DELTA], ids=["open", "sealed"])
def test_the_gate_reads_messages_of_the_office(gate_peer, office_peer, message):
    assert gate_peer.read(office_peer.write(message), type(message)) == message


def test_messages_about_people_cannot_be_read_on_the_way(office_peer):
    import base64

    payload = office_peer.write(DELTA)
    seen = b"".join(base64.urlsafe_b64decode(part + b"==") for part in payload.split(b"."))
    assert b"3-2-401" not in payload + seen
    assert {kind_of(kind) for kind in (*UP, *DOWN)} - OPEN == {
        *("event", "reply", "receipt", "shared", "delta", "part", "command"),
        *("offer", "ask", "wanted", "progress", "held", "vouching"),
        *("status", "request", "ack", "word", "recovery", "verifiers"),
    }


def test_a_message_signed_with_another_key_is_refused(gate_peer, stranger):
    for message in (ACK, DELTA):
        with pytest.raises(WireError, match="signed"):
            gate_peer.read(stranger.write(message), type(message))


def test_a_message_of_the_gate_is_not_accepted_as_one_of_the_office(gate_peer):
    mine = gate_peer.write(Status(site="market-south", gate="gate-2", version="1"))
    with pytest.raises(WireError):
        gate_peer.read(mine, Status)


def test_a_message_of_one_kind_is_not_accepted_as_another(gate_peer, office_peer):
    """The fields alone would fit; only the kind in the signature distinguishes the messages."""
    request = office_peer.write(RecordRequest(site="market-south", gate="gate-2"))
    with pytest.raises(WireError, match="signed as another kind"):
        gate_peer.read(request, Delta)
    assert gate_peer.read(request, Delta, RecordRequest).after == 0


@pytest.mark.parametrize("other", [{"site": "elsewhere"}, {"gate": "gate-3"}])
def test_a_signed_message_for_another_gate_is_refused(gate_peer, office_peer, other):
    with pytest.raises(WireError, match="another gate"):
        gate_peer.read(office_peer.write(msgspec.structs.replace(ACK, **other)), Ack)


def test_a_message_sealed_to_another_gate_does_not_open(gate_peer, office_peer):
    other = Peer(office_peer.me, Identity.make().party, "market-south", "gate-2")
    with pytest.raises(WireError, match="SealError"):
        gate_peer.read(other.write(DELTA), Delta)


def test_a_too_long_message_is_not_parsed(gate_peer):
    with pytest.raises(WireError, match="more than 102400"):
        gate_peer.read(b"a.b." + b"c" * MAX_BYTES, Ack)


def test_a_too_long_message_is_never_sent(gate_peer):
    reply = Reply(
        site="s", gate="g", command="1", outcome="done", findings=[ReplyFinding("x" * 64, "red", "x" * 200)] * 200
    )
    with pytest.raises(WireError, match=f"reply: .* at most {MAX_PLAIN_BYTES}"):
        gate_peer.write(reply)


def test_the_longest_message_fits_on_the_wire(gate_peer):
    records = []
    room = MAX_PLAIN_BYTES - len(msgspec.json.encode(Delta(site="s", gate="g", after=0, upto=1, records=[])))
    while room > 300:
        records.append(Tombstone(n=1, key="k" * 200))
        room -= len(msgspec.json.encode(records[-1])) + 1
    delta = Delta(site="s", gate="g", after=0, upto=1, records=records)
    assert MAX_PLAIN_BYTES - 600 < len(msgspec.json.encode(delta)) <= MAX_PLAIN_BYTES
    assert len(gate_peer.write(delta)) <= MAX_BYTES


FULL = Status(
    site="s", gate="g", version="0.1.0", models="evaluation", certificate_ends="2028-11-30T21:52:50+00:00",
    at="2026-11-30T21:52:50.123456+00:00", challenge="c" * 32, recovery="r" * 43, can=FUNCTIONS, heard=10**9,
    people=3600,
    templates=10**4, journal=JournalMark("5b0f6a1c9e2d4471", 10**9, 10**9, "a" * 64),
    records=RecordMark(10**9, "b" * 64, 3600, 10**9, 3600),
    guessing=GuessingLimits(2, 2, True, 240, 240, 3600, 9**5, 9**5, 8),
)  # fmt: skip
"""A status of a gate with long names and large numbers."""
PARTS = ["vision", "camera", "clock", "network", "records", "the log for the server", "feedback", "screen"]


def test_the_length_of_a_status_reveals_neither_losses_nor_the_door(gate_peer):
    few = Status(site="s", gate="g", version="0")
    for status in (few, *(msgspec.structs.replace(FULL, site="s" * long, gate="g" * long) for long in range(1, 65, 7))):
        lengths = {
            len(gate_peer.write(msgspec.structs.replace(status, door=door, degraded=PARTS[:lost], withheld=withheld)))
            for door in ("secured", "released", "open")
            for lost in range(len(PARTS) + 1)
            for withheld in ([], list(DATA_KINDS))
        }
        assert len(lengths) == 1


@given(st.data())
@settings(deadline=None)
def test_changing_any_byte_of_a_message_is_detected(gate_peer, office_peer, data):
    payload = bytearray(office_peer.write(data.draw(st.sampled_from([ACK, DELTA]))))
    at = data.draw(st.integers(0, len(payload) - 2))  # some bits of the last character have no meaning
    old, payload[at] = payload[at], data.draw(st.integers(0, 255))
    if payload[at] != old:
        with pytest.raises(WireError) as caught:
            gate_peer.read(bytes(payload), Ack, Delta)
        assert "3-2-401" not in str(caught.value)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_wire_error_at_worst(gate_peer, payload):
    for kinds in (UP, DOWN):
        with pytest.raises(WireError):
            gate_peer.read(payload, *kinds)


HOSTILE = [
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":1,"hash":"aa","x":' + b"[" * 50_000,
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":18446744073709551616,"hash":"aa"}',
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":-1,"hash":"aa"}',
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":"1","hash":"aa"}',
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":1,"hash":"' + b"a" * 65 + b'"}',
    b'{"v":1,"site":"market-south","gate":"gate-2","journal":"0","seq":1,"hash":"\xff"}',
    b'{"v":2,"site":"market-south","gate":"gate-2","journal":"0","seq":1,"hash":"aa"}',
    b"null",
    b"",
]


@pytest.mark.parametrize("plain", HOSTILE, ids=range(len(HOSTILE)))
def test_signed_nonsense_is_refused(gate_peer, office_peer, plain):
    """A message that breaks the protocol is refused, even if an office that was taken over or is faulty signed it."""
    with pytest.raises(WireError, match="content is invalid"):
        gate_peer.read(office_peer.me.sign("ack", plain), Ack)


def test_a_client_id_is_stable_and_unguessable(tmp_path):
    """A new pairing under the same name gives another id. A reader of all public values cannot compute the id."""
    me, office, other = Identity.make(), Identity.make(), Identity.make()
    path = tmp_path / "keys"
    me.save(path)
    ids = [Peer(who, office.party, "market-south", "gate-2").client_id for who in (me, Identity.load(path), other)]
    assert ids[0] == ids[1] != ids[2]
    assert re.fullmatch("gated-market-south-gate-2-[0-9a-f]{24}", ids[0])
    assert Peer(me, office.party, "market-south", "gate-9").client_id[-24:] != ids[0][-24:]
    assert ids[0][-24:] not in me.party.dump().decode()
