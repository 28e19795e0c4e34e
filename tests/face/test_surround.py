"""A picture of a street with a face in it that is real, on paper, or under an umbrella."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.face.surround import BLOCKS, REGION, Moved, compare

SIZE = (240, 320)
STREET = np.random.default_rng(1).integers(40, 200, (60, 80)).repeat(4, 0).repeat(4, 1).astype(np.float32)
PAPER = np.random.default_rng(2).integers(40, 200, (60, 60)).astype(np.float32)


def view(place, covers=lambda x, y: (np.abs(x) < 0.6) & (y > -0.8)):
    """Return the street with a structure that moves with the face, where `covers` (x, y in sizes of the face)."""
    centre_x, centre_y, size = place
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    x, y = (x - centre_x) / size, (y - centre_y) / size
    row, column = (np.clip(((v + 3) * 10), 0, 59).astype(int) for v in (y, x))
    return np.where(covers(x, y), PAPER[row, column], STREET).astype(np.uint8)


def paper(x, y):
    return (np.abs(x) < 1.4) & (y > -1.6)


def umbrella(x, y):
    return (np.abs(x) < 2.5) & (y < -0.7)


def headrest(x, y):
    return (np.abs(x) < 1.4) & (y > -0.6)


BEFORE, AFTER = (150.0, 120.0, 40.0), (158.0, 122.0, 46.0)


def test_behind_a_head_the_street_stays():
    moved = compare(view(BEFORE), BEFORE, view(AFTER), AFTER)
    assert sum(moved.along) == 0
    assert min(moved.stayed) >= 4


def test_paper_moves_along_on_all_sides():
    moved = compare(view(BEFORE, paper), BEFORE, view(AFTER, paper), AFTER)
    assert sum(moved.stayed) == 0
    assert min(moved.along) >= 4


@pytest.mark.parametrize(("thing", "staying"), [(umbrella, (0, 1)), (headrest, (2,))])
def test_an_object_beside_a_real_face_leaves_a_side_with_the_street(thing, staying):
    moved = compare(view(BEFORE, thing), BEFORE, view(AFTER, thing), AFTER)
    assert sum(moved.along) > 0
    for region in staying:
        assert moved.along[region] == 0
        assert moved.stayed[region] >= 4


def test_a_still_picture_tells_nothing():
    assert compare(view(BEFORE), BEFORE, view(BEFORE), BEFORE) == Moved()


def test_a_wall_without_structure_tells_nothing():
    wall = np.full(SIZE, 128, np.uint8)
    noisy = wall + np.random.default_rng(0).integers(0, 3, SIZE).astype(np.uint8)
    assert compare(wall, BEFORE, noisy, AFTER) == Moved()


def test_a_change_of_the_light_is_no_movement():
    brighter = np.clip(view(AFTER).astype(int) + 25, 0, 255).astype(np.uint8)
    assert sum(compare(view(BEFORE), BEFORE, brighter, AFTER).along) == 0


def test_each_region_has_blocks_on_its_side():
    left, right, above = (BLOCKS[np.flatnonzero(i == REGION)] for i in range(3))
    assert (left[:, 0] < 0).all()
    assert (right[:, 0] > 0).all()
    assert (above[:, 1] < -1).all()


@settings(max_examples=200)
@given(
    places=st.tuples(*[st.tuples(st.floats(-500, 900), st.floats(-500, 900), st.floats(8, 2000))] * 2),
    seed=st.integers(0, 5),
)
def test_no_place_of_a_face_fails(places, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 256, (2, 60, 80)).astype(np.uint8)
    moved = compare(one, places[0], other, places[1])
    assert all(0 <= a + s <= len(BLOCKS) for a, s in zip(moved.along, moved.stayed, strict=True))


def test_sums_are_by_region():
    assert Moved((1, 2, 3), (4, 5, 6)) + Moved((1, 1, 1), (2, 2, 2)) == Moved((2, 3, 4), (6, 7, 8))
