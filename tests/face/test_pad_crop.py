import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.pad_crop import MOST_SAMPLES, crop_box, reflected_crop, seen_scale

FRAME = (1280, 960)


def test_the_crop_is_the_box_grown_around_its_middle():
    assert crop_box((600, 400, 100, 120), 2.0, FRAME) == (550, 340, 200, 240)


def test_a_crop_at_the_border_is_shifted_not_cut():
    assert crop_box((0, 0, 100, 100), 2.0, FRAME) == (0, 0, 200, 200)
    assert crop_box((1180, 860, 100, 100), 2.0, FRAME) == (1080, 760, 200, 200)


def test_a_large_face_gets_a_smaller_crop_scale():
    left, top, width, height = crop_box((300, 100, 400, 600), 4.0, FRAME)
    assert (top, height) == (0, 960)
    assert width == pytest.approx(640)
    assert left == pytest.approx(180)


@given(
    box=st.tuples(st.floats(-500, 1500), st.floats(-500, 1500), st.floats(2, 3000), st.floats(2, 3000)),
    scale=st.floats(1, 10),
)
def test_the_crop_lies_in_the_frame_and_keeps_its_shape(box, scale):
    x, y, width, height = crop_box(box, scale, FRAME)
    assert x >= -1e-6
    assert y >= -1e-6
    assert x + width <= FRAME[0] + 1e-6
    assert y + height <= FRAME[1] + 1e-6
    assert width / height == pytest.approx(box[2] / box[3])


def test_the_seen_scale_is_limited_by_the_frame():
    assert seen_scale((600, 400, 100, 120), 2.7, FRAME) == 2.7
    assert seen_scale((300, 100, 400, 600), 4.0, FRAME) == pytest.approx(1.6)


def coded(height=90, width=120):
    """Return a picture with a different colour at each place."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, (rows * 7 + columns * 3) % 256], -1).astype(np.uint8)


def test_a_reflected_crop_inside_the_picture_is_a_part_of_it():
    picture = coded()
    assert (reflected_crop(picture, (40, 30, 20, 24), 2.0, 128) == picture[18:66, 26:74]).all()


@pytest.mark.parametrize("place", [(0, 0), (100, 0), (0, 66), (100, 66)])
def test_the_border_is_mirrored_without_repeating_its_pixels(place):
    picture = coded()
    crop = reflected_crop(picture, (*place, 20, 24), 2.0, 128)
    padded = np.pad(picture, ((24, 24), (24, 24), (0, 0)), mode="reflect")
    left, top = place[0] + 10, place[1] + 12
    assert (crop == padded[top : top + 48, left : left + 48]).all()


def test_a_large_square_is_shrunk_by_means():
    picture = np.zeros((512, 512, 3), np.uint8)
    picture[:, 1::2] = 200
    crop = reflected_crop(picture, (128, 128, 128, 128), 2.0, 128)
    assert crop.shape == (128, 128, 3)
    assert (crop == 100).all()


@given(
    box=st.tuples(st.floats(-200, 300), st.floats(-200, 300), st.floats(1, 2000), st.floats(1, 2000)),
    scale=st.floats(1, 10),
)
def test_a_reflected_crop_is_square_and_small(box, scale):
    crop = reflected_crop(coded(), box, scale, 16)
    assert crop.shape[0] == crop.shape[1] <= max(32, 16 * MOST_SAMPLES)
    assert crop.shape[2] == 3
