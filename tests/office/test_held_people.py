"""People in quarantine at the gates: one alarm with their number, and a list as recent as the gate's last status."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.office.running_processes import Waiting
from gated.protocol.command_messages import AcceptQuarantined, Reply, ReplyFinding
from gated.protocol.record_messages import QuarantinedRecord, QuarantineList
from gated.protocol.status_messages import LIVE, QUARANTINE, RecordMark


def back(*numbers, why="bulk"):
    return [QuarantinedRecord(f"{number:016x}", why, number) for number in numbers]


def lists(gate, records, **more):
    return gate.send(QuarantineList, heard=gate.heard, records=records, **more)


def alarms(court):
    return [(alarm.gate, alarm.detail) for alarm in court.store.alarms.all() if alarm.kind == "record_quarantined"]


def test_seventeen_held_people_raise_one_alarm_with_their_number_and_gate(court, gate, other):
    for number in range(17):
        gate.happen("record_quarantined", subject=f"{number:016x}", why="bulk")
    gate.batch(1, 17)
    assert alarms(court) == [("gate-1", "17 held back (17 bulk)")]
    lists(gate, back(*range(17)))
    assert alarms(court) == [("gate-1", "17 held back (17 bulk)")]
    lists(other, [*back(1, 2), *back(3, why="duplicate")])
    assert alarms(court) == [("gate-1", "17 held back (17 bulk)"), ("gate-2", "3 held back (2 bulk, 1 duplicate)")]


def test_the_alarm_follows_the_number_of_held_people_and_ends_with_zero(court, gate):
    lists(gate, back(1, 2, 3))
    lists(gate, back(3))
    assert alarms(court) == [("gate-1", "1 held back (1 bulk)")]
    lists(gate, [])
    assert alarms(court) == []
    assert len([a for a in court.store.alarms.all(standing=False) if a.kind == "record_quarantined"]) == 1


def test_a_fresh_status_without_held_people_ends_the_alarm_even_if_a_list_was_lost(court, gate):
    lists(gate, back(1, 2))
    gate.status(records=RecordMark(gate.version, gate.digest, quarantined=2))
    assert len(court.store.held.all()) == 2
    gate.status(records=RecordMark(gate.version, gate.digest))
    assert (court.store.held.all(), alarms(court)) == ([], [])


def test_an_accepted_or_removed_person_is_not_held_any_more(court, gate):
    for number in (1, 2, 3):
        gate.happen("record_quarantined", subject=f"{number:016x}", why="bulk")
    gate.happen("record_accepted", subject=f"{1:016x}")
    gate.happen("person_removed", subject=f"{2:016x}", templates=0)
    gate.batch(1, 5)
    assert [each.subject for each in court.store.held.all()] == [f"{3:016x}"]
    assert alarms(court) == [("gate-1", "1 held back (1 bulk)")]


def test_a_list_in_parts_is_combined_and_an_old_repeated_one_ignored(court, gate):
    old = gate.peer.write(gate.message(QuarantineList, heard=gate.heard, records=back(9)))
    gate.status()
    gate.status()
    lists(gate, back(*range(500)), part=0, parts=2)
    lists(gate, back(*range(500, 520)), part=1, parts=2)
    assert len(court.store.held.all()) == 520
    court.side.handle_message(gate.topics.reply, old, court.now, court.wall)
    assert len(court.store.held.all()) == 520


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def office(court):
    """Return a function that runs an office command. It asserts the exit status `check` and returns the output."""

    def run(*arguments, check=0, typed=None):
        arguments = ["office", "--dir", str(court.folder), *map(str, arguments)]
        done = CliRunner().invoke(main, arguments, input=typed)
        assert done.exit_code == check, f"{arguments}: {done.exit_code}\n{done.output}"
        return done.output

    return run


@pytest.fixture
def full(court, gate, other, person):
    """Put people in quarantine at two gates. The office knows their names."""
    for number in range(1, 5):
        court.store.book.put(person(number, name=f"Name {number}", household=f"{number}-101"))
    lists(gate, [*back(1, 2), *back(3, why="duplicate")])
    lists(other, back(2))
    return court


def test_held_people_are_listed_by_name_with_gates_and_reason(office, full):
    rows = json.loads(office("held", "list", "--json"))
    assert [(row["name"], row["why"], row["gates"]) for row in rows] == [
        ("Name 1", "bulk", ["gate-1"]),
        ("Name 2", "bulk", ["gate-1", "gate-2"]),
        ("Name 3", "duplicate", ["gate-1"]),
    ]
    output = office("held", "list")
    assert "Name 2" in output
    assert "gate-1, gate-2" in output
    assert "at the gate" in output


def test_gates_with_held_people_do_not_report_completeness(office, full, gate):
    version = full.store.book.version("gate-1")
    mark = RecordMark(version, "", quarantined=3, people=1)
    gate.status(records=mark, can=[LIVE, QUARANTINE])
    row = next(row for row in json.loads(office("gates", "--json")) if row["gate"] == "gate-1")
    assert row["records"] == f"{version - 3} of {version}, 3 held"
    assert row["known"] == "1 of 4, 3 held"
    assert "3 held" in office("gates")


@pytest.fixture
def answering(full, monkeypatch):
    """Let both gates accept every person except the numbers in the first result. The second result lists the orders."""
    refused, told = set(), []

    def carry(folder, gates, action, wish):
        assert isinstance(action, AcceptQuarantined)
        told.append((gates[0], action.subjects, wish.operator))
        findings = [
            ReplyFinding(s, "refused" if s in refused else "accepted", "no room" if s in refused else "")
            for s in action.subjects
        ]
        order = full.order(action, gates[0])
        full.store.commands.finish(full.store.commands.get(order), "done", "", findings)
        return [full.store.commands.get(order)]

    monkeypatch.setattr("gated.cli.office.held.place_and_wait", carry)
    return refused, told


def test_people_are_accepted_by_name_at_every_gate_that_holds_them(office, full, answering):
    _, told = answering
    output = office("held", "accept", "Name 2", "--yes", "--operator", "li")
    assert told == [("gate-1", [f"{2:016x}"], "li"), ("gate-2", [f"{2:016x}"], "li")]
    assert "Name 2 (2-101)" in output
    assert "gate-2: accepted 1 of 1" in output


def test_people_held_for_their_number_are_listed_before_the_question(office, full, answering):
    _, told = answering
    assert "there is no terminal to ask at" in office("held", "accept", "--all", check=2)
    assert told == []
    output = office("held", "accept", "--all", "--yes", check=1)
    assert [(gate, len(subjects)) for gate, subjects, _ in told] == [("gate-1", 2), ("gate-2", 1)]
    assert all(name in output for name in ("Name 1", "Name 2", "Name 3"))
    assert "accept the face there" in output, "and whoever has another's face is not accepted here"
    assert f"{3:016x}" not in [subject for _, subjects, _ in told for subject in subjects]


def test_a_person_not_accepted_by_a_gate_is_named_with_the_reason(office, full, answering):
    refused, _ = answering
    refused.add(f"{1:016x}")
    output = office("held", "accept", "Name 1", "--yes", check=1)
    assert "accepted 0 of 1" in output
    assert "no room" in output


def test_people_with_the_same_reason_share_one_line(office, full, answering):
    refused, _ = answering
    refused |= {f"{1:016x}", f"{2:016x}"}
    lines = [line for line in office("held", "accept", "--all", "--yes", check=1).splitlines() if "no room" in line]
    assert [line for line in lines if line.startswith("gate-1")] == ["gate-1: no room: Name 1 (1-101), Name 2 (2-101)"]


def test_only_held_and_named_people_are_accepted(office, full, answering):
    assert "is not held back at any gate" in office("held", "accept", "Name 4", "--yes", check=1)
    office("held", "accept", "--yes", check=2)
    office("held", "accept", "Name 1", "--all", "--yes", check=2)
    assert answering[1] == []


def test_a_batch_is_announced_at_every_gate(office, full, monkeypatch):
    ordered = []
    monkeypatch.setattr("gated.cli.office.batch.run_command", lambda *asked: ordered.append(asked))
    office("batch", "announce", "--people", 216, "--hours", 6)
    office("batch", "announce", "gate-2", "--people", 10)
    assert [(asked[1], asked[2].people, asked[2].hours) for asked in ordered] == [
        (["gate-1", "gate-2"], 216, 6.0),
        (["gate-2"], 10, 6.0),
    ]
    office("batch", "announce", "--people", 0, check=2)
    office("batch", "announce", "--people", 1, "--hours", 0, check=2)


# -- answers with many findings ----------------------------------------------------------------------------------------


def test_an_answer_with_findings_about_a_hundred_people_fits(court, gate):
    order = court.order(AcceptQuarantined([f"{number:016x}" for number in range(100)]))
    with closing(Waiting(court.folder, [order])):
        [offer] = court.due()
        command = gate.asks(offer)
        findings = [ReplyFinding(subject, "refused", "x" * 200) for subject in command.action.subjects]
        gate.send(Reply, command=command.id, outcome="refused", why="accepted 0 of 100", findings=findings)
    assert len(court.store.commands.get(order).findings) == 100
