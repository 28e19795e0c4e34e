"""Removed people leave no template. What an interruption leaves is finished later, and nobody else loses a face."""

import sqlite3

import pytest

from tests.gallery.changes import remove
from tests.gallery.test_register import a_reader, impatient, places, registered, traces_of  # noqa: F401 - a fixture


@pytest.mark.parametrize("name", ["people.db", "templates.db"])
def test_a_reader_in_the_way_does_not_stop_a_removal_and_its_traces_go_at_the_next_start(
    state, opened, join, face, name: str
) -> None:
    gallery = opened()
    ann = join(gallery, 1, pictures=2)
    traces = traces_of(gallery, ann.subject)
    with a_reader(state, name):
        assert remove(impatient(gallery), ann.subject) == 2
        assert gallery.search(face(1)) == ()
        assert gallery.people() == []
        assert places(state, *traces)  # the reader still needs them
    opened()
    assert places(state, *traces) == []


def test_a_removal_stands_when_the_templates_cannot_be_reached_and_is_finished_later(
    state, gallery, opened, join, face
) -> None:
    ann = join(gallery, 1)
    traces = traces_of(gallery, ann.subject)
    other = sqlite3.connect(state / "templates.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert remove(impatient(gallery), ann.subject) == 1
    assert gallery.search(face(1)) == ()
    other.execute("ROLLBACK")
    other.close()
    assert opened().size == 0
    assert places(state, *traces) == []


def test_a_running_gallery_finishes_the_removal_of_a_process_that_died(state, gallery, opened, join) -> None:
    ann = join(gallery, 1)
    traces = traces_of(gallery, ann.subject)
    dead = opened()._register
    with dead.changing():
        dead._people.delete(ann.subject)
    dead.close()
    assert gallery.reload_if_changed()
    assert gallery._register._templates.keys() == {}
    assert places(state, *traces) == []


def test_templates_without_a_person_are_not_searched_and_swept_at_the_next_start(
    state, gallery, opened, join, face
) -> None:
    ann = join(gallery, 1)
    traces = traces_of(gallery, ann.subject)[:2]
    gallery._register._people.connection.execute("DELETE FROM people")  # as if the power failed before this commit
    assert gallery._register.opened(gallery.embedder_sha256).rows == []
    later = opened()
    assert later.size == 0
    assert places(state, *traces) == []


def test_a_sweep_for_some_people_leaves_everybody_elses_faces_to_the_next_start(
    registered,  # noqa: F811
    gallery,
    join,
    face,
) -> None:
    ann, bob = join(gallery, 1).subject, join(gallery, 2).subject
    with registered.changing() as connection:
        connection.execute("DELETE FROM people")
    assert registered.tidy({ann})
    assert {subject for subject, _ in registered._templates.faces()} == {bob}
    assert registered.tidy()
    assert registered._templates.faces() == set()


def test_a_person_during_enrolment_is_not_swept(state, gallery, opened, join, face) -> None:
    ann = join(gallery, 1)
    person = gallery.person(ann.subject)
    remove(gallery, ann.subject)
    other = opened()
    with gallery.enrolling():
        gallery.add(person, [face(1)])
        assert impatient(other)._register.tidy() is False  # sees templates without a person; waits for their writer
    assert other.reload_if_changed()
    assert other.search(face(1))[0].subject == ann.subject
