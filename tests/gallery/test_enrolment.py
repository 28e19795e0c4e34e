import math
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gated.embedding import Embedding
from gated.errors import EnrolmentError, SubjectNotFoundError
from gated.gallery.enrolment import Enrolled, enrol, enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId
from tests.gallery.changes import suspend

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FACTS: dict[str, Any] = {"name": "Ann", "household": "2-401", "consent": "paper-1", "notice": "notice-3"}


def join(gallery: Gallery, embeddings: Sequence[Embedding], threshold: float = 0.7, **facts: Any) -> Any:
    return enrol(gallery, embeddings=embeddings, threshold=threshold, at=AT, **(FACTS | facts))


def test_an_enrolled_person_is_found_at_once_and_after_a_restart(gallery, opened, face) -> None:
    enrolled = join(gallery, [face(1), face(1, 1), face(1, 2)])
    assert enrolled.templates == 3
    for each in (gallery, opened()):
        (candidate,) = each.search(face(1, 3))
        assert (candidate.subject, candidate.household, candidate.status) == (enrolled.subject, "2-401", "active")
        assert (each.size, each.template_count) == (1, 3)


def test_everything_that_was_agreed_is_on_record(gallery, face) -> None:
    person = gallery.person(join(gallery, [face(1)]).subject)
    assert (person.name, person.household, person.status, person.enrolled_at) == ("Ann", "2-401", "active", AT)
    (consent,) = person.consents
    assert (consent.purpose, consent.reference) == ("recognise", "paper-1")
    assert (consent.notice_version, consent.at) == ("notice-3", AT)


def test_ids_are_random_and_mean_nothing(gallery, face) -> None:
    ids = [join(gallery, [face(i)]).subject for i in range(8)]
    assert len(set(ids)) == 8
    assert all(len(i) == 16 and int(i, 16) >= 0 for i in ids)


@pytest.mark.parametrize("field", ["name", "household", "consent", "notice"])
@pytest.mark.parametrize(
    "odd", ["", "   ", "\u3000", "x" * 201, "a\nb", "a\x00b", "a\x1b[31mb", "a\u202eb", "a\u2028b", "\ud800"]
)
def test_an_odd_text_refuses_the_enrolment(gallery, face, field: str, odd: str) -> None:
    with pytest.raises(EnrolmentError, match=f"^{field}: ") as refused:
        join(gallery, [face(1)], **{field: odd})
    if odd.strip():
        assert odd not in str(refused.value)
    assert (gallery.people(), gallery.template_count) == ([], 0)


@pytest.mark.parametrize("name", ["安妮", "ئايگۈل", "𫘝𠅤", "\ue123", "O'Neill-Ö.", "x" * 200])
def test_every_name_that_people_have_is_welcome(gallery, face, name: str) -> None:
    assert gallery.person(join(gallery, [face(1)], name=name).subject).name == name


def test_blanks_around_a_text_are_no_part_of_it(gallery, opened, face) -> None:
    subject = join(gallery, [face(1)], name=" Ann ", consent="\tpaper-1\u3000").subject
    assert gallery.person(subject).name == "Ann"
    assert opened().search(face(1))[0].subject == subject


def test_an_enrolment_without_consent_is_refused(gallery) -> None:
    with pytest.raises(EnrolmentError, match="no picture"):
        join(gallery, [])


@given(place=st.integers(0, 31), odd=st.sampled_from([math.nan, math.inf, -math.inf, 5.0]), which=st.integers(0, 2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_vector_with_an_odd_number_is_named_and_refuses_the_enrolment(gallery, face, place, odd, which) -> None:
    pictures = [face(1), face(1, 1), face(1, 2)]
    pictures[which][place] = odd
    with pytest.raises(EnrolmentError, match=f"^picture {which + 1}: "):
        join(gallery, pictures)
    assert gallery.people() == []


@pytest.mark.parametrize(
    "odd", [np.zeros(32, np.float32), np.ones(31, np.float32) / math.sqrt(31), np.ones(32, np.float32), np.eye(32)]
)
def test_a_vector_that_is_no_embedding_is_refused(gallery, odd) -> None:
    with pytest.raises(EnrolmentError, match=r"^picture 1: "):
        join(gallery, [odd])


def test_a_picture_of_somebody_else_among_them_is_named(gallery, face) -> None:
    with pytest.raises(EnrolmentError, match=r"^picture 3: does not show the same person as picture [124];"):
        join(gallery, [face(1), face(1, 1), face(2), face(1, 2)])
    with pytest.raises(EnrolmentError, match=r"^picture 1: does not show"):
        join(gallery, [face(2), face(1), face(1, 1)])


def test_two_people_with_two_pictures_each_are_not_one_person(gallery, face) -> None:
    with pytest.raises(EnrolmentError, match=r"^picture \d, picture \d: does not show"):
        join(gallery, [face(1), face(1, 1), face(2), face(2, 1)])
    assert gallery.people() == []


def test_pictures_that_are_nearly_the_same_are_all_kept(gallery, face) -> None:
    assert join(gallery, [face(1)] * 3).templates == 3
    assert gallery.template_count == 3


def test_a_face_that_is_enrolled_is_refused_by_its_id_and_never_by_its_name(gallery, face) -> None:
    first = join(gallery, [face(1)], name="Ann of the first floor", household="2-401")
    with pytest.raises(EnrolmentError, match=first.subject) as refused:
        join(gallery, [face(1, 1)], name="Somebody", household="9-999")
    for secret in ("Ann", "2-401", "Somebody", "9-999", "paper-1"):
        assert secret not in str(refused.value)
    assert gallery.size == 1


def test_pictures_with_names_are_named_in_every_refusal(gallery, face) -> None:
    names, odd = ("a.jpg", "b.jpg", "c.jpg"), face(1, 2)
    with pytest.raises(EnrolmentError, match=r"^c\.jpg: does not show the same person as [ab]\.jpg;"):
        join(gallery, [face(1), face(1, 1), face(2)], pictures=names)
    odd[0] = math.nan
    with pytest.raises(EnrolmentError, match=r"^c\.jpg: "):
        join(gallery, [face(1), face(1, 1), odd], pictures=names)
    first = join(gallery, [face(1)])
    with pytest.raises(EnrolmentError, match=f"^a.jpg: this face is enrolled as {first.subject} already"):
        join(gallery, [face(1), face(1, 1), face(1, 2)], pictures=names)


def test_one_picture_of_an_enrolled_person_is_enough_to_refuse(gallery, face) -> None:
    first = join(gallery, [face(1)])
    between = (face(1) + face(2)) / np.linalg.norm(face(1) + face(2))
    with pytest.raises(EnrolmentError, match=f"picture 2: .*{first.subject}"):
        join(gallery, [face(2), between], threshold=0.5)


def test_the_suspended_cannot_come_back_as_somebody_else(gallery, face) -> None:
    first = join(gallery, [face(1)])
    suspend(gallery, first.subject)
    with pytest.raises(EnrolmentError, match=first.subject):
        join(gallery, [face(1, 1)])


def test_a_face_that_another_process_has_just_enrolled_is_refused(gallery, opened, face) -> None:
    other = opened()
    first = join(other, [face(1)])
    with pytest.raises(EnrolmentError, match=first.subject):
        join(gallery, [face(1, 1)])


def test_a_nan_threshold_accepts_no_new_person(gallery, face) -> None:
    with pytest.raises(EnrolmentError):
        join(gallery, [face(1), face(1, 1)], threshold=math.nan)
    join(gallery, [face(1)])
    with pytest.raises(EnrolmentError):
        join(gallery, [face(2)], threshold=math.nan)


def test_a_refused_enrolment_leaves_no_trace(gallery, state, face) -> None:
    join(gallery, [face(1)])
    with pytest.raises(EnrolmentError):
        join(gallery, [face(1, 1)], name="Unheard Of")
    assert not any(b"Unheard Of" in file.read_bytes() for file in state.rglob("*") if file.is_file())


AGREED = (Consent(RECOGNISE, "paper-7", "notice-3", AT),)


def known(gallery, consents=AGREED) -> SubjectId:
    """Admit Ann, a resident without a face."""
    ann = SubjectId("a" * 16)
    gallery._register.admit(Person(ann, "Ann", "2-401", "active", AT, consents))
    return ann


def test_a_known_person_gets_a_face_and_is_found(gallery, face) -> None:
    ann = known(gallery)
    assert gallery.size == 0
    assert enrol_known(gallery, ann, [face(1), face(1, 1)], threshold=0.7, at=AT) == Enrolled(ann, 2)
    assert gallery.search(face(1, 2))[0].subject == ann


def accept(gallery, subject) -> bool:
    """Accept a quarantined person at the gate. Return whether the gallery changed."""
    return Holdings(gallery._register).accept(subject) and gallery.reload_if_changed()


def test_a_face_that_is_ordered_of_somebody_known_waits_and_theirs_counts(gallery, opened, face) -> None:
    """The attack: an attacker with the office's key orders the enrolment of a resident, and shows another face."""
    ann = join(gallery, [face(1), face(1, 1)]).subject
    for picture in range(2):
        assert enrol_known(gallery, ann, [face(2, picture)], threshold=0.7, at=AT) == Enrolled(ann, 1, "changed")
    for each in (gallery, opened()):
        assert each.search(face(1))[0].score > 0.9
        assert each.search(face(2))[0].score < 0.7
    (held,) = Holdings(gallery._register).quarantined()
    assert (held.quarantine, held.n) == ("changed", 0)
    assert gallery._register._templates.count(ann) == 3, "what waited before is gone"
    assert accept(gallery, ann)
    assert gallery.search(face(2))[0].subject == ann
    assert not accept(gallery, ann)


def test_a_face_by_another_model_is_a_first_one_and_an_emptied_one_is_not(gallery, face, state) -> None:
    ann = join(gallery, [face(1)]).subject
    with closing(Gallery.open(state, "courtyard-2", "cd" * 32, gallery.dimension)) as newer:
        assert not enrol_known(newer, ann, [face(1, 1)], threshold=0.7, at=AT, is_counted=True).waits
        assert enrol_known(newer, ann, [face(2)], threshold=0.7, at=AT, is_counted=True).waits == "changed"


def test_a_first_face_by_an_uncounted_new_model_waits(gallery, face, state) -> None:
    """The attack: a thief with the office's key orders every resident's first enrolment for a new model, with the
    thief's own face.
    """
    ann = join(gallery, [face(1)]).subject
    with closing(Gallery.open(state, "courtyard-2", "cd" * 32, gallery.dimension)) as newer:
        for _ in range(2):
            assert enrol_known(newer, ann, [face(9)], threshold=0.7, at=AT).waits == "bulk"
            assert newer.search(face(9)) == ()
        assert gallery.search(face(1))[0].subject == ann
        assert accept(newer, ann)
        assert newer.search(face(9))[0].subject == ann


def test_an_ordered_enrolment_makes_no_consent_count(gallery, face) -> None:
    """The attack: an attacker with the office's key adds a consent to Ann's record, and orders an enrolment while she
    is there.
    """
    ann = known(gallery)
    connection = gallery._register._people.connection
    with gallery._register.changing():
        connection.execute("INSERT INTO consents VALUES (?, 'transfer', 'paper-9', '1', ?)", (ann, AT.isoformat()))
    done = enrol_known(gallery, ann, [face(1)], threshold=0.7, at=AT)
    assert (done.waits, done.is_consent_held) == ("", True)
    holdings = Holdings(gallery._register)
    assert (holdings.agreed(ann), holdings.disputed()) == (set(), [ann])
    assert holdings.agree(holdings.claims()) == 1
    assert holdings.agreed(ann) == {"transfer"}


def test_a_face_taken_anew_and_accepted_replaces_the_old_one_without_a_trace(gallery, opened, face, state) -> None:
    ann = join(gallery, [face(1), face(1, 1), face(1, 2)]).subject
    register = gallery._register
    old = [sealed.sealed for sealed in register._templates.made_by(gallery.embedder_sha256)]
    key = register._templates.keys()[ann, ""]
    enrol_known(gallery, ann, [face(2), face(2, 1)], threshold=0.7, at=AT)
    assert accept(gallery, ann)
    gallery.tidy()
    for each in (gallery, opened()):
        assert each.template_count == 2
        assert each.unreadable_count == 0
        assert each.search(face(2))[0].score > 0.9
        assert each.search(face(1))[0].score < 0.7
    stored = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    assert not any(trace in stored for trace in [*old, key])


def test_another_process_follows_a_face_that_was_taken_anew(gallery, opened, face) -> None:
    ann, other = join(gallery, [face(1)]).subject, opened()
    enrol_known(gallery, ann, [face(2)], threshold=0.7, at=AT)
    assert accept(gallery, ann)
    assert other.reload_if_changed()
    assert other.search(face(2))[0].score > 0.9


def test_the_face_of_another_is_refused_for_somebody_who_is_known(gallery, face) -> None:
    bob = join(gallery, [face(2)]).subject
    ann = known(gallery)
    for taken in ([face(2, 1)], [face(1), face(2, 1)]):
        with pytest.raises(EnrolmentError):
            enrol_known(gallery, ann, taken, threshold=0.7, at=AT)
    with pytest.raises(EnrolmentError, match=bob):
        enrol_known(gallery, ann, [face(2, 1)], threshold=0.7, at=AT)
    assert gallery.template_count == 1


def test_whose_face_is_nearest_their_own_old_one_is_still_refused_the_face_of_another(gallery, face) -> None:
    bob = join(gallery, [face(2)], name="Bob").subject
    ann = known(gallery)
    near_both = (face(1) + face(2)) / np.linalg.norm(face(1) + face(2))
    enrol_known(gallery, ann, [near_both], threshold=0.9, at=AT)
    with pytest.raises(EnrolmentError, match=bob):
        enrol_known(gallery, ann, [near_both], threshold=0.5, at=AT)


@pytest.mark.parametrize("consents", [(), (Consent("transfer", "paper-8", "notice-3", AT),)])
def test_a_person_without_consent_to_recognition_gets_no_face(gallery, face, consents) -> None:
    ann = known(gallery, consents)
    with pytest.raises(EnrolmentError, match="has not agreed"):
        enrol_known(gallery, ann, [face(1)], threshold=0.7, at=AT)
    assert gallery._register._templates.count() == 0


def test_an_unknown_person_gets_no_face(gallery, face) -> None:
    with pytest.raises(SubjectNotFoundError):
        enrol_known(gallery, SubjectId("f" * 16), [face(1)], threshold=0.7, at=AT)
    assert gallery._register._templates.count() == 0
