"""A sprite shows a whole person, at the right size, with landmarks on the face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gated.simulator.figure import figure, level_of
from gated.simulator.identity import identity
from gated.simulator.render import Sprite, render
from gated.simulator.view import Light, View

SHARED = Path(__file__).parents[3] / "shared"
PERSON = identity(3)


def around(sprite: Sprite, point: np.ndarray, radius: int = 4) -> np.ndarray:
    """Return the mean colour around a landmark."""
    x, y = point.astype(int)
    return sprite.rgb[y - radius : y + radius + 1, x - radius : x + radius + 1].reshape(-1, 3).mean(0)


def test_the_same_view_gives_the_same_picture():
    one = render(PERSON, View(yaw=10), 100)
    figure.cache_clear()
    other = render(PERSON, View(yaw=10), 100)
    assert np.array_equal(one.rgb, other.rgb)
    assert np.array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("face_px", [30, 64, 110, 200, 400])
def test_the_face_has_the_requested_size(face_px):
    sprite = render(PERSON, View(), face_px)
    assert sprite.box[3] == pytest.approx(face_px, rel=0.02)
    assert 0.5 < sprite.box[2] / sprite.box[3] < 1.2


@pytest.mark.parametrize("seed", range(6))
def test_a_sprite_has_the_documented_shapes(seed):
    sprite = render(identity(seed), View(yaw=15, pitch=-5, roll=4), 90)
    height, width = sprite.alpha.shape
    assert sprite.rgb.shape == (height, width, 3)
    assert sprite.rgb.dtype == sprite.alpha.dtype == np.uint8
    assert sprite.landmarks.shape == (5, 2)
    assert sprite.landmarks.dtype == np.float32
    x, y, w, h = sprite.box
    assert 0 <= x < x + w <= width
    assert 0 <= y < y + h <= height


@pytest.mark.parametrize("seed", range(6))
def test_landmarks_are_in_the_order_of_the_detector(seed):
    right, left, nose, mouth_right, mouth_left = render(identity(seed), View(), 120).landmarks
    assert right[0] < nose[0] < left[0], "the person's right is the picture's left"
    assert mouth_right[0] < nose[0] < mouth_left[0]
    assert right[1] < nose[1] < mouth_right[1]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("face_px", [60, 150, 420])
def test_no_background_shows_through_a_face(seed, face_px):
    sprite = render(identity(seed), View(yaw=20, smile=0.5), face_px)
    x, y, w, h = (int(v) for v in sprite.box)
    inside = sprite.alpha[y + h // 4 : y + 2 * h // 3, x + 2 * w // 5 : x + 3 * w // 4]
    assert inside.min() > 250


def test_corners_are_transparent():
    alpha = render(PERSON, View(), 100).alpha
    assert alpha[0, 0] == alpha[0, -1] == 0


def test_a_head_turns_to_the_picture_s_right():
    def nose(yaw: float) -> float:
        sprite = render(PERSON, View(yaw=yaw), 120)
        return float(sprite.landmarks[2, 0] - sprite.landmarks[:2, 0].mean())

    assert nose(-25) < nose(0) - 5 < nose(0) + 5 < nose(25)


def test_looking_up_raises_the_nose_and_a_roll_lowers_the_eye_it_tips_to():
    level, up, tipped = (render(PERSON, v, 120).landmarks for v in (View(), View(pitch=20), View(roll=15)))
    assert up[2, 1] - up[:2, 1].mean() < level[2, 1] - level[:2, 1].mean() - 5
    assert tipped[1, 1] > tipped[0, 1] + 5


def test_a_smile_widens_the_mouth_and_an_open_mouth_is_dark_inside():
    calm, smiling, open_ = (render(PERSON, v, 200) for v in (View(), View(smile=1), View(mouth_open=1)))
    assert np.ptp(smiling.landmarks[3:, 0]) > np.ptp(calm.landmarks[3:, 0]) + 2
    lower = open_.landmarks[3:].mean(0) + np.array((0, 12))
    assert around(open_, lower).mean() < 0.6 * around(calm, calm.landmarks[3:].mean(0) + np.array((0, 25))).mean()


def test_closed_eyes_show_no_eyeball():
    person = replace(PERSON, tone=0.6, eye_height=0.06, eye_width=0.15)
    opened, closed = (render(person, View(eyes_closed=shut), 200) for shut in (False, True))
    for eye in (0, 1):
        x, y = opened.landmarks[eye].astype(int)
        window = np.s_[y - 10 : y + 11, x - 16 : x + 17]
        assert np.percentile(opened.rgb[window].min(-1), 98) > np.percentile(closed.rgb[window].min(-1), 98) + 25


def test_dark_glasses_hide_the_eyes_and_clear_ones_do_not():
    plain, clear, dark = (render(PERSON, View(glasses=kind), 200) for kind in ("none", "clear", "dark"))
    for eye in (0, 1):
        assert around(dark, dark.landmarks[eye], 8).mean() < 45
        difference = around(clear, clear.landmarks[eye], 3) - around(plain, plain.landmarks[eye], 3)
        assert np.abs(difference).max() < 25
    assert not np.array_equal(plain.rgb, clear.rgb)


def test_a_mask_covers_mouth_and_nose():
    for seed in range(8):
        bare, masked = (render(identity(seed), View(mask=mask, yaw=10), 120) for mask in (False, True))
        for mark in (2, 3, 4):
            at = masked.landmarks[mark]
            assert np.abs(around(masked, at, 3) - around(bare, at, 3)).max() > 8, (seed, mark)


def test_a_hat_covers_the_crown_and_leaves_the_eyes():
    bare, hat = (render(PERSON, View(hat=worn), 120) for worn in (False, True))
    assert np.abs(around(hat, hat.landmarks[0], 2) - around(bare, bare.landmarks[0], 2)).max() < 60
    assert not np.array_equal(bare.alpha.shape, hat.alpha.shape)


def test_accessories_move_no_landmark():
    """Relative to each other: a hat makes the sprite larger, and nothing else."""
    bare = render(PERSON, View(), 120).landmarks
    worn = render(PERSON, View(glasses="dark", mask=True, hat=True, eyes_closed=True), 120).landmarks
    assert worn - worn[0] == pytest.approx(bare - bare[0], abs=1e-3)


def test_light_has_a_direction_a_strength_and_a_colour():
    def face(light: Light) -> np.ndarray:
        sprite = render(PERSON, View(light=light), 120)
        x, y, w, h = (int(v) for v in sprite.box)
        return sprite.rgb[y + h // 3 : y + h, x : x + w].astype(float)

    left = face(Light((-1, 0.2, 0.5), 0.3))
    middle = left.shape[1] // 2
    assert left[:, :middle].mean() > 1.15 * left[:, middle:].mean()
    assert face(Light(exposure=1.4)).mean() > 1.1 * face(Light()).mean() > 1.2 * face(Light(exposure=0.6)).mean()
    warm, cold = (face(Light(warmth=w)).mean((0, 1)) for w in (1.0, -1.0))
    assert warm[0] / warm[2] > 1.15 * cold[0] / cold[2]


def test_a_nose_casts_a_shadow():
    lit, shaded = (render(PERSON, View(light=Light((side, 0.1, 0.35), 0.25)), 200) for side in (1, -1))
    beside = lit.landmarks[2] + (0.5 * (lit.landmarks[4, 0] - lit.landmarks[2, 0]), -6)
    assert around(lit, beside).mean() > 1.3 * around(shaded, beside).mean()


@pytest.mark.parametrize("yaw", [-180, -90, 90, 180])
def test_a_head_can_turn_away(yaw):
    sprite = render(PERSON, View(yaw=yaw), 80)
    assert sprite.alpha.max() == 255


def test_larger_faces_use_the_finest_level():
    assert level_of(5000) == level_of(400)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real models beside the project")
def test_a_real_detector_finds_the_face_and_its_landmarks():
    from gated.config import FaceSettings, ModelSettings
    from gated.face.pipeline import load_pipeline
    from gated.frame import Frame, i420_from_rgb

    pipeline = load_pipeline(ModelSettings(dir=str(SHARED / "models")), FaceSettings())
    for seed in range(6):
        sprite = render(identity(seed), View(yaw=8), 200)
        main, left, top = np.full((720, 960, 3), 140, np.uint8), 300, 150
        height, width = (min(a, b) for a, b in zip(sprite.alpha.shape, (720 - top, 960 - left), strict=True))
        alpha = sprite.alpha[:height, :width, None] / 255
        window = main[top : top + height, left : left + width]
        window[:] = window * (1 - alpha) + sprite.rgb[:height, :width] * alpha
        lores = main.reshape(240, 3, 320, 3, 3).mean((1, 3)).astype(np.uint8)
        (face, *_) = pipeline.detect(Frame(main, i420_from_rgb(lores), 0.0, 0))
        truth = sprite.landmarks + np.array((left, top))
        eyes = float(np.linalg.norm(truth[1] - truth[0]))
        error = np.linalg.norm(face.landmarks - truth, axis=1) / eyes
        assert face.score > 0.7
        assert error.mean() < 0.25, (seed, error)
