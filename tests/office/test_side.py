"""What the office says to what it hears."""

import shutil

import pytest

from gated.office.side import LAG, SILENT_S, OfficeSide
from gated.sync.jose import Identity
from gated.sync.messages import (
    Ack,
    Command,
    Delta,
    Face,
    Gone,
    JournalMark,
    PersonRecord,
    RecordMark,
    Release,
    Request,
    Restart,
    RoleRecord,
    Share,
    SnapshotPart,
    Status,
    Word,
)
from gated.sync.records import digest_of, key_of
from gated.sync.wire import Peer

SITE = "market-south"


def face(number=1, length=100):
    return Face(f"face-{number}", "ab" * 32, 1, "e" * length)


def in_step(court, gate):
    """The gate has everything."""
    gate.version, gate.digest = court.store.book.version(gate.name), court.store.book.digest(gate.name)


class Replica:
    """What a gate holds that follows the rules of deltas and nothing else."""

    def __init__(self):
        self.held, self.version = {}, 0

    def hear(self, delta):
        assert delta.after <= self.version
        for record in delta.records:
            if record.n > self.held.get(key_of(record), record).n or key_of(record) not in self.held:
                self.held[key_of(record)] = record
        self.version = max(self.version, delta.upto)

    @property
    def digest(self):
        return digest_of((key, r.n) for key, r in self.held.items() if not isinstance(r, Gone))


# -- words ------------------------------------------------------------------------------------------------------------


def test_every_status_is_answered_with_a_fresh_word(court, gate, only):
    first, second = (only(Word, gate.status())[0] for _ in range(2))
    assert first.challenge == "challenge-2"
    assert second.challenge == "challenge-3"
    assert second.beat == first.beat + 1
    assert (first.version, first.digest) == (court.store.book.version("gate-1"), court.store.book.digest("gate-1"))


def test_a_beat_never_goes_back_when_the_office_begins_anew(court, gate, only):
    before = only(Word, gate.status())[0].beat
    court.restart()
    assert only(Word, gate.status())[0].beat > before


def test_a_last_will_is_remembered_and_not_answered(court, gate, only):
    assert gate.status(state="offline") == []
    assert court.store.gate("gate-1").status.state == "offline"


def test_a_status_that_somebody_repeats_is_no_sign_of_life(court, gate):
    old = gate.peer.write(gate.message(Status, version="0.1.0", heard=gate.heard))
    court.side.hear(gate.topics.status, old, court.now, court.wall)
    gate.status()
    seen = court.store.gate("gate-1").seen_at
    court.wait(100)
    court.side.hear(gate.topics.status, old, court.now, court.wall)
    assert court.store.gate("gate-1").seen_at == seen


@pytest.mark.parametrize("spoil", ["another gate", "another key", "garbage", "too long", "another kind"])
def test_what_is_not_from_the_gate_changes_nothing(court, gate, other, spoil):
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
    assert court.side.hear(topic, payload, court.now, court.wall) == []
    assert court.store.gate("gate-1") == before


def test_a_topic_of_nobody_is_passed_over(court, gate):
    payload = gate.peer.write(gate.message(Status, version="0.1.0"))
    assert court.side.hear("gated/1/market-south/gate-9/up/status", payload, court.now, court.wall) == []


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_change_is_pushed_to_every_gate_at_once(court, gate, other, person):
    before = court.store.book.version("gate-1")
    n = court.store.book.put(person(1))
    pushed = court.due()
    assert [(delta.gate, delta.after, delta.upto) for delta in pushed] == [
        ("gate-1", before, n),
        ("gate-2", before, n),
    ]
    assert all(delta.records[0].name == "Wang Fang" for delta in pushed)
    assert court.due() == []


def test_what_takes_away_does_not_wait_behind_what_gives(court, gate, person, only):
    court.store.book.put(person(1))
    court.due()
    before = court.store.book.version("gate-1")
    for number in range(2, 302):
        court.store.book.put(person(number, name="x" * 150))
    n = court.store.book.remove("person/" + person(1).subject)
    pushed = court.due()
    assert len(pushed) > 2
    assert pushed[0].records == [Gone(n=n, key="person/" + person(1).subject)]
    replica = Replica()
    replica.version = before
    for delta in pushed[1:]:
        replica.hear(delta)
    assert replica.version == n
    assert len(replica.held) == 301


def test_a_gate_that_asks_gets_exactly_what_it_misses(court, gate, person, only):
    numbers = [court.store.book.put(person(number)) for number in range(5)]
    [delta] = gate.says(Request, after=numbers[1])
    assert [record.n for record in delta.records] == numbers[2:]
    assert (delta.after, delta.upto) == (numbers[1], numbers[-1])


def test_a_gate_that_misses_nothing_is_told_so(court, gate, person):
    n = court.store.book.put(person(1))
    [delta] = gate.says(Request, after=n)
    assert (delta.after, delta.upto, delta.records) == (n, n, [])


def test_deltas_and_snapshot_lead_to_the_same(court, gate, person):
    start = court.store.book.version("gate-1")
    for number in range(120):
        court.store.book.put(person(number, name="x" * 190))
    for number in range(0, 120, 7):
        court.store.book.remove("person/" + person(number).subject)
    followed = Replica()
    parts = gate.says(Request)
    for record in [record for part in parts for record in part.records]:
        followed.held[key_of(record)] = record
    assert parts[0].parts == len(parts) > 1
    assert followed.digest == parts[0].digest == court.store.book.digest("gate-1")
    by_delta = Replica()
    by_delta.version = start
    for delta in gate.says(Request, after=start):
        by_delta.hear(delta)
    missing = {"gate/gate-1"}
    assert {key for key, r in by_delta.held.items() if not isinstance(r, Gone)} == set(followed.held) - missing


def test_the_parts_of_a_snapshot_stay_those_of_its_version(court, gate, person, only):
    for number in range(400):
        court.store.book.put(person(number, name="x" * 190))
    first = gate.says(Request)
    version = first[0].version
    court.store.book.remove("person/" + person(3).subject)
    again = gate.says(Request, is_snapshot=True, snapshot=version, parts=[0, 1])
    assert again == first[:2]
    newest = gate.says(Request, is_snapshot=True)
    assert newest[0].version > version


def test_a_gate_far_behind_gets_a_snapshot(court, gate, person, only):
    court.store.book.put(person(1))
    court.due()
    start = court.store.book.version("gate-1")
    with court.store.file.writing():
        for number in range(LAG + 1):
            court.store.book.put(RoleRecord(n=0, role=f"r{number}", rights=[]))
    n = court.store.book.remove("person/" + person(1).subject)
    assert [delta.records for delta in court.due()] == [[Gone(n=n, key="person/" + person(1).subject)]]
    assert all(isinstance(part, SnapshotPart) for part in gate.says(Request, after=start))


def test_every_message_with_records_fits_on_the_wire(court, gate, person, only):
    for number in range(30):
        subject = person(number, name="名" * 200, household="户" * 200)
        court.store.book.put(subject)
        assert court.store.faces.keep(subject.subject, "gate-1", face(length=37_000))
    parts = gate.says(Request)
    assert len(parts) == 16
    parts += gate.says(Request, is_snapshot=True, snapshot=parts[0].version, parts=list(range(16, parts[0].parts)))
    assert sum(len(part.records) for part in parts) == 31


# -- what is gone -----------------------------------------------------------------------------------------------------


def test_a_removal_is_said_again_until_the_gate_answers(court, gate, person, only):
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


def test_a_gate_that_has_not_come_so_far_is_not_reminded(court, gate, person, only):
    court.store.book.put(person(1))
    gate.version = court.store.book.remove("person/" + person(1).subject) - 1
    assert only(Delta, gate.status()) == []


def test_a_gate_that_joined_later_need_not_answer(court, gate, person, only):
    court.store.book.put(person(1))
    court.store.book.remove("person/" + person(1).subject)
    late = court.join("gate-2")
    in_step(court, late)
    assert only(Delta, late.status()) == []
    assert [erased.gate for erased in court.store.receipts.all()] == ["gate-1"]


# -- a restored backup ------------------------------------------------------------------------------------------------


def test_an_old_backup_numbers_everything_above_what_gates_have(court, gate, person, only, tmp_path):
    court.store.book.put(person(1))
    court.due()
    court.store.close()
    shutil.copytree(court.folder, tmp_path / "backup")
    court.restart()
    for number in range(2, 12):
        court.store.book.put(person(number))
    in_step(court, gate)
    court.restart(tmp_path / "backup")
    [word] = only(Word, gate.status())
    assert word.version > gate.version
    assert ("gate-1", "rolled_back") in court.alarms()


def test_an_old_backup_numbers_everything_above_what_a_gate_has_heard_ahead_of_its_turn(court, gate, person, only):
    """Who was removed is gone at once, under a number that the gate's version has not reached."""
    court.store.book.put(person(1))
    court.due()
    in_step(court, gate)
    mark = RecordMark(gate.version, gate.digest, newest=gate.version + 7)
    [word] = only(Word, gate.status(records=mark))
    assert word.version > gate.version + 7
    assert court.store.book.person(person(1).subject).n > gate.version + 7
    assert ("gate-1", "rolled_back") in court.alarms()
    assert all(record.n > gate.version for record in court.store.book.live(PersonRecord))
    asked = gate.says(Request, after=gate.version)
    assert asked[-1].upto == word.version


def test_who_was_removed_since_the_backup_goes_again_when_a_gate_says_so(court, gate, person, tmp_path):
    subject = person(1).subject
    court.store.book.put(person(1))
    court.store.close()
    shutil.copytree(court.folder, tmp_path / "backup")
    court.restart()
    n = court.store.book.remove(f"person/{subject}")
    in_step(court, gate)
    court.restart(tmp_path / "backup")
    gate.status()
    gate.receipt(Gone(n=n, key=f"person/{subject}"))
    assert isinstance(court.store.book.get(f"person/{subject}"), Gone)


def test_a_receipt_alone_removes_nobody(court, gate, person):
    n = court.store.book.put(person(1))
    gate.receipt(Gone(n=n + 5, key="person/" + person(1).subject))
    assert isinstance(court.store.book.get("person/" + person(1).subject), PersonRecord)


def test_a_leap_beyond_reason_is_an_alarm_and_nothing_else(court, gate):
    before = court.store.book.version("gate-1")
    gate.version = 2**62
    gate.status()
    assert ("gate-1", "leap_refused") in court.alarms()
    assert court.store.book.version("gate-1") == before


def test_an_old_backup_leaves_out_the_numbers_of_commands_that_it_may_have_used(court, gate, only):
    court.store.orders.place("gate-1", Restart(), "li", "", court.wall)
    number = only(Command, court.due())[0].number
    gate.version += 10
    gate.status()
    court.store.orders.place("gate-1", Restart(), "li", "", court.wall)
    assert number + 1000 < only(Command, court.due())[0].number < number + 1_000_000


# -- events -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_acked_once_it_is_kept(court, gate, only):
    rows = [gate.happen("door_opened", after="grant") for _ in range(3)]
    [ack] = gate.batch(1, 3)
    assert (ack.journal, ack.seq, ack.hash) == (gate.journal, 3, rows[2].hash)
    court.restart()
    assert [kept.event for kept in court.store.journals.rows()] == rows


def test_rows_that_went_ahead_are_not_acked(court, gate):
    for _ in range(9):
        gate.happen("door_opened", after="grant")
    assert gate.batch(7, 9, is_ahead=True) == []
    assert len(court.store.journals.rows()) == 3


def test_duress_is_an_alarm_the_moment_it_arrives(court, gate):
    for _ in range(8):
        gate.happen("door_opened", after="grant")
    gate.happen("duress", subject="a" * 16, way="pin")
    gate.batch(9, 9, is_ahead=True)
    assert court.alarms() == [("gate-1", "duress")]
    gate.batch(1, 9)
    assert court.alarms() == [("gate-1", "duress")]


def test_a_gate_that_believes_too_much_is_told_how_little_is_here(court, gate, only):
    for _ in range(5):
        gate.happen("door_opened", after="grant")
    gate.batch(1, 2)
    gate.acked = 5
    [ack] = only(Ack, gate.status())
    assert ack.seq == 2


# -- silence ----------------------------------------------------------------------------------------------------------


def test_a_day_without_a_word_is_an_alarm_that_ends_by_itself(court, gate):
    gate.status(state="offline")
    court.wait(SILENT_S - 1)
    court.due()
    assert court.alarms() == []
    court.wait(2)
    court.due()
    assert court.alarms() == [("gate-1", "silent")]
    gate.status()
    assert court.alarms() == []


def test_an_hour_of_a_broken_clock_is_no_silence(court, gate):
    court.wall = court.wall.replace(year=2031)
    court.due()
    assert court.alarms() == []


def test_silence_is_counted_across_restarts(court, gate):
    gate.status(state="offline")
    court.wait(SILENT_S / 2)
    court.restart()
    court.wait(SILENT_S / 2 + 1)
    court.due()
    assert court.alarms() == [("gate-1", "silent")]


def test_three_minutes_without_a_checkpoint_are_an_alarm(court, gate):
    court.wait(100)
    gate.status(journal=None)
    court.wait(100)
    court.due()
    assert court.alarms() == [("gate-1", "unmarked")]
    gate.status()
    assert court.alarms() == []


def test_an_older_time_with_a_newer_word_is_a_second_gate(court, gate):
    gate.status()
    court.wait(300)
    gate.status()
    gate.status(at="2026-11-23T07:58:00Z")
    assert court.alarms() == [("gate-1", "cloned")]


def test_an_old_last_will_is_no_second_gate(court, gate):
    court.wait(300)
    gate.status()
    gate.status(state="offline", at="2026-11-23T07:58:00Z")
    assert court.alarms() == []


# -- orders -----------------------------------------------------------------------------------------------------------


def order(court, action, only):
    placed = court.store.orders.place("gate-1", action, "li", "a delivery", court.wall)
    [command] = only(Command, court.due())
    return placed, command


def test_an_order_becomes_one_command_and_its_answer_is_kept(court, gate, only):
    placed, command = order(court, Release(), only)
    assert (command.operator, command.reason, command.action) == ("li", "a delivery", Release())
    assert court.due() == []
    gate.reply(command, why="the door is released")
    done = court.store.orders.get(placed)
    assert (done.state, done.why) == ("done", "the door is released")


def test_each_command_has_a_higher_number_also_after_a_restart(court, gate, only):
    numbers = []
    for _ in range(3):
        numbers.append(order(court, Restart(), only)[1].number)
        court.restart()
    assert numbers == sorted(set(numbers))


def test_a_release_is_said_once_and_void_after_ten_seconds(court, gate, only):
    placed, _ = order(court, Release(), only)
    court.wait(8)
    assert only(Command, gate.status()) == []
    court.wait(8)
    court.due()
    assert court.store.orders.get(placed).state == "unanswered"


def test_other_commands_are_said_again_while_they_are_fresh(court, gate, only):
    placed, command = order(court, Restart(), only)
    court.wait(60)
    assert only(Command, gate.status()) == [command]
    court.wait(250)
    assert only(Command, gate.status()) == []
    court.due()
    assert court.store.orders.get(placed).state == "unanswered"
    gate.reply(command)
    assert court.store.orders.get(placed).state == "done"


def test_an_order_that_waited_too_long_is_never_sent(court, gate, only):
    placed = court.store.orders.place("gate-1", Release(), "li", "", court.wall)
    court.wait(6)
    assert only(Command, court.due()) == []
    assert court.store.orders.get(placed).state == "unanswered"


def test_a_challenge_is_answered_with_a_new_command_once(court, gate, only):
    placed, command = order(court, Release(), only)
    [again] = gate.reply(command, "challenge", challenge="prove-it")
    assert (again.challenge, again.action) == ("prove-it", Release())
    assert again.id != command.id
    assert again.number > command.number
    assert gate.reply(again, "challenge", challenge="once-more") == []
    assert court.store.orders.get(placed).state == "failed"


def test_a_number_that_was_spent_before_a_backup_is_skipped_and_the_order_goes_out_anew(court, gate, only):
    placed, command = order(court, Restart(), only)
    [again] = gate.reply(command, "spent")
    assert again.action == Restart()
    assert again.number > command.number + 1000
    gate.reply(again)
    assert court.store.orders.get(placed).state == "done"


def test_the_answer_of_another_gate_settles_nothing(court, gate, other, only):
    placed, command = order(court, Restart(), only)
    other.reply(command)
    assert court.store.orders.get(placed).state == "sent"


# -- faces ------------------------------------------------------------------------------------------------------------


def enrolled(court, gate, subject):
    gate.happen("person_enrolled", subject=subject, templates=3, notice="2026-11", embedder_sha256="ab" * 32)
    gate.batch(len(gate.rows), len(gate.rows))


def test_a_face_goes_from_gate_to_gate_and_changes_nothing_for_the_others(court, gate, other, person, only):
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
    [delta] = third.says(Request, after=before["gate-3"] - 1)
    assert delta.records[0].face is None


def test_a_face_that_nobody_asked_for_is_not_kept(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    [command] = only(Command, court.due())
    other.shares(command, face())
    gate.shares(command, face())
    gate.shares(command, face(2))
    assert court.due()[-1].records[0].face == face()


def test_no_face_is_asked_for_without_consent(court, gate, other, person, only):
    court.store.book.put(person(1, purposes=("recognise",)))
    enrolled(court, gate, person(1).subject)
    assert only(Command, court.due()) == []
    court.store.book.put(person(1))
    assert len(only(Command, court.due())) == 1


def test_a_withdrawn_consent_takes_the_faces_away(court, gate, other, person, only):
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


def test_a_gate_that_was_off_is_asked_again(court, gate, other, person, only):
    court.store.book.put(person(1))
    enrolled(court, gate, person(1).subject)
    assert len(only(Command, court.due())) == 1
    court.wait(40)
    assert only(Command, court.due()) == []
    court.wait(40)
    assert len(only(Command, court.due())) == 1


def test_a_gate_with_new_keys_gets_faces_sealed_anew(court, gate, other, person, only):
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


def test_each_process_speaks_for_its_own_gates(court, gate, other):
    half = OfficeSide(court.store, lambda name: name == "gate-2")
    half.due(court.now, court.wall)
    assert half.topics == set(other.topics.up)
    payload = gate.peer.write(gate.message(Status, version="0.1.0"))
    assert half.hear(gate.topics.status, payload, court.now, court.wall) == []


def test_what_another_process_writes_is_noticed(court, gate, person):
    court.due()
    assert not court.side.changed()
    another = type(court.store).open(court.folder)
    another.book.put(person(1))
    another.close()
    assert court.side.changed()
    assert len(court.due()) == 1
    assert not court.side.changed()


def test_a_mark_of_a_journal_is_not_needed(court, gate, only):
    assert len(only(Word, gate.status(journal=None, records=None))) == 1
    assert JournalMark("x", 0, 0).hash == ""
    assert RecordMark(0, "").quarantined == 0
