import cmath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.align import Similarity, aligned, similarity
from gated.face.sample import Sampler

TEMPLATE = [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]


def moved(points, face: Similarity) -> np.ndarray:
    z = np.array(points) @ (1, 1j) * face.turn + face.shift
    return np.stack([z.real, z.imag], axis=1).astype(np.float32)


@given(scale=st.floats(0.05, 20), angle=st.floats(-3.1, 3.1), x=st.floats(-2000, 2000), y=st.floats(-2000, 2000))
def test_the_similarity_is_recovered_from_moved_landmarks(scale, angle, x, y):
    where = Similarity(cmath.rect(scale, angle), complex(x, y))
    found = similarity(moved(TEMPLATE, where), TEMPLATE)
    assert found is not None
    assert found.turn == pytest.approx(where.inverse.turn, rel=1e-2, abs=1e-4)
    back = moved(moved(TEMPLATE, where), found)
    np.testing.assert_allclose(back, TEMPLATE, atol=0.02 * max(1, 1 / scale))


@given(points=st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=5, max_size=5))
def test_no_nearby_map_has_a_smaller_error(points):
    points = np.array(points, np.float32)
    found = similarity(points, TEMPLATE)
    if found is None:
        return

    def far(face):
        return ((moved(points, face) - TEMPLATE) ** 2).sum()

    for turn, shift in ((1.01, 0), (cmath.rect(1, 0.01), 0), (1, 0.1), (1, 0.1j)):
        assert far(found) <= far(Similarity(found.turn * turn, found.shift + shift)) + 0.05


@pytest.mark.parametrize("odd", [0.0, float("nan"), float("inf"), -float("inf"), 1e30])
def test_points_that_cannot_be_a_face_have_no_similarity(odd):
    assert similarity(np.full((5, 2), odd, np.float32), TEMPLATE) is None


def test_one_nan_landmark_gives_no_similarity():
    points = np.array(TEMPLATE, np.float32)
    points[3, 1] = np.nan
    assert similarity(points, TEMPLATE) is None


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (2.5, 0.4), (0.7, -1.2)])
def test_the_aligned_crop_has_its_landmarks_at_the_template(scale, angle):
    where = Similarity(cmath.rect(scale, angle), 300 + 200j)
    points = moved(TEMPLATE, where)
    row, column = np.mgrid[:600, :600]
    for (x, y), (at_x, at_y) in zip(points, TEMPLATE, strict=True):
        spot = (255 * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * (4 * scale) ** 2))).astype(np.uint8)
        crop = aligned(np.repeat(spot[..., None], 3, axis=2), similarity(points, TEMPLATE), Sampler((112, 112)))[0]
        brightest = np.unravel_index(crop.argmax(), crop.shape)
        assert brightest == pytest.approx((at_y, at_x), abs=1.5)
