"""The gate shows the office's records in quarantine, and a person at the gate accepts them."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change
from gated.people.held_records import LOST_COUNT, Allowed, RecordState
from gated.people.store import Consent, Person
from gated.types import SubjectId

ANN, BOB = "a" * 16, "b" * 16
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def held(gate):
    """Return a gate that holds Ann and Bob in quarantine. Its commands run in this process."""
    holdings = Holdings.open(gate.state, "courtyard-2")
    changes = [
        Change(RecordState(PERSON + ANN, 3, quarantine="bulk")),
        Change(RecordState(PERSON + BOB, 4, quarantine="duplicate")),
        Change(RecordState("schedule/work", 5)),
    ]
    holdings.apply(changes, 5, NOW)
    holdings.close()

    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "people", "quarantine", *arguments])
        assert done.exit_code == check, done.output
        return done.output

    gate.held = run
    return gate


def test_held_people_are_listed_with_the_reason(held):
    assert json.loads(held.held("list", "--json")) == [
        {"subject": ANN, "why": "bulk", "record": 3},
        {"subject": BOB, "why": "duplicate", "record": 4},
    ]
    shown = held.held("list")
    assert ANN in shown
    assert "duplicate" in shown


def test_an_accepted_person_is_not_held_any_more_and_the_journal_records_it(held):
    assert held.held("accept", BOB) == f"accepted {BOB}\n"
    assert [row["subject"] for row in json.loads(held.held("list", "--json"))] == [ANN]
    assert [event["subject"] for event in held.events("record_accepted")] == [BOB]
    holdings = Holdings.open(held.state, "courtyard-2")
    assert holdings.get(PERSON + BOB).is_wanted
    holdings.close()


def test_several_people_are_accepted_at_once(held):
    held.held("accept", ANN, BOB)
    assert json.loads(held.held("list", "--json")) == []


def test_a_person_who_is_not_held_is_refused_and_the_others_are_accepted(held):
    printed = held.held("accept", "c" * 16, ANN, check=1)
    assert "quarantine list" in printed
    assert f"accepted {ANN}" in printed
    assert [event["subject"] for event in held.events("record_accepted")] == [ANN]
    held.held("accept", ANN, check=1)


def test_an_operator_at_the_gate_restores_the_offices_allowance(held):
    holdings = Holdings.open(held.state, "courtyard-2")
    holdings.allow(Allowed(spent=216))
    holdings.close()
    assert "had brought 216 of 300" in held.held("renew")
    assert [event["spent"] for event in held.events("batch_renewed")] == [216]
    assert "had brought 0 of 300" in held.held("renew")


def test_a_lost_count_of_batches_counts_as_spent_and_an_operator_renews_it(held):
    holdings = Holdings.open(held.state, "courtyard-2")
    holdings.allow(Allowed(spent=LOST_COUNT))
    holdings.close()
    assert "had brought 300 of 300" in held.held("renew")
    assert [event["spent"] for event in held.events("batch_renewed")] == [300]
    assert "had brought 0 of 300" in held.held("renew")


def test_accepting_needs_a_name(held):
    held.held("accept", check=2)


def test_the_commands_are_in_the_people_group(held):
    done = CliRunner().invoke(main, ["people", "--help"])
    assert "quarantine" in done.output


CAT, EMBEDDER = SubjectId("c" * 16), "ab" * 32


def face(gallery, *pictures):
    """Store templates of Cat, as the office ordered. Returns True if they wait."""
    with gallery.enrolling():
        return gallery.store_capture(gallery.person(CAT), [np.eye(4, dtype=np.float32)[each] for each in pictures], NOW)


@pytest.fixture
def changed(held):
    """Return the same gate with Cat. She has a face here, a second local face waits, and she agreed to more."""
    holdings = Holdings.open(held.state, "courtyard-2")
    consents = tuple(Consent(purpose, "paper-7", "2026-11", NOW) for purpose in ("recognise", "transfer"))
    person = Person(CAT, "Cat", "2-401", "active", NOW, consents)
    holdings.apply([Change(RecordState(PERSON + CAT, 6), PersonData(person))], 6, NOW)
    holdings.close()
    gallery = Gallery.open(held.state, "courtyard-2", EMBEDDER, 4)
    assert not face(gallery, 0)
    assert face(gallery, 1, 2)
    gallery.close()
    return held


def test_an_accepted_face_made_here_is_announced_to_the_other_gates(changed):
    """The gate's journal names the enrolled person. The office then orders the record for the other gates."""
    changed.held("accept", CAT)
    assert [event["kind"] for event in changed.events("record_accepted", "person_enrolled", "consent_held")] == [
        "record_accepted", "person_enrolled", "consent_held"
    ]  # fmt: skip
    (told,) = changed.events("person_enrolled")
    assert (told["subject"], told["templates"], told["notice"], told["embedder_sha256"]) == (
        CAT, 2, "2026-11", EMBEDDER
    )  # fmt: skip


def test_a_record_without_a_face_of_this_gate_announces_no_enrolment(changed):
    changed.held("accept", ANN, BOB)
    assert changed.events("person_enrolled") == []
