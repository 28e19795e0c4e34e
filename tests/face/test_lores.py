import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from gated.face.lores import LoresPlanes
from gated.frame import i420_from_rgb, rgb_from_i420


@given(lores=arrays(np.uint8, (24, 12)))
def test_any_i420_converts_as_in_gated_frame(lores):
    planes = LoresPlanes(lores.shape).convert(lores)
    np.testing.assert_allclose(planes.transpose(1, 2, 0), rgb_from_i420(lores), atol=1e-3)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 90, 200)])
def test_a_colour_stays_that_colour(colour):
    rgb = np.full((8, 8, 3), colour, np.uint8)
    planes = LoresPlanes((12, 8)).convert(i420_from_rgb(rgb))
    np.testing.assert_allclose(planes.mean(axis=(1, 2)), colour, atol=3)


@given(first=arrays(np.uint8, (12, 8)), second=arrays(np.uint8, (12, 8)))
def test_nothing_of_the_previous_picture_remains(first, second):
    used = LoresPlanes((12, 8))
    used.convert(first)
    np.testing.assert_array_equal(used.convert(second), LoresPlanes((12, 8)).convert(second))
