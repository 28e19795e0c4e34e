import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gated.face.sample import Sampler, nearest

PICTURE = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)


def slow(picture, x, y):
    """Compute bilinear values by the definition, one point at a time."""
    height, width = picture.shape[:2]
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = math.floor(x), math.floor(y)
    right, below = min(left + 1, width - 1), min(top + 1, height - 1)
    p = picture.astype(float)
    upper = p[top, left] * (1 - (x - left)) + p[top, right] * (x - left)
    lower = p[below, left] * (1 - (x - left)) + p[below, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def test_the_whole_picture_at_its_own_size_is_unchanged():
    planes = Sampler((80, 60)).box(PICTURE, (0, 0, 80, 60))
    np.testing.assert_array_equal(planes.transpose(1, 2, 0), PICTURE)


def test_shrinking_agrees_with_another_implementation():
    smooth = np.asarray(Image.fromarray(PICTURE).resize((320, 240), Image.Resampling.BICUBIC))
    ours = Sampler((80, 80)).box(smooth, (0, 0, 320, 240)).transpose(1, 2, 0)
    step = Image.Transform.AFFINE
    theirs = Image.fromarray(smooth).transform((80, 80), step, (4, 0, 0, 0, 3, 0), Image.Resampling.BILINEAR)
    assert np.abs(ours - np.asarray(theirs, float))[1:-1, 1:-1].max() <= 1


@settings(max_examples=50)
@given(
    turn=st.complex_numbers(max_magnitude=30, allow_nan=False),
    shift=st.complex_numbers(max_magnitude=300, allow_nan=False),
)
def test_crops_are_bilinear_inside_and_repeat_the_border_outside(turn, shift):
    planes = Sampler((7, 5)).turned(PICTURE, turn, shift)
    for row, column in ((0, 0), (4, 6), (2, 3)):
        at = turn * complex(column, row) + shift
        np.testing.assert_allclose(planes[:, row, column], slow(PICTURE, at.real, at.imag), atol=0.2)


@pytest.mark.parametrize("box", [(-500, -500, 10, 10), (1e4, 1e4, 50, 50), (-1e4, -1e4, 2e4, 2e4)])
def test_a_box_outside_the_picture_shows_its_border(box):
    planes = Sampler((4, 4)).box(PICTURE, box)
    assert np.isfinite(planes).all()
    assert 0 <= planes.min() <= planes.max() <= 255


def test_a_picture_with_padded_rows_is_read_correctly():
    padded = np.zeros((60, 96, 3), np.uint8)
    padded[:, :80] = PICTURE
    np.testing.assert_array_equal(Sampler((80, 60)).box(padded[:, :80], (0, 0, 80, 60)).transpose(1, 2, 0), PICTURE)


def test_the_nearest_pixels_are_pixels_of_the_picture():
    np.testing.assert_array_equal(nearest(PICTURE, (0, 0, 80, 60), (80, 60)).transpose(1, 2, 0), PICTURE)
    np.testing.assert_array_equal(nearest(PICTURE, (0, 0, 80, 60), (40, 30)).transpose(1, 2, 0), PICTURE[1::2, 1::2])


def test_the_nearest_pixel_outside_is_the_border():
    planes = nearest(PICTURE, (-20, -20, 10, 10), (3, 3))
    assert (planes == PICTURE[0, 0][:, None, None]).all()
