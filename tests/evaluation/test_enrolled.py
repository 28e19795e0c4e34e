"""Enrolment for an evaluation enrols everybody, and counts the people that the product would refuse."""

import numpy as np
import pytest

from gated.camera.pictures import frame_of, load_picture
from gated.evaluation.confidence import Rate
from gated.evaluation.enrolled import Applicant, enrol_all, portrait

RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)


def axis(number):
    return np.eye(8, dtype=np.float32)[number]


def between(one, other, share):
    vector = (1 - share) * axis(one) + share * axis(other)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_every_person_with_a_picture_is_in_the_gallery():
    done = enrol_all([Applicant("ann", "1", [axis(0), axis(1)]), Applicant("bob", "2", [axis(2)])], 8, 0.5)
    assert set(done.subjects) == {"ann", "bob"}
    assert len(done.rows) == len(done.index(8)) == 3
    assert (done.failed, done.alike) == (Rate.of(0, 2), Rate.of(0, 2))


def test_a_person_without_a_usable_picture_is_a_failure_to_enrol():
    done = enrol_all([Applicant("ann", "1", [axis(0)]), Applicant("bob", "2", [])], 8, 0.5)
    assert (done.failed, set(done.subjects)) == (Rate.of(1, 2), {"ann"})


def test_people_too_similar_are_counted_and_stay():
    people = [
        Applicant("ann", "1", [axis(0), axis(3)]),
        Applicant("eve", "2", [between(0, 1, 0.1)]),
        Applicant("bob", "3", [axis(2)]),
    ]
    done = enrol_all(people, 8, 0.5)
    assert done.alike == Rate.of(2, 3)
    assert done.index(8).size == 3


def test_similar_pictures_of_one_person_are_not_counted():
    assert enrol_all([Applicant("ann", "1", [axis(0)] * 5)], 8, 0.5).alike == Rate.of(0, 1)


@pytest.mark.parametrize(
    ("colour", "width", "will_do"), [(RED, 40, True), (BLACK, 40, False), (RED, 200, False)], ids=["one", "none", "two"]
)
def test_a_portrait_shows_one_person(colours, paint, colour, width, will_do):
    found = portrait(colours, frame_of(load_picture(paint("p.png", colour, width)), 0.0, 0))
    assert (found is not None) == will_do


def test_an_odd_embedding_is_no_portrait(colours, paint):
    colours.model_set.dimension = 65
    try:
        assert portrait(colours, frame_of(load_picture(paint("p.png", RED)), 0.0, 0)) is None
    finally:
        colours.model_set.dimension = 64
