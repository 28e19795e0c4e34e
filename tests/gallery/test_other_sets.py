"""People whose face is of another model set are found, and never searched."""

from gated.gallery.other_sets import people_of_other_sets
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId
from tests.gallery.conftest import AT, EMBEDDER

OTHER = "cd" * 32


def test_people_of_another_set_are_found_by_name_and_household(state, gallery, join):
    join(gallery, 2, pictures=2)
    join(gallery, 1)
    assert people_of_other_sets(state, EMBEDDER) == []
    assert [each.name for each in people_of_other_sets(state, OTHER)] == ["Resident Number 1", "Resident Number 2"]


def test_a_person_enrolled_again_is_no_longer_named(state, gallery, join, face):
    subject = join(gallery, 1).subject
    join(gallery, 2)
    with gallery.enrolling():
        gallery._register.store_capture(gallery.person(subject), OTHER, [face(1)], AT, is_counted=True)
    assert [each.name for each in people_of_other_sets(state, OTHER)] == ["Resident Number 2"]
    assert [each.name for each in people_of_other_sets(state, EMBEDDER)] == ["Resident Number 1"]


def test_a_face_of_another_set_that_only_waits_does_not_count(state, gallery, join, face):
    """The valid face decides."""
    subject = join(gallery, 1).subject
    with gallery.enrolling():
        gallery._register.store_capture(gallery.person(subject), OTHER, [face(1)], AT)
    assert people_of_other_sets(state, EMBEDDER) == []
    assert [each.subject for each in people_of_other_sets(state, OTHER)] == [subject]


def test_people_without_a_face_or_consent_are_not_asked_to_enrol_again(state, gallery, live, join):
    live("a")
    consent = Consent(RECOGNISE, "paper", "1", AT)
    gallery._register.admit(Person(SubjectId("b" * 16), "Bob", "2", "active", AT, (consent,)))
    assert people_of_other_sets(state, OTHER) == []


def test_asking_creates_no_file(tmp_path):
    assert people_of_other_sets(tmp_path / "none", EMBEDDER) == []
    assert not (tmp_path / "none").exists()


def test_a_template_of_another_set_is_never_searched_and_never_compared(state, gallery, opened, join, face):
    join(gallery, 1)
    other = opened(embedder=OTHER)
    assert (other.search(face(1)), other.foreign_count, other.size) == ((), 1, 0)
    again = join(other, 1)  # the old face of the same person is no duplicate: it cannot be compared
    assert [candidate.subject for candidate in other.search(face(1))] == [again.subject]
