"""The turn in which faces are upright, from the detector's scores; real faces are tested in `access`."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.detect import Face
from gated.face.upright import LEAST_LEAD, best_score, upright_turn


def face(score, size=100.0):
    return Face((0.0, 0.0, size, size), np.zeros((5, 2), np.float32), score)


@dataclass
class Scores:
    """A detector that finds one face in each frame, with the score that the frame is."""

    def detect(self, frame):
        return [] if frame is None else [face(frame)]


def turn(*scores):
    return upright_turn(Scores(), scores)


@pytest.mark.parametrize("best", range(4))
def test_the_turn_with_the_best_score_is_upright(best):
    assert turn(*(0.93 if each == best else 0.85 for each in range(4))) == best


def test_a_picture_without_any_face_stays_as_it_is():
    assert turn(None, None, None, None) == 0


def test_a_face_in_one_turn_only_is_upright_there():
    assert turn(None, None, 0.7, None) == 2


def test_two_turns_with_almost_the_same_score_are_not_decided():
    assert turn(0.90, 0.88, None, None) is None
    assert turn(0.90, None, 0.90, None) is None


@given(st.lists(st.none() | st.floats(0.6, 1), min_size=4, max_size=4))
def test_a_turn_never_wins_without_a_clear_lead(scores):
    found = turn(*scores)
    values = [score or 0.0 for score in scores]
    if found is None:
        assert sorted(values)[-1] - sorted(values)[-2] < LEAST_LEAD
    else:
        assert values[found] == max(values)
        assert max(values) == 0 or all(
            max(values) - value >= LEAST_LEAD for each, value in enumerate(values) if each != found
        )


def test_a_small_face_in_the_background_does_not_count():
    assert best_score([face(0.8, 100), face(0.99, 50)]) == 0.8
    assert best_score([face(0.8, 100), face(0.99, 70)]) == 0.99
    assert best_score([]) == 0.0
