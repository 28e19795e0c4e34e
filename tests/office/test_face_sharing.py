"""Which faces the office asks for: only those that may be shared, a few at a time, and again if they do not arrive."""

from contextlib import closing

import pytest

from gated.office.face_sharing import AGAIN_S, AT_ONCE, IN_FLIGHT_S, RESCAN_S, FaceRequests
from gated.office.face_store import FaceRequest
from gated.protocol.face_messages import SealedFace

FACE = SealedFace("face-1", "ab" * 32, 1, "sealed")


@pytest.fixture
def store(in_memory):
    with closing(in_memory()) as store:
        yield store


@pytest.fixture
def enrol(store, person):
    def enrol(count):
        for number in range(count):
            store.book.put(person(number))
            store.faces.record_enrolment(person(number).subject, "gate-1", f"2026-11-23T08:{number:02}:00Z")

    return enrol


def test_a_gate_is_asked_for_a_few_faces_at_a_time_until_all_arrived(store, enrol):
    enrol(20)
    sharing, came, now = FaceRequests(store), set(), 0.0
    while asked := sharing.due(["gate-1"], now):
        assert len(asked) <= AT_ONCE
        for wanted in asked:
            assert sharing.accept_answer(wanted)
            assert store.faces.store_face(wanted.subject, wanted.to, FACE)
            came.add(wanted.subject)
        now += 1.0
    assert len(came) == 20
    assert sharing.due(["gate-1"], now + 2 * AGAIN_S) == []


def test_a_gate_that_is_off_is_not_asked(store, enrol):
    enrol(1)
    sharing = FaceRequests(store)
    assert sharing.due(["gate-2"], 0.0) == []
    assert len(sharing.due(["gate-1", "gate-2"], RESCAN_S)) == 1


def test_missing_faces_delay_the_others_only_for_a_while(store, enrol):
    enrol(AT_ONCE + 3)
    sharing = FaceRequests(store)
    assert len(sharing.due(["gate-1"], 0.0)) == AT_ONCE
    assert sharing.due(["gate-1"], 1.0) == []
    assert len(sharing.due(["gate-1"], IN_FLIGHT_S)) == 3
    assert sharing.due(["gate-1"], AGAIN_S - 1) == []
    assert len(sharing.due(["gate-1"], AGAIN_S + RESCAN_S)) >= AT_ONCE


def test_an_unrequested_face_is_refused(store, enrol, person):
    enrol(1)
    sharing = FaceRequests(store)
    wanted = FaceRequest("gate-1", person(0).subject, "gate-2")
    assert not sharing.accept_answer(wanted)
    sharing.due(["gate-1"], 0.0)
    assert sharing.accept_answer(wanted)
    assert not sharing.accept_answer(wanted)


def test_a_person_removed_at_their_gate_is_not_requested_again(store, enrol, person):
    enrol(1)
    store.faces.delete_enrolment(person(0).subject, "gate-1", "2026-11-23T07:00:00Z")
    assert len(store.faces.missing_faces(["gate-1"], 10)) == 1
    store.faces.delete_enrolment(person(0).subject, "gate-1", "2026-11-23T09:00:00Z")
    assert store.faces.missing_faces(["gate-1"], 10) == []


def test_a_late_report_of_an_older_enrolment_changes_nothing(store, enrol, person):
    enrol(1)
    assert store.faces.store_face(person(0).subject, "gate-2", FACE)
    store.faces.record_enrolment(person(0).subject, "gate-1", "2026-11-22T08:00:00Z")
    assert store.faces.missing_faces(["gate-1"], 10) == []


def test_no_face_is_stored_for_an_unknown_gate(store, enrol, person):
    enrol(1)
    assert not store.faces.store_face(person(0).subject, "gate-9", FACE)
