"""A loss of colour in the camera is told once, and once more when it ends. A dull evening causes no repeats."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.colour import COLOUR, NO_COLOUR
from gated.service.camera_colour import OBSERVATIONS, WHY, ColourWatch


@pytest.fixture
def told():
    return []


@pytest.fixture
def watch(told):
    return ColourWatch(lambda part, why: told.append((part, why)))


def looks(watch, colour, count=OBSERVATIONS):
    for _ in range(count):
        watch.observe(colour)


def test_a_grey_camera_is_reported_once(watch, told):
    looks(watch, 0.01, 10 * OBSERVATIONS)
    assert told == [("colour", WHY)]


def test_the_loss_of_colour_ends_once_faces_have_colour_for_certain(watch, told):
    looks(watch, 0.01)
    looks(watch, 0.4, 5 * OBSERVATIONS)
    assert told == [("colour", WHY), ("colour", None)]


def test_one_grey_look_among_others_is_nothing(watch, told):
    for _ in range(10):
        looks(watch, 0.01, OBSERVATIONS - 1)
        watch.observe(0.3)
    assert told == []


@given(st.lists(st.floats(NO_COLOUR, COLOUR - 1e-6), max_size=200), st.booleans())
def test_between_the_bounds_nothing_changes(dusk, was_lost):
    told = []
    watch = ColourWatch(lambda part, why: told.append(why))
    if was_lost:
        looks(watch, 0.0)
    for colour in dusk:
        watch.observe(colour)
    assert len(told) == was_lost


@pytest.mark.parametrize("colour", [None, math.nan])
def test_an_unmeasured_colour_does_not_end_the_loss(watch, told, colour):
    looks(watch, 0.0)
    looks(watch, colour, 3 * OBSERVATIONS)
    assert told == [("colour", WHY)]


def test_a_colour_fault_that_comes_and_goes_is_reported_only_a_few_times(watch, told):
    """Each change is a row in the journal. A compromised vision could cause 26 rows a second."""
    for _ in range(1000):
        looks(watch, 0.01)
        looks(watch, 0.4)
    assert len(told) <= 3
