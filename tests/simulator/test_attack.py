"""A print and a screen look like real ones, and still show the face."""

import numpy as np
import pytest

from gated.simulator.attack import TALL_TABLET, cut_out, phone, printed
from gated.simulator.identity import identity
from gated.simulator.render import render
from gated.simulator.view import View

FACE = render(identity(31), View(), 140)
KINDS = {
    "print": lambda rng, **more: printed(FACE, None, rng, **more),
    "phone": lambda rng, **more: phone(FACE, rng, **more),
    "tablet": lambda rng, **more: phone(FACE, rng, tall=TALL_TABLET, **more),
    "bent print": lambda rng, **more: printed(FACE, None, rng, bent=0.25, **more),
    "cut print": lambda rng, **more: cut_out(FACE, rng, **more),
}
each = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@each
def test_the_same_seed_gives_the_same_attack(make):
    one, other = make(np.random.default_rng(5)), make(np.random.default_rng(5))
    assert np.array_equal(one.rgb, other.rgb)
    assert np.array_equal(one.landmarks, other.landmarks)


@each
@pytest.mark.parametrize("seed", range(5))
def test_the_face_keeps_its_size_and_lies_on_the_sheet(make, seed):
    shown = make(np.random.default_rng(seed))
    height, width = shown.alpha.shape
    assert shown.box[3] == pytest.approx(FACE.box[3], rel=0.25)
    for x, y in shown.landmarks.astype(int):
        assert 0 <= x < width
        assert 0 <= y < height
        assert shown.alpha[y, x] == 255


@each
@pytest.mark.parametrize("seed", range(5))
def test_the_landmarks_lie_on_the_face_in_the_attack(make, seed):
    """Each eye and the mouth have the same pattern of dark and light around them as on the shown face."""
    shown = make(np.random.default_rng(seed), tilt=3.0)
    grey = [s.rgb.mean(-1) for s in (FACE, shown)]
    patches = []
    for picture, marks in zip(grey, (FACE.landmarks, shown.landmarks), strict=True):
        (x0, y0), (x1, y1) = marks.min(0) - 14, marks.max(0) + 10
        xs = np.linspace(x0, x1, 40).astype(int)
        ys = np.linspace(y0, y1, 40).astype(int)
        patches.append(picture[ys][:, xs])
    assert np.corrcoef(patches[0].ravel(), patches[1].ravel())[0, 1] > 0.6


def test_without_a_tilt_a_print_keeps_the_angles_of_the_face():
    shown = printed(FACE, None, np.random.default_rng(1), tilt=0.0)
    for a, b in ((0, 1), (0, 3), (2, 4)):
        before, after = FACE.landmarks[b] - FACE.landmarks[a], shown.landmarks[b] - shown.landmarks[a]
        assert after == pytest.approx(before, abs=3)


def test_a_print_has_a_white_edge_and_dull_colours():
    shown = printed(FACE, np.full((4, 4, 3), (200, 30, 30), np.uint8), np.random.default_rng(2), tilt=0.0)
    solid = shown.alpha == 255
    columns = np.flatnonzero(solid[: solid.shape[0] // 3].any(0))
    edge = shown.rgb[30 : solid.shape[0] // 3, columns[0] + 3]
    assert edge.mean() > 120
    assert np.ptp(edge.mean(0)) < 40, "paper has no colour"
    assert shown.rgb[solid].max() < 255 or shown.rgb[solid].min() > 5


def test_a_print_shows_the_given_background():
    red, blue = (np.full((6, 5, 3), c, np.uint8) for c in ((220, 20, 20), (20, 20, 220)))
    first, second = (printed(FACE, ground, np.random.default_rng(3)) for ground in (red, blue))
    assert first.rgb[..., 0].mean() > second.rgb[..., 0].mean() + 10


def test_a_phone_has_a_frame_and_a_pixel_grid():
    shown = phone(FACE, np.random.default_rng(4), tilt=0.0)
    x, y = shown.landmarks[2].astype(int)
    wall = shown.rgb[y - 110 : y - 90, x - 40 : x - 20].astype(float).mean(-1)
    assert np.abs(np.diff(wall, n=2, axis=0)).mean() > 2, "a plain wall is smooth, its picture on a screen is not"
    rows = np.flatnonzero(shown.alpha[:, x] == 255)
    frame = shown.rgb[rows[3] : rows[6], x].astype(float)
    assert np.ptp(frame.mean(0)) < 15, "the frame is grey"


@each
def test_a_hand_holds_the_sheet(make):
    shown = make(np.random.default_rng(6))
    assert shown.alpha[-2].max() == 255, "the arm reaches the lower edge"


@each
def test_a_swing_turns_the_held_picture(make):
    still, swung = (make(np.random.default_rng(5), swing=swing) for swing in ((0, 0, 0), (0, 0, 12)))
    (x0, y0), (x1, y1) = (shown.landmarks[1] - shown.landmarks[0] for shown in (still, swung))
    assert abs(np.degrees(np.arctan2(y1, x1) - np.arctan2(y0, x0))) == pytest.approx(12, abs=3)


def test_a_cut_out_print_has_no_paper_beside_the_head():
    shown = cut_out(FACE, np.random.default_rng(5), tilt=0.0)
    x, y, w, h = (round(v) for v in shown.box)
    assert shown.alpha[y + h // 2, x + w + w // 2] == 0
    assert printed(FACE, None, np.random.default_rng(5), tilt=0.0).alpha[y + h // 2, x + w] == 255
