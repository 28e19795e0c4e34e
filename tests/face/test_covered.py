"""A covered lower half of a face is noticed, an open one is not. Tested with rendered people and real portraits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gated.camera.pictures import frame_of
from gated.config import FaceSettings, ModelSettings
from gated.face.covered import LANDMARKS, MOUTH, SIDE_PX, SKIN, CoverCheck, log_odds_covered
from gated.face.pipeline import load_pipeline
from gated.simulator.composition import Cutout, Placed, compose
from gated.simulator.identity import identity
from gated.simulator.render import render
from gated.simulator.view import View


@pytest.fixture(scope="module")
def check():
    """Return a function that checks a rendered person with the detector of "courtyard"."""
    pipeline, cover = load_pipeline(ModelSettings(set="courtyard"), FaceSettings()), CoverCheck()

    def is_covered(person, view):
        head = Cutout.of(render(identity(person), view, 210))
        frame = frame_of(compose([Placed("a", head, 0.78, 0.0)], (960, 720), person).rgb, 0.0, 0)
        return cover.is_covered(frame.main, pipeline.detector.detect(frame)[0].landmarks)

    return is_covered


OTHERS = range(900_001, 900_007)
"""People whose faces did not give the weights."""


def test_most_masks_are_noticed(check):
    assert sum(check(person, View(mask=True)) for person in OTHERS) >= len(OTHERS) - 1


@pytest.mark.parametrize("view", [View(), View(glasses="dark", hat=True), View(yaw=15, mouth_open=0.6)])
def test_an_open_face_is_not_covered(check, view):
    assert not any(check(person, view) for person in OTHERS)


def test_real_portraits_are_not_covered_and_one_with_a_painted_mask_is(real_pipeline, shared, picture):
    cover = CoverCheck()
    for name in ("biden_1", "biden_2", "obama_1", "obama_2", "stranger_1", "pad_bona_fide"):
        frame = picture(name)
        marks = real_pipeline.detector.detect(frame)[0].landmarks
        assert not cover.is_covered(frame.main, marks), name
        assert cover.is_covered(painted(frame.main, marks), marks), name


def painted(rgb, marks):
    """Return a portrait with everything below the middle of the nose painted pale blue."""
    masked = rgb.copy()
    masked[int((marks[:2, 1].mean() + marks[2, 1]) / 2) + 4 :] = (150, 190, 215)
    return masked


def skin():
    """Return a crop of one colour."""
    crop = np.empty((3, SIDE_PX, SIDE_PX), np.float32)
    crop[:] = np.array([190, 140, 120], np.float32)[:, None, None]
    return crop


def test_a_lower_half_of_another_colour_raises_the_log_odds():
    covered = skin()
    covered[:, 34:] = np.array([150, 190, 215], np.float32)[:, None, None]
    assert log_odds_covered(covered) > log_odds_covered(skin()) + 3


def test_red_lips_lower_the_log_odds():
    lips = skin()
    left, top, right, bottom = MOUTH
    covered = skin()
    covered[:, 34:] = np.array([150, 190, 215], np.float32)[:, None, None]
    lips[:, top:bottom, left:right] = np.array([170, 80, 80], np.float32)[:, None, None]
    assert log_odds_covered(lips) < log_odds_covered(covered)


@given(arrays(np.float32, (3, SIDE_PX, SIDE_PX), elements=st.floats(0, 255, width=32)))
def test_every_crop_has_finite_log_odds(crop):
    assert np.isfinite(log_odds_covered(crop))


def test_landmarks_in_one_place_are_not_covered():
    assert not CoverCheck().is_covered(np.zeros((100, 100, 3), np.uint8), np.zeros((5, 2), np.float32))


def test_the_skin_lies_above_the_tip_of_the_nose():
    assert all(bottom < LANDMARKS[2][1] for _, _, _, bottom in SKIN)
