"""Tests of a gate's side of the protocol, in memory: what it sends, what it accepts, and what it does only once."""

import contextlib
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.config import SyncSettings
from gated.errors import BusyError, StateError
from gated.events import Commanded, DoorClosed, OfficeSilent
from gated.journal.journal import Journal
from gated.protocol.command_messages import Command, Reply, ReplyFinding, Share, Suspend
from gated.protocol.event_messages import Ack, EventBatch
from gated.protocol.limits import MAX_BYTES
from gated.protocol.record_messages import Delta, RecordRequest, RemovalReceipt
from gated.protocol.status_messages import Heartbeat, RecordMark, Status
from gated.protocol.topics import Topics
from gated.protocol.wire_records import Tombstone
from gated.sync.command_desk import STOPPED, CommandDesk, CommandOutcome
from gated.sync.isolation import DISK_REST_S
from gated.sync.session import INVALID_LOG_S, GateSide
from gated.sync.status_reports import Vitals

SITE, GATE = "market-south", "gate-2"
TOPICS = Topics(SITE, GATE)
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
WELL = Vitals("0.1.0", [], "secured", 72, 216, "site")
SETTINGS = SyncSettings(url="mqtts://office", silent_h=1.0)


class Desk:
    """A gate side with its parts, its journal, and the reported facts."""

    def __init__(self, folder, peer, records, settings=SETTINGS):
        self.folder, self.records, self.facts, self.opened = Path(folder), records, [], 0
        self.proofs, self.times, self.lost = [], [], {}
        self.trouble = None
        self.journal = Journal.open(self.folder, SITE, GATE)
        self.ledger = CommandDesk(self.folder, SITE, GATE)
        self.side = GateSide(
            peer,
            TOPICS,
            settings,
            open_journal=self.open_journal,
            replica=records,
            desk=self.ledger,
            report=self.facts.append,
            now=0.0,
            proved=self.proofs.append,
            lost=lambda part, why: self.lost.update({part: why}),
            timed=lambda read_by_office, asked_at: self.times.append((read_by_office, asked_at)),
        )

    def open_journal(self):
        self.opened += 1
        if self.trouble is not None:
            raise self.trouble
        return Journal.open(self.folder, SITE, GATE)

    def happen(self, count):
        self.journal.extend([(DoorClosed(), NOON)] * count)

    def due(self, now, vitals=WELL):
        return self.side.due(now, NOON, vitals)

    def close(self):
        self.side.close()
        self.journal.close()


@pytest.fixture
def desk(tmp_path, gate_peer, records_kind):
    desk = Desk(tmp_path, gate_peer, records_kind())
    yield desk
    desk.close()


@pytest.fixture
def read_by_office(office_peer):
    """A function that reads a gate's messages as the office does."""
    kinds = {TOPICS.status: [Status], TOPICS.event: [EventBatch], TOPICS.reply: [Reply, RemovalReceipt]}
    return lambda outs: [office_peer.read(out.payload, *kinds.get(out.topic, [RecordRequest])) for out in outs]


def about(kind, **fields):
    return kind(site=SITE, gate=GATE, **fields)


def order(number, action=Suspend("a" * 16, 7), **other):  # noqa: B008 - frozen
    fields = {"id": f"{number:032x}", "at": NOON.isoformat(), "operator": "li"} | other
    return about(Command, number=number, action=action, **fields)


# -- status ----------------------------------------------------------------------------------------------------------


def test_the_first_message_is_a_complete_status_with_a_challenge(desk, read_by_office):
    desk.happen(3)
    out = desk.due(0.0)
    status = read_by_office(out)[0]
    position = desk.journal.position()
    assert out[0].retain
    assert status.challenge
    assert (status.journal.head, status.journal.hash) == (3, position.head_hash)
    assert status.records == desk.records.mark
    assert (status.version, status.door, status.people, status.templates) == ("0.1.0", "secured", 72, 216)
    assert (status.models, status.at, status.heard, status.silent_s) == ("site", "2027-01-15T12:00:00.000000Z", 0, 0)


def test_the_status_is_repeated_regularly_and_on_a_new_connection(desk, read_by_office):
    """A broker that counts messages must not learn when the door moves, or what fails."""
    broken = replace_vitals(degraded=["vision"], door="open", people=1, templates=2)
    assert [type(message) for message in read_by_office(desk.due(0.0))] == [Status]
    desk.happen(1)
    assert desk.due(1.0) == desk.due(2.0, broken) == desk.due(59.9, broken) == []
    status, batch = sorted(read_by_office(desk.due(60.0, broken)), key=lambda message: isinstance(message, EventBatch))
    assert (status.degraded, status.door, batch.last) == (["vision"], "open", 1)
    desk.side.start_connection(63.0)
    assert TOPICS.status in [out.topic for out in desk.due(63.0, broken)]
    assert desk.records.restarts == 1


def test_an_office_that_cannot_open_a_status_shows_the_request_to_update(desk, read_by_office, office_peer):
    challenge = read_by_office(desk.due(0.0))[0].challenge
    old = about(Heartbeat, challenge="", number=1, at=NOON.isoformat(), version=0, digest="")
    desk.side.handle_message(TOPICS.ack, office_peer.write(old, is_to_old=True), 1.0, NOON)
    assert "update the office" in desk.lost["office_outdated"]
    new = about(Heartbeat, challenge=challenge, number=2, at=NOON.isoformat(), version=0, digest="")
    desk.side.handle_message(TOPICS.ack, office_peer.write(new), 2.0, NOON)
    assert desk.lost["office_outdated"] is None


@pytest.mark.parametrize("at", ["", "noon", "2027-01-15T12:00:00", "9999-99-99T00:00:00Z"])
def test_a_heartbeat_without_a_time_sets_no_time(desk, read_by_office, office_peer, at):
    challenge = read_by_office(desk.due(0.0))[0].challenge
    word = about(Heartbeat, challenge=challenge, number=1, at=at, version=0, digest="")
    desk.side.handle_message(TOPICS.ack, office_peer.write(word), 1.0, NOON)
    assert (desk.proofs, desk.times) == ([0.0], [])


def test_only_a_heartbeat_with_a_new_challenge_gives_the_time(desk, read_by_office, office_peer):
    challenge = read_by_office(desk.due(5.0))[0].challenge
    before = NOON - timedelta(days=9)
    for beat, echoed, at in ((1, "of another day", NOON), (2, challenge, NOON), (3, challenge, before)):
        word = office_peer.write(
            about(Heartbeat, challenge=echoed, number=beat, at=at.isoformat(), version=0, digest="")
        )
        desk.side.handle_message(TOPICS.ack, word, 6.0, NOON)
        desk.side.handle_message(TOPICS.ack, word, 7.0, NOON)
    assert desk.times == [(NOON, 5.0)]


def test_every_call_is_sent_at_once_with_a_new_challenge(desk, read_by_office, office_peer):
    first = read_by_office(desk.due(0.0))[0]
    called = read_by_office(desk.due(1.0, replace_vitals(calls=1)))
    assert [type(message) for message in called] == [Status]
    assert desk.due(2.0, replace_vitals(calls=1)) == []
    assert called[0].challenge != first.challenge
    hear = lambda challenge, beat: desk.side.handle_message(  # noqa: E731
        TOPICS.ack,
        office_peer.write(about(Heartbeat, challenge=challenge, number=beat, at="", version=0, digest="")),
        9.0,
        NOON,
    )
    hear(first.challenge, 1)
    assert desk.proofs == [0.0]
    hear(called[0].challenge, 2)
    assert desk.proofs == [0.0, 1.0]
    hear(called[0].challenge, 3)
    hear("never said", 4)
    assert desk.proofs == [0.0, 1.0]


def replace_vitals(**changes):
    fields = {name: getattr(WELL, name) for name in WELL.__struct_fields__}
    return Vitals(**(fields | changes))


def test_applied_records_are_reported_at_once(desk, read_by_office):
    desk.due(0.0)
    desk.records.mark = RecordMark(7, "d" * 64)
    assert read_by_office(desk.due(0.1))[0].records.version == 7


def test_no_two_statuses_have_the_same_challenge(desk, read_by_office):
    challenges = [read_by_office(desk.due(60.0 * n))[0].challenge for n in range(40)]
    assert len(set(challenges)) == 40


def test_a_heartbeat_is_applied_and_its_number_reported(desk, read_by_office, server_kind, office_peer):
    server, status = server_kind(), read_by_office(desk.due(0.0))[0]
    word = server.word(status.challenge)
    heard = desk.side.handle_message(TOPICS.ack, office_peer.write(word), 5.0, NOON)
    assert not heard.is_invalid
    assert desk.records.words == [word]
    told = read_by_office(desk.due(60.0))[0]
    assert (told.heard, told.silent_s) == (1, 60)


def test_a_replayed_heartbeat_is_invalid_and_ignored(desk, read_by_office, server_kind, office_peer):
    payload = office_peer.write(server_kind().word(read_by_office(desk.due(0.0))[0].challenge))
    assert [desk.side.handle_message(TOPICS.ack, payload, 1.0, NOON).is_invalid for _ in range(3)] == [
        False,
        True,
        True,
    ]
    assert len(desk.records.words) == 1


def test_silence_is_reported_once_and_its_end(desk, read_by_office, server_kind, office_peer):
    server = server_kind()
    desk.due(0.0)
    for now in (3600.0, 3601.0, 3700.0):
        desk.due(now)
    assert desk.facts == [OfficeSilent(3601)]
    status = read_by_office(desk.due(3760.0))[0]
    desk.side.handle_message(TOPICS.ack, office_peer.write(server.word(status.challenge)), 3761.0, NOON)
    desk.due(3762.0)
    assert desk.facts[1:] == [OfficeSilent(3760, is_over=True)]


def test_the_will_and_the_goodbye_say_offline_and_are_retained(desk, read_by_office):
    for out in (desk.side.last_will(NOON, WELL), desk.side.last_will(NOON, WELL)):
        assert (out.topic, out.retain) == (TOPICS.status, True)
        assert read_by_office([out])[0].state == "offline"


def test_a_lost_part_with_a_long_name_still_makes_a_status_that_is_read(desk, read_by_office):
    assert (
        read_by_office(desk.due(0.0, replace_vitals(degraded=["reader /dev/input/" + "x" * 200])))[0].degraded[0][:7]
        == "reader "
    )


# -- the log ---------------------------------------------------------------------------------------------------------


def test_events_go_up_in_order_and_the_next_when_the_office_holds_them(desk, read_by_office, server_kind, office_peer):
    server = server_kind()
    desk.happen(900)
    for now in range(20):
        for message in read_by_office(desk.due(float(now))):
            if isinstance(message, EventBatch) and (ack := server.take(message)) is not None:
                desk.side.handle_message(TOPICS.ack, office_peer.write(ack), float(now), NOON)
    assert list(server.events) == list(range(1, 901))
    assert desk.journal.position().acked == 900


def test_a_forged_ack_is_invalid_and_the_first_of_a_row_is_logged(desk, caplog, stranger):
    desk.happen(1)
    position = desk.journal.position()
    ack = stranger.write(about(Ack, journal=position.journal, seq=1, hash=position.head_hash))
    for now in (0.0, 1.0, 2.0, 2.0 + INVALID_LOG_S):
        assert desk.side.handle_message(TOPICS.ack, ack + b"A" * int(now), now, NOON).is_invalid
    assert desk.journal.position().acked == 0
    assert len(caplog.records) == 1
    desk.side.handle_message(TOPICS.ack, ack, 3.0 + 2 * INVALID_LOG_S, NOON)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("topic", [TOPICS.record, TOPICS.command, TOPICS.status, TOPICS.ack + "x", ""])
def test_an_ack_on_another_topic_is_junk(desk, office_peer, topic):
    ack = office_peer.write(about(Ack, journal="x", seq=0, hash=""))
    assert desk.side.handle_message(topic, ack, 0.0, NOON).is_invalid


@pytest.fixture(scope="module")
def quiet_desk(tmp_path_factory, gate_peer, records_kind):
    desk = Desk(tmp_path_factory.mktemp("quiet"), gate_peer, records_kind())
    yield desk
    desk.close()


@given(st.binary(max_size=300), st.sampled_from(TOPICS.down))
@settings(deadline=None)
def test_random_bytes_are_invalid_and_have_no_effect(quiet_desk, payload, topic):
    heard = quiet_desk.side.handle_message(topic, payload, 0.0, NOON)
    assert (heard.is_invalid, heard.command, list(heard.outgoing)) == (True, None, [])
    assert (quiet_desk.facts, quiet_desk.records.heard, quiet_desk.opened) == ([], [], 0)


# -- parts that fail -------------------------------------------------------------------------------------------------


def test_a_journal_that_fails_rests_and_everything_else_goes_on(desk, read_by_office, caplog):
    caplog.set_level(logging.INFO)
    desk.happen(2)
    desk.trouble = StateError("the card is gone")
    assert [type(message) for message in read_by_office(desk.due(0.0))] == [Status]
    desk.records.requests = [about(RecordRequest, after=3)]
    assert read_by_office(desk.due(0.5)) == [about(RecordRequest, after=3)]
    assert desk.opened == 1
    desk.due(DISK_REST_S)
    assert desk.opened == 2
    desk.trouble = None
    assert [m.last for m in read_by_office(desk.due(2 * DISK_REST_S)) if isinstance(m, EventBatch)] == [2]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_records_that_cannot_be_written_end_nothing_and_come_again(desk, read_by_office, office_peer, caplog):
    desk.records.trouble = BusyError("somebody else holds the gallery")
    delta = about(Delta, after=0, upto=1, records=[Tombstone(n=1, key="person/0011223344556677")])
    heard = desk.side.handle_message(TOPICS.record, office_peer.write(delta), 0.0, NOON)
    assert (heard.is_invalid, list(heard.outgoing), desk.records.heard) == (False, [], [])
    desk.side.handle_message(TOPICS.record, office_peer.write(delta), DISK_REST_S / 2, NOON)
    assert desk.records.held == [delta, delta], "what takes away counts in memory, also while the disk rests"
    desk.records.trouble = None
    desk.side.handle_message(TOPICS.record, office_peer.write(delta), DISK_REST_S, NOON)
    assert desk.records.heard == [delta]
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1


# -- records and commands --------------------------------------------------------------------------------------------


def test_messages_of_the_replica_go_to_their_topics(desk, read_by_office, office_peer):
    receipt = about(RemovalReceipt, subject="0011223344556677", n=1, templates=3, at="")
    request = about(RecordRequest, is_snapshot=True)
    desk.records.answers = [receipt, request]
    delta = about(Delta, after=0, upto=1, records=[])
    out = desk.side.handle_message(TOPICS.record, office_peer.write(delta), 0.0, NOON).outgoing
    assert [o.topic for o in out] == [TOPICS.reply, TOPICS.request]
    assert read_by_office(out) == [receipt, request]


def test_a_fresh_command_is_executed_once_answered_and_recorded(desk, read_by_office, office_peer):
    command = order(1, reason="the postman")
    heard = desk.side.handle_message(TOPICS.command, office_peer.write(command), 0.0, NOON)
    assert heard.command == command
    assert list(heard.outgoing) == []
    out = desk.side.finish_command(command, CommandOutcome("done"), 1.0)
    assert read_by_office(out) == [about(Reply, command=command.id, outcome="done")]
    assert desk.facts == [Commanded("suspend", command.id, "li", "the postman", "done")]
    again = desk.side.handle_message(TOPICS.command, office_peer.write(command), 2.0, NOON)
    assert again.command is None
    assert read_by_office(again.outgoing) == read_by_office(out)
    assert len(desk.facts) == 1


def test_a_stale_command_is_refused_answered_and_recorded_once(desk, read_by_office, office_peer):
    command = order(1, Share("a" * 16, "west"), at=(NOON - timedelta(hours=1)).isoformat())
    for _ in range(3):
        heard = desk.side.handle_message(TOPICS.command, office_peer.write(command), 0.0, NOON)
        assert heard.command is None
        assert read_by_office(heard.outgoing)[0].outcome == "refused"
    assert [fact.outcome for fact in desk.facts] == ["refused"]


def test_without_a_clock_a_challenge_is_sent_and_nothing_is_recorded(desk, read_by_office, office_peer):
    heard = desk.side.handle_message(TOPICS.command, office_peer.write(order(1)), 0.0, None)
    challenge = read_by_office(heard.outgoing)[0]
    assert (challenge.outcome, heard.command, desk.facts) == ("challenge", None, [])
    again = order(2, challenge=challenge.challenge)
    assert desk.side.handle_message(TOPICS.command, office_peer.write(again), 1.0, None).command == again


def test_a_command_replayed_a_thousand_times_is_executed_once(desk, office_peer):
    payload = office_peer.write(order(1))
    acts = [desk.side.handle_message(TOPICS.command, payload, 0.0, NOON) for _ in range(1000)]
    assert sum(heard.command is not None for heard in acts) == 1
    assert sum(heard.is_invalid for heard in acts) == 999


def test_a_command_that_cannot_be_recorded_is_not_executed(desk, office_peer, monkeypatch):
    desk.ledger.close()
    heard = desk.side.handle_message(TOPICS.command, office_peer.write(order(1)), 0.0, NOON)
    assert heard.command is None


def test_messages_of_a_command_are_sent_before_its_answer(desk, read_by_office, office_peer):
    command = order(1)
    desk.side.handle_message(TOPICS.command, office_peer.write(command), 0.0, NOON)
    desk.side.queue(about(RemovalReceipt, subject="0011223344556677", n=1, templates=0, at=""))
    assert [type(m) for m in read_by_office(desk.side.finish_command(command, CommandOutcome("done"), 1.0))] == [
        RemovalReceipt,
        Reply,
    ]


def test_a_too_long_message_is_reported_and_not_sent(desk, caplog, office_peer):
    findings = tuple(ReplyFinding("x" * 64, "red", "门" * 200) for _ in range(100))
    out = desk.side.finish_command(order(1), CommandOutcome("done", findings=findings), 0.0)
    assert all(len(o.payload) <= MAX_BYTES for o in out)
    assert out or "cannot be sent" in caplog.text


def test_close_may_be_called_twice(desk):
    desk.due(0.0)
    desk.side.close()
    desk.side.close()
    assert desk.records.is_closed


# -- the whole, with a bad broker ------------------------------------------------------------------------------------


class World:
    """A gate's side, an office, and a broker that delays, drops and reorders."""

    def __init__(self, desk, server, office_peer):
        self.desk, self.server, self.peer = desk, server, office_peer
        self.now, self.up, self.down = 0.0, [], []

    def happen(self, count):
        self.desk.happen(count)

    def look(self, _=0):
        self.up += self.desk.due(self.now)

    def office_hears(self, index=0):
        if self.up:
            out = self.up.pop(index % len(self.up))
            if out.topic == TOPICS.status:
                answers = self.server.see(self.peer.read(out.payload, Status))
            else:
                answers = [self.server.take(self.peer.read(out.payload, EventBatch))]
            self.down.extend(self.peer.write(answer) for answer in answers if answer is not None)

    def gate_hears(self, index=0):
        if self.down:
            payload = self.down.pop(index % len(self.down))
            assert self.desk.side.handle_message(TOPICS.ack, payload, self.now, NOON).command is None

    def lose(self, kept):
        del self.up[kept:], self.down[kept:]

    def double(self, count):
        self.up, self.down = self.up + self.up[:count], self.down + self.down[:count]

    def reconnect(self, _):
        self.up, self.down = [], []
        self.desk.side.start_connection(self.now)

    def wait(self, tens):
        self.now += tens * 10

    def office_forgets(self, held):
        self.server.forget(held)

    def calm_down(self):
        for _ in range(20):
            self.now += 60.0
            self.look()
            while self.up or self.down:
                while self.up:
                    self.office_hears()
                while self.down:
                    self.gate_hears()
                self.look()


ACTS = ["happen", "look", "office_hears", "gate_hears", "lose", "double", "reconnect", "wait", "office_forgets"]


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 9)), max_size=40))
@settings(max_examples=20, deadline=None)
def test_the_office_gets_every_event_and_fresh_heartbeats_whatever_a_broker_does(
    gate_peer, office_peer, records_kind, server_kind, acts
):
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Desk(folder, gate_peer, records_kind())) as desk:
        world = World(desk, server_kind(), office_peer)
        for what, number in acts:
            world.now += 0.1
            getattr(world, what)(number)
        world.happen(1)
        world.calm_down()
        head = desk.journal.position().head
        assert list(world.server.events) == list(range(1, head + 1))
        assert (world.server.lost, world.server.altered, desk.journal.position().acked) == (set(), [], head)
        assert desk.records.words[-1].number == world.server.beat


def test_an_interrupted_command_is_answered_on_every_connection(desk, read_by_office):
    order = about(
        Command, id="01" * 16, number=1, at=NOON.isoformat(), operator="li", action=Suspend("0123456789abcdef", 5)
    )
    assert desk.ledger.judge(order, 0.0, NOON) is order
    for now in (1.0, 2.0):
        desk.side.start_connection(now)
        [told] = [each for each in read_by_office(desk.due(now)) if isinstance(each, Reply)]
        assert (told.command, told.outcome, told.why) == (order.id, "failed", STOPPED)
        assert not [each for each in read_by_office(desk.due(now + 0.1)) if isinstance(each, Reply)], (
            "once a connection"
        )
