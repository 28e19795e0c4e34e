"""The office's response to each message it receives."""

import shutil
from datetime import timedelta

import pytest

from gated.journal.entry import stamp
from gated.office.command_store import GO_S
from gated.office.event_effects import apply_events
from gated.office.exchange import RECONNECT_S, SILENT_S, Exchange
from gated.office.gate_session import MOST_AT_ONCE
from gated.office.office_person import OfficePerson
from gated.office.record_sending import LAG
from gated.office.schema import MIGRATIONS
from gated.office.statuses import SKIPPED
from gated.protocol.command_messages import (
    AnnounceBatch,
    AnswerCall,
    ChangeSettings,
    Command,
    Confirmation,
    ConfirmationRequest,
    Diagnose,
    Enrol,
    Offer,
    ReleaseDoor,
    Reply,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, WireEvent
from gated.protocol.face_messages import SealedFace
from gated.protocol.jose import Identity
from gated.protocol.limits import COMMAND_WINDOW
from gated.protocol.record_keys import digest_of, key_of
from gated.protocol.record_messages import Delta, RecordRequest, SnapshotPart
from gated.protocol.status_messages import Heartbeat, JournalMark, RecordMark, Status
from gated.protocol.wire_records import RoleRecord, Tombstone
from gated.storage import database
from gated.sync.command_desk import STOPPED, CommandDesk, CommandOutcome

SITE = "market-south"


def face(number=1, length=100):
    return SealedFace(f"face-{number}", "ab" * 32, 1, "e" * length)


def in_step(court, gate):
    """Set the gate's version and digest to the office's: the gate has every record."""
    gate.version, gate.digest = court.store.book.version(gate.name), court.store.book.digest(gate.name)


class Replica:
    """A gate's copy of the records. It applies deltas by the rules of the protocol, nothing more."""

    def __init__(self):
        self.held, self.version = {}, 0

    def handle_records(self, delta):
        assert delta.after <= self.version
        for record in delta.records:
            if record.n > self.held.get(key_of(record), record).n or key_of(record) not in self.held:
                self.held[key_of(record)] = record
        self.version = max(self.version, delta.upto)

    @property
    def digest(self):
        return digest_of((key, r.n) for key, r in self.held.items() if not isinstance(r, Tombstone))


# -- heartbeats -------------------------------------------------------------------------------------------------------


def test_every_status_is_answered_with_a_fresh_heartbeat(court, gate, only):
    first, second = (only(Heartbeat, gate.status())[0] for _ in range(2))
    assert first.challenge == "challenge-2"
    assert second.challenge == "challenge-3"
    assert second.number == first.number + 1
    assert (first.version, first.digest) == (court.store.book.version("gate-1"), court.store.book.digest("gate-1"))


def test_a_heartbeat_number_never_decreases_after_a_restart_of_the_office(court, gate, only):
    before = only(Heartbeat, gate.status())[0].number
    court.restart()
    assert only(Heartbeat, gate.status())[0].number > before


def test_a_last_will_is_stored_and_not_answered(court, gate, only):
    assert gate.status(state="offline") == []
    assert court.store.gate("gate-1").status.state == "offline"


def test_a_repeated_status_is_no_sign_of_life(court, gate):
    old = gate.peer.write(gate.message(Status, version="0.1.0", heard=gate.heard))
    court.side.handle_message(gate.topics.status, old, court.now, court.wall)
    gate.status()
    seen = court.store.gate("gate-1").seen_at
    court.wait(100)
    court.side.handle_message(gate.topics.status, old, court.now, court.wall)
    assert court.store.gate("gate-1").seen_at == seen


@pytest.mark.parametrize("spoil", ["another gate", "another key", "garbage", "too long", "another kind"])
def test_a_message_not_signed_by_the_gate_changes_nothing(court, gate, other, spoil):
    topic, payload = gate.topics.status, gate.peer.write(gate.message(Status, version="0.1.0", people=7))
    match spoil:
        case "another gate":
            payload = other.peer.write(other.message(Status, version="0.1.0"))
        case "another key":
            forger = Peer(Identity.make(), court.store.identity.party, SITE, "gate-1")
            payload = forger.write(gate.message(Status, version="0.1.0"))
        case "garbage":
            payload = b"\xff.\x00.{}"
        case "too long":
            payload *= 1000
        case "another kind":
            topic = gate.topics.request
    before = court.store.gate("gate-1")
    assert court.side.handle_message(topic, payload, court.now, court.wall) == []
    assert court.store.gate("gate-1") == before


def test_a_message_on_an_unknown_topic_is_ignored(court, gate):
    payload = gate.peer.write(gate.message(Status, version="0.1.0"))
    assert court.side.handle_message("gated/1/market-south/gate-9/up/status", payload, court.now, court.wall) == []


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_change_is_pushed_to_every_gate_at_once(court, gate, other, person):
    before = court.store.book.version("gate-1")
    n = court.store.book.put(person(1))
    pushed = court.due()
    assert [(delta.gate, delta.after, delta.upto) for delta in pushed] == [
        ("gate-1", before, n),
        ("gate-2", before, n),
    ]
    assert all((delta.records[0].name, delta.records[0].household) == ("", "2-401") for delta in pushed)
    assert court.due() == []


def test_records_that_reduce_access_do_not_wait_behind_others(court, gate, person, only):
    court.store.book.put(person(1))
    court.due()
    before = court.store.book.version("gate-1")
    for number in range(2, 302):
        court.store.book.put(person(number, name="x" * 150))
    n = court.store.book.remove("person/" + person(1).subject)
    pushed = court.due()
    assert len(pushed) > 2
    assert pushed[0].records == [Tombstone(n=n, key="person/" + person(1).subject)]
    replica = Replica()
    replica.version = before
    for delta in pushed[1:]:
        replica.handle_records(delta)
    assert replica.version == n
    assert len(replica.held) == 301


def test_a_gate_gets_exactly_the_records_that_it_lacks(court, gate, person, only):
    numbers = [court.store.book.put(person(number)) for number in range(5)]
    [delta] = gate.send(RecordRequest, after=numbers[1])
    assert [record.n for record in delta.records] == numbers[2:]
    assert (delta.after, delta.upto) == (numbers[1], numbers[-1])


def test_a_gate_without_missing_records_gets_an_empty_answer(court, gate, person):
    n = court.store.book.put(person(1))
    [delta] = gate.send(RecordRequest, after=n)
    assert (delta.after, delta.upto, delta.records) == (n, n, [])


def test_deltas_and_a_snapshot_give_the_same_records(court, gate, person):
    start = court.store.book.version("gate-1")
    for number in range(120):
        court.store.book.put(person(number, household="x" * 190))
    for number in range(0, 120, 7):
        court.store.book.remove("person/" + person(number).subject)
    followed = Replica()
    parts = gate.send(RecordRequest)
    for record in [record for part in parts for record in part.records]:
        followed.held[key_of(record)] = record
    assert parts[0].parts == len(parts) > 1
    assert followed.digest == parts[0].digest == court.store.book.digest("gate-1")
    by_delta = Replica()
    by_delta.version = start
    for delta in gate.send(RecordRequest, after=start):
        by_delta.handle_records(delta)
    missing = {"gate/gate-1"}
    assert {key for key, r in by_delta.held.items() if not isinstance(r, Tombstone)} == set(followed.held) - missing


def test_the_parts_of_a_snapshot_keep_their_version(court, gate, person, only):
    for number in range(400):
        court.store.book.put(person(number, household="x" * 190))
    first = gate.send(RecordRequest)
    version = first[0].version
    court.store.book.remove("person/" + person(3).subject)
    again = gate.send(RecordRequest, is_snapshot=True, snapshot=version, parts=[0, 1])
    assert again == first[:2]
    newest = gate.send(RecordRequest, is_snapshot=True)
    assert newest[0].version > version


def test_a_gate_far_behind_gets_a_snapshot(court, gate, person, only):
    court.store.book.put(person(1))
    court.due()
    start = court.store.book.version("gate-1")
    with court.store.file.writing():
        for number in range(LAG + 1):
            court.store.book.put(RoleRecord(n=0, role=f"r{number}", rights=[]))
    n = court.store.book.remove("person/" + person(1).subject)
    assert [delta.records for delta in court.due()] == [[Tombstone(n=n, key="person/" + person(1).subject)]]
    assert all(isinstance(part, SnapshotPart) for part in gate.send(RecordRequest, after=start))


def test_every_message_with_records_fits_on_the_wire(court, gate, person, only):
    for number in range(30):
        subject = person(number, name="名" * 200, household="户" * 200)
        court.store.book.put(subject)
        assert court.store.faces.store_face(subject.subject, "gate-1", face(length=37_000))
    parts = gate.send(RecordRequest)
    assert len(parts) == 16
    parts += gate.send(
        RecordRequest, is_snapshot=True, snapshot=parts[0].version, parts=list(range(16, parts[0].parts))
    )
    assert sum(len(part.records) for part in parts) == 31


# -- tombstones -------------------------------------------------------------------------------------------------------


def test_a_removal_is_repeated_until_the_gate_answers(court, gate, person, only):
    court.store.book.put(person(1))
    n = court.store.book.remove("person/" + person(1).subject)
    court.due()
    in_step(court, gate)
    for _ in range(2):
        [delta] = only(Delta, gate.status())
        assert (delta.after, delta.upto) == (n - 1, n)
    gate.receipt(delta.records[0])
    assert only(Delta, gate.status()) == []
    [erased] = court.store.receipts.all()
    assert (erased.gate, erased.templates) == ("gate-1", 3)


def test_a_gate_behind_the_removal_gets_no_reminder(court, gate, person, only):
    court.store.book.put(person(1))
    gate.version = court.store.book.remove("person/" + person(1).subject) - 1
    assert only(Delta, gate.status()) == []


def test_a_gate_that_joined_after_a_removal_need_not_answer(court, gate, person, only):
    court.store.book.put(person(1))
    court.store.book.remove("person/" + person(1).subject)
    late = court.join("gate-2")
    in_step(court, late)
    assert only(Delta, late.status()) == []
    assert [erased.gate for erased in court.store.receipts.all()] == ["gate-1"]


# -- a restored backup ------------------------------------------------------------------------------------------------


def test_an_office_from_an_old_backup_numbers_records_above_those_of_the_gates(court, gate, person, only, tmp_path):
    court.store.book.put(person(1))
    court.due()
    court.store.close()
    shutil.copytree(court.folder, tmp_path / "backup")
    court.restart()
    for number in range(2, 12):
        court.store.book.put(person(number))
    in_step(court, gate)
    court.restart(tmp_path / "backup")
    [word] = only(Heartbeat, gate.status())
    assert word.version > gate.version
    assert ("gate-1", "rolled_back") in court.alarms()


def test_an_office_from_an_old_backup_numbers_records_above_those_received_early(court, gate, person, only):
    """A removal applies at the gate at once, with a number above the gate's version."""
    court.store.book.put(person(1))
    court.due()
    in_step(court, gate)
    mark = RecordMark(gate.version, gate.digest, newest=gate.version + 7)
    [word] = only(Heartbeat, gate.status(records=mark))
    assert word.version > gate.version + 7
    assert court.store.book.person(person(1).subject).n > gate.version + 7
    assert ("gate-1", "rolled_back") in court.alarms()
    assert all(record.n > gate.version for record in court.store.book.live(OfficePerson))
    asked = gate.send(RecordRequest, after=gate.version)
    assert asked[-1].upto == word.version


def test_a_person_removed_after_the_backup_is_removed_again_by_a_receipt(court, gate, person, tmp_path):
    subject = person(1).subject
    court.store.book.put(person(1))
    court.store.close()
    shutil.copytree(court.folder, tmp_path / "backup")
    court.restart()
    n = court.store.book.remove(f"person/{subject}")
    in_step(court, gate)
    court.restart(tmp_path / "backup")
    gate.status()
    gate.receipt(Tombstone(n=n, key=f"person/{subject}"))
    assert isinstance(court.store.book.get(f"person/{subject}"), Tombstone)


def test_a_receipt_alone_removes_nobody(court, gate, person):
    n = court.store.book.put(person(1))
    gate.receipt(Tombstone(n=n + 5, key="person/" + person(1).subject))
    assert isinstance(court.store.book.get("person/" + person(1).subject), OfficePerson)


def test_an_implausible_jump_of_numbers_raises_only_an_alarm(court, gate):
    before = court.store.book.version("gate-1")
    gate.version = 2**62
    gate.status()
    assert ("gate-1", "leap_refused") in court.alarms()
    assert court.store.book.version("gate-1") == before


def test_an_office_from_an_old_backup_skips_command_numbers_that_may_be_used(court, gate, only):
    court.store.commands.place("gate-1", SUSPEND, "li", "", court.wall)
    number = only(Command, court.due())[0].number
    gate.version += 10
    gate.status()
    court.store.commands.place("gate-1", SUSPEND, "li", "", court.wall)
    assert number + 1000 < only(Command, court.due())[0].number < number + 1_000_000


# -- events -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_acknowledged_after_it_is_stored(court, gate, only):
    rows = [gate.happen("door_opened", after="grant") for _ in range(3)]
    [ack] = gate.batch(1, 3)
    assert (ack.journal, ack.seq, ack.hash) == (gate.journal, 3, rows[2].hash)
    court.restart()
    assert [kept.event for kept in court.store.journals.rows()] == rows


def test_rows_sent_ahead_are_not_acknowledged(court, gate):
    for _ in range(9):
        gate.happen("door_opened", after="grant")
    assert gate.batch(7, 9, is_ahead=True) == []
    assert len(court.store.journals.rows()) == 3


def test_a_duress_event_raises_an_alarm_at_once(court, gate):
    for _ in range(8):
        gate.happen("door_opened", after="grant")
    gate.happen("duress", subject="a" * 16, way="pin")
    gate.batch(9, 9, is_ahead=True)
    assert court.alarms() == [("gate-1", "duress")]
    gate.batch(1, 9)
    assert court.alarms() == [("gate-1", "duress")]


def test_an_imitated_face_raises_an_alarm(court, gate):
    gate.happen("presentation_attack", visits=3, rests_s=30.0, subject="a" * 16)
    gate.batch(1, 1)
    assert court.alarms() == [("gate-1", "presentation_attack")]


def test_a_person_with_an_obvious_pin_is_reported_once_by_id(court, gate):
    for reason, subject in [("weak_pin", "a" * 16)] * 2 + [("weak_pin", None), ("unknown", "b" * 16)]:
        gate.happen("way_denied", way="pin", reason=reason, subject=subject)
    gate.batch(1, 4)
    assert [(alarm.kind, alarm.detail) for alarm in court.store.alarms.all()] == [("weak_pin", "a" * 16)]


def test_a_weak_pin_that_opens_raises_an_alarm(court, gate):
    gate.happen("weak_pin", subject="a" * 16)
    gate.happen("way_denied", way="pin", reason="weak_pin", subject="a" * 16)
    gate.batch(1, 2)
    assert [(alarm.kind, alarm.detail) for alarm in court.store.alarms.all()] == [("weak_pin", "a" * 16)]


@pytest.mark.parametrize("kind", ["weak_pin", "way_denied", "call_pressed", "record_quarantined", "settings_tried"])
def test_a_deeply_nested_event_of_a_stolen_gate_does_not_end_the_office(court, gate, kind):
    gate.happen(kind, body='{"kind":"' + kind + '","reason":"weak_pin","more":' + "[" * 7000 + "]" * 7000 + "}")
    gate.happen("tampered")
    gate.batch(1, 2)
    assert ("gate-1", "tampered") in court.alarms()


@pytest.mark.parametrize("kind", ["pins_guessed", "cards_guessed"])
def test_guessing_raises_an_alarm(court, gate, kind):
    gate.happen(kind, guesses=8, door="main")
    gate.batch(1, 1)
    assert court.alarms() == [("gate-1", kind)]


def test_a_gate_that_acknowledged_too_much_learns_the_offices_last_row(court, gate, only):
    for _ in range(5):
        gate.happen("door_opened", after="grant")
    gate.batch(1, 2)
    gate.acked = 5
    [ack] = only(Ack, gate.status())
    assert ack.seq == 2


# -- silence ----------------------------------------------------------------------------------------------------------


def test_ten_minutes_of_silence_raise_an_alarm_that_ends_by_itself(court, gate):
    in_step(court, gate)
    gate.status(state="offline")
    court.wait(SILENT_S - 1)
    court.due()
    assert court.alarms() == []
    court.wait(2)
    court.due()
    assert court.alarms() == [("gate-1", "silent")]
    gate.status()
    assert court.alarms() == []


def test_an_hour_with_a_wrong_clock_is_not_silence(court, gate):
    court.wall = court.wall.replace(year=2031)
    court.due()
    assert court.alarms() == []


def test_silence_is_counted_across_restarts(court, gate):
    in_step(court, gate)
    gate.status(state="offline")
    court.wait(SILENT_S / 2)
    court.restart()
    court.wait(SILENT_S / 2 + 1)
    court.due()
    assert court.alarms() == [("gate-1", "silent")]


def test_a_restarted_office_gives_gates_time_before_an_alarm(court, gate):
    in_step(court, gate)
    gate.status(state="offline")
    court.wait(24 * 3600)
    court.restart()
    court.due()
    court.wait(RECONNECT_S)
    court.due()
    assert court.alarms() == []
    court.wait(1)
    court.due()
    assert court.alarms() == [("gate-1", "silent")]


def test_three_minutes_without_a_checkpoint_raise_an_alarm(court, gate):
    court.wait(100)
    gate.status(journal=None)
    court.wait(100)
    court.due()
    assert court.alarms() == [("gate-1", "unmarked")]
    gate.status()
    assert court.alarms() == []


def test_an_older_time_in_a_newer_message_shows_a_second_gate(court, gate):
    gate.status()
    court.wait(300)
    gate.status()
    gate.status(at="2026-11-23T07:58:00Z")
    assert court.alarms() == [("gate-1", "cloned")]


def test_an_old_last_will_does_not_count_as_a_second_gate(court, gate):
    court.wait(300)
    gate.status()
    gate.status(state="offline", at="2026-11-23T07:58:00Z")
    assert court.alarms() == []


# -- orders whose operator no longer waits ---------------------------------------------------------------------------

SUSPEND = Suspend("a" * 16, 7)


def order(court, action, only):
    placed = court.store.commands.place("gate-1", action, "li", "a delivery", court.wall)
    [command] = only(Command, court.due())
    return placed, command


def test_an_operators_command_is_sent_once_and_its_answer_stored(court, gate, only):
    placed, command = order(court, SUSPEND, only)
    assert (command.operator, command.reason, command.action, command.is_live) == ("li", "a delivery", SUSPEND, False)
    assert court.due() == []
    gate.reply(command, why="suspended")
    done = court.store.commands.get(placed)
    assert (done.state, done.why) == ("done", "suspended")


def test_command_numbers_rise_across_restarts(court, gate, only):
    numbers = []
    for _ in range(3):
        numbers.append(order(court, SUSPEND, only)[1].number)
        court.restart()
    assert numbers == sorted(set(numbers))


def test_commands_are_repeated_while_they_are_fresh(court, gate, only):
    placed, command = order(court, SUSPEND, only)
    court.wait(60)
    assert only(Command, gate.status()) == [command]
    court.wait(250)
    assert only(Command, gate.status()) == []
    court.due()
    assert court.state(placed) == "unanswered"
    gate.reply(command)
    assert court.state(placed) == "done"


def test_a_command_that_waited_too_long_is_never_sent(court, gate, only):
    placed = court.store.commands.place("gate-1", SUSPEND, "li", "", court.wall)
    court.wait(301)
    assert only(Command, court.due()) == []
    assert court.state(placed) == "unanswered"


def test_a_challenge_is_answered_once_with_a_new_command(court, gate, only):
    placed, command = order(court, SUSPEND, only)
    [again] = gate.reply(command, "challenge", challenge="prove-it")
    assert (again.challenge, again.action) == ("prove-it", SUSPEND)
    assert again.id != command.id
    assert again.number > command.number
    assert gate.reply(again, "challenge", challenge="once-more") == []
    assert court.state(placed) == "failed"


def test_a_number_used_before_the_backup_is_skipped_and_the_command_sent_again(court, gate, only):
    placed, command = order(court, SUSPEND, only)
    [again] = gate.reply(command, "spent")
    assert again.action == SUSPEND
    assert again.number > command.number + 1000
    gate.reply(again)
    assert court.state(placed) == "done"


def test_an_answer_of_another_gate_ends_no_command(court, gate, other, only):
    placed, command = order(court, SUSPEND, only)
    other.reply(command)
    assert court.state(placed) == "sent"


# -- orders whose operator waits --------------------------------------------------------------------------------------

AT_ONCE = [
    ReleaseDoor(),
    AnswerCall("opening"),
    SwitchLockdown(on=True),
    Restart(),
    Diagnose(),
    ChangeSettings(""),
    AnnounceBatch(216, 6),
]
IN_TWO_STEPS = [Enrol("a" * 16), SwitchModels("site")]


@pytest.mark.parametrize("action", [*AT_ONCE, *IN_TWO_STEPS])
def test_a_command_is_offered_and_sent_with_the_nonce_of_the_gate(court, gate, only, action):
    placed = court.order(action)
    [offer] = court.due()
    assert offer == Offer(site=SITE, gate="gate-1", command=placed)
    command = gate.asks(offer)
    assert (command.id, command.action, command.challenge, command.is_live) == (placed, action, "nonce-1", True)
    assert court.state(placed) == ("going" if action in AT_ONCE else "begun")
    gate.reply(command, why="as ordered")
    assert court.state(placed) == "done"


@pytest.mark.parametrize("action", [*AT_ONCE, *IN_TWO_STEPS])
def test_a_command_cancelled_before_the_gates_request_is_refused_to_every_request(court, gate, only, action):
    placed = court.order(action)
    [offer] = court.due()
    assert court.give_up(placed) == "cancelled"
    answer = gate.asks(offer)
    assert (answer.is_wanted, answer.command, answer.nonce) == (False, placed, "nonce-1")
    court.wait(3600)
    court.restart()
    assert not gate.asks(offer).is_wanted
    assert only(Offer, court.due()) == []
    assert court.state(placed) == "cancelled"


@pytest.mark.parametrize("action", [*AT_ONCE, *IN_TWO_STEPS])
def test_a_killed_process_counts_as_not_waiting_without_a_stored_note(court, gate, only, action):
    placed = court.order(action)
    [offer] = court.due()
    court.waiting.clear()
    assert not gate.asks(offer).is_wanted
    assert court.state(placed) == "cancelled"


def test_the_command_of_a_killed_process_is_cancelled_without_a_request(court, gate, only):
    placed = court.order(ReleaseDoor())
    court.waiting.clear()
    assert only(Offer, court.due()) == []
    assert court.state(placed) == "cancelled"


def test_a_command_cancelled_after_the_last_message_is_unknown_once_it_cannot_begin(court, gate):
    placed = court.order(ReleaseDoor())
    [offer] = court.due()
    command = gate.asks(offer)
    assert court.give_up(placed) == "stopping"
    assert not gate.asks(offer).is_wanted, "no second word is given"
    court.wait(GO_S - 1)
    court.due()
    assert court.store.commands.conclude(placed, court.now).state == "stopping"
    court.wait(2)
    assert court.store.commands.conclude(placed, court.now).state == "unknown"
    gate.reply(command)
    assert court.state(placed) == "done", "what happened is told as happened"


def test_a_gate_that_stopped_during_a_command_reports_it_after_its_return(court, gate):
    placed = court.order(ReleaseDoor())
    command = gate.asks(court.due()[0])
    court.give_up(placed)
    court.wait(60)
    court.due()
    assert court.state(placed) == "unknown"
    gate.reply(command, outcome="failed", why=STOPPED)
    assert (court.state(placed), court.store.commands.get(placed).why) == ("failed", STOPPED)


def test_a_journal_event_completes_a_command_with_a_lost_answer(court, gate):
    placed = court.order(ReleaseDoor())
    gate.asks(court.due()[0])
    court.give_up(placed)
    court.wait(60)
    court.due()
    assert court.state(placed) == "unknown"
    gate.happen("commanded", action="release", command=placed, operator="li", reason="x", outcome="done")
    gate.batch(1, 1)
    assert court.state(placed) == "done"


def test_an_answer_that_arrives_while_the_operator_stops_is_shown(court, gate):
    placed = court.order(ReleaseDoor())
    command = gate.asks(court.due()[0])
    court.give_up(placed)
    gate.reply(command, "refused", why="a lockdown")
    assert (court.state(placed), court.store.commands.get(placed).why) == ("refused", "a lockdown")


@pytest.mark.parametrize("action", IN_TWO_STEPS)
def test_a_long_command_is_confirmed_again_and_fails_without_an_operator(court, gate, action):
    placed = court.order(action)
    [offer] = court.due()
    gate.asks(offer)
    assert court.give_up(placed) == "cancelled"
    assert not gate.asks(offer, "commit").is_wanted
    again = court.order(action)
    offers = [out for out in court.due() if isinstance(out, Offer)]
    gate.asks(offers[-1])
    answer = gate.asks(offers[-1], "commit", says="5 good looks")
    assert (answer.is_wanted, court.state(again)) == (True, "going")
    assert court.store.commands.get(again).progress == "5 good looks"
    assert court.give_up(again) == "stopping"


def test_a_gate_learns_at_once_that_no_operator_waits(court, gate, only):
    placed = court.order(Enrol("a" * 16))
    gate.asks(court.due()[0])
    court.give_up(placed)
    [answer] = only(Confirmation, court.due())
    assert (answer.command, answer.nonce, answer.is_wanted) == (placed, "", False)
    assert only(Confirmation, court.due()) == [], "once"


def test_the_gate_waits_for_the_operator_and_a_no_stores_nothing(court, gate, only):
    placed = court.order(Enrol("a" * 16), is_confirmed=False)
    [offer] = court.due()
    gate.asks(offer)
    assert gate.asks(offer, "commit") is None
    assert court.state(placed) == "asked"
    court.store.commands.confirm(placed)
    assert gate.asks(offer, "commit").is_wanted
    other = court.order(Enrol("a" * 16), is_confirmed=False)
    offer = only(Offer, court.due())[-1]
    gate.asks(offer)
    gate.asks(offer, "commit")
    assert court.give_up(other, "you did not confirm it") == "cancelled"
    assert not gate.asks(offer, "commit").is_wanted


def test_a_request_for_a_command_unknown_to_an_old_backup_is_refused_at_once(court, gate, only, tmp_path):
    placed = court.order(Enrol("a" * 16))
    [offer] = court.due()
    court.store.close()
    shutil.copytree(court.folder, tmp_path / "backup")
    court.restart()
    command = gate.asks(offer)
    court.restart(tmp_path / "backup")
    answer = gate.asks(offer, "commit", says="5 good looks")
    assert (answer.command, answer.nonce, answer.is_wanted) == (placed, f"nonce-{gate.nonces}", False)
    assert "send it again" in answer.why
    gate.reply(command, "refused", why=answer.why)
    assert court.state(placed) == "refused"
    court.wait(1.1)
    assert only(Offer, court.due()) == []


def test_a_command_is_offered_again_until_the_gate_answers(court, gate, only):
    placed = court.order(ReleaseDoor())
    court.due()
    court.wait(0.5)
    assert only(Offer, court.due()) == []
    court.wait(0.6)
    [offer] = only(Offer, court.due())
    first = gate.asks(offer)
    court.wait(1.1)
    [offer] = only(Offer, court.due())
    second = gate.asks(offer)
    assert (first.id, first.number) == (second.id, second.number), "the gate does it once, whichever arrives"
    gate.reply(second)
    court.wait(1.1)
    assert only(Offer, court.due()) == []
    assert court.state(placed) == "done"


def test_a_used_number_is_skipped_for_a_command_with_a_waiting_operator(court, gate, only):
    placed = court.order(Restart())
    command = gate.asks(court.due()[0])
    gate.reply(command, "spent")
    court.wait(1.1)
    again = gate.asks(only(Offer, court.due())[0])
    assert again.action == Restart()
    assert again.number > command.number + 1000
    gate.reply(again)
    assert court.state(placed) == "done"


def test_a_repeated_spent_message_does_not_cancel_a_running_command(court, gate, only):
    placed = court.order(ReleaseDoor())
    command = gate.asks(court.due()[0])
    gate.reply(command, "spent")
    court.wait(1.1)
    again = gate.asks(only(Offer, court.due())[0])
    gate.reply(command, "spent")
    assert court.state(placed) == "going"
    assert court.give_up(placed) == "stopping", "the gate may do it: nobody is told that it will not be done"
    gate.reply(again)
    assert court.state(placed) == "done"


@pytest.mark.parametrize("action", [ReleaseDoor(), SUSPEND])
def test_endlessly_repeated_spent_messages_use_no_numbers(court, gate, only, action):
    placed = court.order(action)
    [said] = court.due()
    command = gate.asks(said) if isinstance(said, Offer) else said
    for _ in range(120):
        gate.reply(command, "spent")
    court.waiting.discard(placed)
    for state in ("cancelled", "unknown", "unanswered"):
        with court.store.file.writing() as connection:
            connection.execute("UPDATE orders SET state = ?", (state,))
        gate.reply(command, "spent")
    after = court.order(Restart())
    offer = next(each for each in only(Offer, court.due()) if each.command == after)
    assert gate.asks(offer).number <= command.number + SKIPPED + 2


def test_a_command_with_a_lost_answer_is_never_done_twice(court, gate, only, tmp_path):
    desk, done = CommandDesk(tmp_path, SITE, "gate-1"), []

    def carry_out(message):
        while isinstance(message, Offer | Command):
            said = (
                desk.answer_offer(message, court.now)
                if isinstance(message, Offer)
                else desk.judge(message, court.now, court.wall)
            )
            if isinstance(said, Command):
                done.append(said.id if isinstance(said.action, Share) else "release")
                return desk.store_outcome(said, CommandOutcome("done"))
            if not isinstance(said, ConfirmationRequest):
                return said
            [message] = gate.send(ConfirmationRequest, command=said.command, nonce=said.nonce)
        return None

    placed = court.order(ReleaseDoor())
    carry_out(court.due()[0])  # the gate's reply is lost
    for number in range(COMMAND_WINDOW + 1):
        court.store.commands.place("gate-1", Share(f"{number:016x}", "gate-2"), "office", "", court.wall)
    for share in only(Command, court.due()):
        carry_out(share)
    for _ in range(3):
        court.wait(1.1)
        for offer in only(Offer, court.due()):
            reply = carry_out(offer)
            if reply is not None:
                gate.send(Reply, command=reply.command, outcome=reply.outcome, why=reply.why)
    assert done.count("release") == 1
    assert court.state(placed) == "unknown"
    desk.close()


def test_only_the_addressed_gate_gets_a_command(court, gate, other):
    placed = court.order(ReleaseDoor())
    [offer] = court.due()
    assert not other.asks(offer).is_wanted
    assert court.state(placed) == "sent"


def test_a_gate_that_does_a_cancelled_command_raises_an_alarm(court, gate):
    placed = court.order(ReleaseDoor())
    [offer] = court.due()
    court.give_up(placed)
    gate.send(Reply, command=offer.command, outcome="done")
    assert ("gate-1", "done_late") in court.alarms()
    assert court.state(placed) == "done"


def test_commands_from_before_an_update_are_cancelled(tmp_path):
    connection = database.connect(tmp_path / "office.db", MIGRATIONS[:1])
    row = "INSERT INTO orders VALUES ('a', 'gate-1', 'a', 0, '2026', ?, x'00', '', '', x'5b5d')"
    connection.execute(row, ("sent",))
    connection.close()
    connection = database.connect(tmp_path / "office.db", MIGRATIONS)
    assert connection.execute("SELECT state FROM orders").fetchone()[0] == "unanswered"
    connection.close()


def test_a_gate_paired_before_certificates_were_stored_is_still_known(tmp_path):
    connection = database.connect(tmp_path / "office.db", MIGRATIONS[:3])
    connection.execute("INSERT INTO gates (gate, keys, serial, since) VALUES ('gate-1', '{}', '0a0b', 3)")
    connection.close()
    connection = database.connect(tmp_path / "office.db", MIGRATIONS)
    assert tuple(connection.execute("SELECT serial, certificate FROM gates").fetchone()) == ("0a0b", "")
    connection.close()


# -- faces ------------------------------------------------------------------------------------------------------------


def enrolled(court, gate, subject):
    gate.happen("person_enrolled", subject=subject, templates=3, notice="2026-11", embedder_sha256="ab" * 32)
    gate.batch(len(gate.rows), len(gate.rows))


def test_a_face_is_shared_between_gates_without_a_change_for_others(court, gate, other, person, only):
    third = court.join("gate-3")
    court.store.book.put(person(1))
    court.due()
    enrolled(court, gate, person(1).subject)
    commands = only(Command, court.due())
    assert {(c.gate, c.action.to) for c in commands} == {("gate-1", "gate-2"), ("gate-1", "gate-3")}
    before = {name: court.store.book.version(name) for name in court.gates}
    gate.shares(next(c for c in commands if c.action.to == "gate-2"), face())
    [delta] = court.due()
    assert (delta.gate, delta.records[0].face, delta.records[0].n) == ("gate-2", face(), delta.upto)
    assert court.store.book.version("gate-3") == before["gate-3"]
    [delta] = third.send(RecordRequest, after=before["gate-3"] - 1)
    assert delta.records[0].face is None


def test_an_unrequested_face_is_not_stored(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    [command] = only(Command, court.due())
    other.shares(command, face())
    gate.shares(command, face())
    gate.shares(command, face(2))
    assert court.due()[-1].records[0].face == face()


def test_without_consent_no_face_is_requested(court, gate, other, person, only):
    court.store.book.put(person(1, purposes=("recognise",)))
    enrolled(court, gate, person(1).subject)
    assert only(Command, court.due()) == []
    court.store.book.put(person(1))
    assert len(only(Command, court.due())) == 1


def test_a_withdrawn_consent_deletes_the_faces(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    [command] = only(Command, court.due())
    gate.shares(command, face())
    court.due()
    court.store.book.put(person(1, purposes=("recognise",)))
    assert all(delta.records[0].face is None for delta in court.due())
    gate.shares(command, face())
    assert court.due() == []


def test_a_new_enrolment_replaces_the_faces_of_the_old_one(court, gate, other, person, only):
    third = court.join("gate-3")
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    for command in only(Command, court.due()):
        gate.shares(command, face())
    court.wait(1)
    enrolled(court, other, person(1).subject)
    [command] = only(Command, court.due())
    assert (command.gate, command.action) == ("gate-2", Share(person(1).subject, "gate-3"))
    other.shares(command, face(2))
    [delta] = court.due()
    assert (delta.gate, delta.records[0].face.id) == (third.name, "face-2")


def test_a_gate_that_was_off_gets_the_request_again(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    assert len(only(Command, court.due())) == 1
    court.wait(40)
    assert only(Command, court.due()) == []
    court.wait(40)
    assert len(only(Command, court.due())) == 1


def test_a_gate_with_new_keys_gets_faces_sealed_again(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    gate.shares(only(Command, court.due())[0], face())
    other.me = Identity.make()
    other.peer = Peer(other.me, court.store.identity.party, SITE, "gate-2")
    other.heard = 0
    court.join("gate-2", other)
    court.wait(700)
    assert [c.action.to for c in only(Command, court.due())] == ["gate-2"]


# -- processes --------------------------------------------------------------------------------------------------------


def test_each_process_serves_its_own_gates(court, gate, other):
    half = Exchange(court.store, lambda name: name == "gate-2")
    half.due(court.now, court.wall)
    assert half.topics == set(other.topics.up)
    payload = gate.peer.write(gate.message(Status, version="0.1.0"))
    assert half.handle_message(gate.topics.status, payload, court.now, court.wall) == []


def test_a_change_by_another_process_is_noticed(court, gate, person):
    court.due()
    assert not court.side.changed()
    another = type(court.store).open(court.folder)
    another.book.put(person(1))
    another.close()
    assert court.side.changed()
    assert len(court.due()) == 1
    assert not court.side.changed()


def test_a_status_without_a_journal_mark_is_accepted(court, gate, only):
    assert len(only(Heartbeat, gate.status(journal=None, records=None))) == 1
    assert JournalMark("x", 0, 0).hash == ""
    assert RecordMark(0, "").quarantined == 0


# -- calls -------------------------------------------------------------------------------------------------------------


def rows_of(gate, *facts):
    """Record these events at the gate, and send each one in its own batch."""
    for kind, values in facts:
        gate.happen(kind, **values)
        gate.batch(len(gate.rows), len(gate.rows))


def test_a_call_is_an_alarm_until_its_answer(court, gate):
    rows_of(gate, ("call_pressed", {}))
    assert court.alarms() == [("gate-1", "call_pressed")]
    [alarm] = court.store.alarms.all()
    assert alarm.detail == "main"
    rows_of(gate, ("call_pressed", {}))
    assert len(court.alarms()) == 1, "pressing twice is one call"
    rows_of(gate, ("call_answered", {"answer": "wait"}))
    assert court.alarms() == []


@pytest.mark.parametrize("outcome", ["unanswered", "unreachable"])
def test_an_unanswered_call_stays_until_an_operator_handles_it(court, gate, outcome):
    rows_of(gate, ("call_pressed", {}), ("call_ended", {"outcome": outcome}))
    assert court.alarms() == [("gate-1", "call_missed")]
    [missed] = court.store.alarms.all()
    court.store.alarms.mark_handled(missed.id, stamp(court.wall))
    assert court.alarms() == []


def test_a_caller_who_got_in_alone_leaves_no_missed_call(court, gate):
    rows_of(gate, ("call_pressed", {}), ("call_ended", {"outcome": "opened"}))
    assert court.alarms() == []


def test_calls_at_two_doors_are_two_alarms(court, gate):
    rows_of(gate, ("call_pressed", {}), ("call_pressed", {"door": "second"}), ("call_answered", {"answer": "nobody"}))
    assert [alarm.detail for alarm in court.store.alarms.all()] == ["second"]


def test_a_call_in_a_week_old_journal_does_not_ring(court, gate):
    old = stamp(court.wall - timedelta(days=7))
    gate.happen("call_pressed", at=old)
    gate.happen("call_ended", at=old, outcome="unanswered")
    gate.batch(1, 2)
    assert court.alarms() == []


def test_a_call_of_a_gate_without_a_clock_rings(court, gate):
    gate.status(degraded=["clock"])
    gate.happen("call_pressed", at="1970-01-01T00:00:10.000000Z")
    gate.batch(1, 1)
    assert court.alarms() == [("gate-1", "call_pressed")]


def test_a_call_without_further_events_becomes_a_missed_call(court, gate):
    rows_of(gate, ("call_pressed", {}))
    court.wait(119)
    court.due()
    assert court.alarms() == [("gate-1", "call_pressed")]
    court.wait(2)
    court.due()
    assert court.alarms() == [("gate-1", "call_missed")]
    rows_of(gate, ("call_ended", {"outcome": "unreachable"}))
    assert court.alarms() == [("gate-1", "call_missed")], "told once"


@pytest.mark.parametrize("body", ['{"kind":"call_pressed","door":7}', "[]", "not json"])
def test_an_unreadable_call_is_neither_an_alarm_nor_an_error(court, gate, body):
    apply_events(court.store, "gate-1", [WireEvent(1, stamp(court.wall), "call_pressed", body, "ab" * 32)], court.wall)
    assert court.alarms() == []


def test_a_flooding_gate_is_served_slowly_and_others_are_not_affected(court, gate, other):
    for _ in range(MOST_AT_ONCE):
        court.side.handle_message(gate.topics.event, b"a.b.c", court.now, court.wall)
    assert gate.status() == []
    assert other.status() != []
    court.wait(1.0)
    assert gate.status() != []
