"""A consent given at the gate during an enrolment counts at once. A consent only in the office's record does not."""

from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest

from gated.errors import WithdrawnError
from gated.gallery.enrolment import enrol, enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.given_consents import NAME, TRANSFER, GivenConsents, consents_given_now, offering_consents
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
SAID = GivenConsents(ANN, [TRANSFER], "paper-9", "notice-4")


@pytest.fixture
def ann(gallery):
    """Admit Ann. The office's record says she consented to recognition."""
    consents = (Consent(RECOGNISE, "paper-7", "notice-3", AT),)
    gallery._register.admit(Person(ANN, "Ann", "2-401", "active", AT, consents))
    return ANN


@pytest.fixture
def take(gallery, state, face):
    """Return a function that enrols Ann's face by an order of the office."""

    def make(number=1, before=lambda: None):
        given = partial(consents_given_now, state, ANN, AT)
        return enrol_known(gallery, ANN, [face(number)], threshold=0.7, at=AT, before=before, given=given)

    return make


def agreed(gallery, subject=ANN):
    holdings = Holdings(gallery._register)
    return holdings.agreed(subject), [claim.purpose for claim in holdings.claims()]


def office_reports(gallery, *purposes):
    """Add consents to the office's record of Ann."""
    with gallery._register.changing() as connection:
        for purpose in purposes:
            row = (ANN, purpose, "paper-8", "notice-3", AT.isoformat())
            connection.execute("INSERT INTO consents VALUES (?, ?, ?, ?, ?)", row)


def test_a_consent_given_here_during_enrolment_counts_at_once(gallery, state, ann, take):
    with offering_consents(state, SAID):
        done = take()
    assert (done.consents, done.is_consent_held) == ((TRANSFER,), False)
    assert agreed(gallery) == ({TRANSFER}, [])
    (_, more) = gallery.person(ann).consents
    assert (more.purpose, more.reference, more.notice_version) == (TRANSFER, "paper-9", "notice-4")


def test_a_consent_given_here_counts_beside_the_offices_and_keeps_its_paper(gallery, state, ann, take):
    office_reports(gallery, TRANSFER)
    with offering_consents(state, SAID):
        assert take().consents == (TRANSFER,)
    assert agreed(gallery) == ({TRANSFER}, [])
    assert {consent.reference for consent in gallery.person(ann).consents} == {"paper-7", "paper-8"}


def test_only_consents_given_here_count(gallery, state, ann, take):
    """The attack: the office's thief adds a purpose while Ann consents to another purpose at the gate."""
    office_reports(gallery, TRANSFER, "advertise")
    with offering_consents(state, SAID):
        assert take().is_consent_held
    assert agreed(gallery) == ({TRANSFER}, ["advertise"])


def test_without_an_operator_at_the_gate_no_consent_counts(gallery, ann, take):
    office_reports(gallery, TRANSFER)
    assert take().is_consent_held
    assert agreed(gallery) == (set(), [TRANSFER])


def test_a_consent_of_another_person_does_not_count(gallery, state, ann, take):
    office_reports(gallery, TRANSFER)
    with offering_consents(state, GivenConsents(BOB, [TRANSFER], "paper-9", "notice-4")):
        assert take().consents == ()
    assert agreed(gallery) == (set(), [TRANSFER])


def test_an_ended_consent_does_not_count_for_a_later_command(gallery, state, ann, take):
    """The attack: an order is repeated or placed again after the operator at the gate has left."""
    with offering_consents(state, SAID):
        pass
    assert take().consents == ()
    (state / NAME).write_bytes(msgspec.json.encode(SAID))
    take(1)
    assert agreed(gallery) == (set(), [])


def test_an_interrupted_command_leaves_no_consent(gallery, state, ann, take):
    def gives_up():
        raise WithdrawnError("nobody waits any more")

    with offering_consents(state, SAID), pytest.raises(WithdrawnError):
        take(before=gives_up)
    assert agreed(gallery) == (set(), [])
    assert len(gallery.person(ann).consents) == 1
    take()
    assert agreed(gallery) == (set(), [])


def test_a_consent_that_ends_during_the_question_does_not_count(gallery, state, ann, take):
    wish = offering_consents(state, SAID)
    wish.__enter__()
    assert take(before=lambda: wish.__exit__(None, None, None)).consents == ()
    assert agreed(gallery) == (set(), [])


def test_for_a_waiting_face_no_consent_counts(gallery, state, ann, take):
    """The attack: another person stands at the gate in place of Ann, who already has a face here."""
    take(1)
    with offering_consents(state, SAID):
        done = take(2)
    assert (done.waits, done.consents) == ("changed", ())
    assert agreed(gallery) == (set(), [])
    assert Holdings(gallery._register).accept(ann)
    assert agreed(gallery) == (set(), [])


def test_a_consent_given_here_ends_when_the_office_withdraws_it(gallery, state, ann, take):
    from gated.gallery.holdings import Change
    from gated.gallery.person_data import PersonData
    from gated.people.held_records import RecordState

    with offering_consents(state, SAID):
        take()
    plain = Person(ANN, "Ann", "2-401", "active", AT, gallery.person(ann).consents[:1])
    Holdings(gallery._register).apply([Change(RecordState(f"person/{ANN}", 5), PersonData(plain))], 5, AT)
    assert agreed(gallery) == (set(), [])


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"{}",
        b"\xff",
        b"[1]",
        b"[" * 4000,
        msgspec.json.encode({"subject": ANN, "purposes": [], "reference": "p", "notice": "n"}),
        msgspec.json.encode({"subject": ANN, "purposes": [1], "reference": "p", "notice": "n"}),
        msgspec.json.encode({"subject": "*", "purposes": [TRANSFER], "reference": "p", "notice": "n"}),
        msgspec.json.encode({"subject": ANN, "purposes": [RECOGNISE], "reference": "p", "notice": "n"}),
    ],
)
def test_an_invalid_message_gives_no_consent(state, odd):
    from gated.runtime.local_request import wishing

    state.mkdir()
    with wishing(state / NAME, odd):
        assert consents_given_now(state, ANN, AT) == ()


def test_a_person_enrolled_from_photos_consents_here(gallery, face):
    done = enrol(
        gallery, "Ann", "2-401", [face(1)], consent="paper-1", notice="notice-3", threshold=0.7, at=AT,
        purposes=(TRANSFER,),
    )  # fmt: skip
    assert done.consents == (TRANSFER,)
    assert agreed(gallery, done.subject) == ({TRANSFER}, [])
    assert {(c.purpose, c.reference) for c in gallery.person(done.subject).consents} == {
        (RECOGNISE, "paper-1"), (TRANSFER, "paper-1")
    }  # fmt: skip


def test_only_the_gates_user_can_read_the_consents(state):
    state.mkdir()
    with offering_consents(state, SAID):
        assert (state / NAME).stat().st_mode & 0o077 == 0


def test_another_process_sees_the_consents(gallery, state, ann, take):
    with offering_consents(state, SAID):
        take()
    with closing(Gallery.open(state, "site", gallery.embedder_sha256, gallery.dimension)) as other:
        assert agreed(other) == ({TRANSFER}, [])
