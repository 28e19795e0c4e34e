import math
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gated.config import FaceSettings
from gated.face.quality import MEAN_FACE, PICTURE_ORDER, measure, pose, problems_of
from gated.face.vision_messages import Problem, Quality

FINE = Quality(eye_px=90, sharpness=200, luminance=120, side_ratio=1, saturated=0, yaw_deg=5, pitch_deg=-5, roll_deg=2)
SETTINGS = FaceSettings()
REASONS = {
    "background", "too_small", "turned_away", "too_dark", "too_bright", "uneven_light", "blurred", "no_colour",
}  # fmt: skip
ODD = [float("nan"), float("inf"), float("-inf")]


def first_problem(*args, **options):
    """Return the first problem, or None."""
    return next(iter(problems_of(*args, **options)), None)


def seen(yaw=0.0, pitch=0.0, roll=0.0, eye_px=80.0, at=(600, 400)) -> np.ndarray:
    """Return the landmarks of the mean head, rotated by degrees, as a distant camera sees them."""
    y, p, r = (math.radians(v) for v in (yaw, pitch, roll))
    about_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    turned = MEAN_FACE @ (about_z @ about_y @ about_x).T
    return (turned[:, :2] * eye_px + at).astype(np.float32)


def crop(value=120.0):
    rng = np.random.default_rng(0)
    return np.clip(value + rng.normal(0, 10, (3, 112, 112)), 0, 255).astype(np.float32)


@given(yaw=st.floats(-60, 60), roll=st.floats(-60, 60))
def test_yaw_is_measured(yaw, roll):
    assert pose(seen(yaw=yaw, roll=roll)) == pytest.approx((yaw, 0, roll), abs=0.5)


@given(pitch=st.floats(-45, 45))
def test_pitch_is_measured(pitch):
    assert pose(seen(pitch=pitch)) == pytest.approx((0, pitch, 0), abs=0.5)


def test_a_face_turned_to_the_pictures_right_has_its_nose_there():
    assert seen(yaw=30)[2, 0] > seen()[2, 0]
    assert seen(pitch=20)[2, 1] < seen()[2, 1]  # up


@given(size=st.floats(20, 400), x=st.floats(-1000, 1000), y=st.floats(-1000, 1000))
def test_the_pose_does_not_depend_on_place_and_size(size, x, y):
    assert pose(seen(20, 0, 5, size, (x, y))) == pytest.approx(pose(seen(20, 0, 5)), abs=1)


def test_mirrored_landmarks_are_not_a_frontal_face():
    mirrored = seen()[[1, 0, 2, 4, 3]]
    assert first_problem(measure(mirrored, crop()), 1.0, SETTINGS) == "turned_away"


@pytest.mark.parametrize("odd", [*ODD, 0.0, 1e30])
def test_landmarks_in_one_place_or_nowhere_never_pass(odd):
    with np.errstate(all="ignore"):
        assert first_problem(measure(np.full((5, 2), odd, np.float32), crop()), 1.0, SETTINGS) in REASONS


def test_a_good_face_has_no_problem():
    assert first_problem(measure(seen(), crop()), 1.0, SETTINGS) is None
    assert first_problem(FINE, 1.0, SETTINGS, for_enrolment=True) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eye_px": 39.9}, "too_small"),
        ({"yaw_deg": 46}, "turned_away"),
        ({"yaw_deg": -46}, "turned_away"),
        ({"pitch_deg": 36}, "turned_away"),
        ({"pitch_deg": -36}, "turned_away"),
        ({"luminance": 39}, "too_dark"),
        ({"luminance": 231}, "too_bright"),
        ({"saturated": 0.31}, "too_bright"),
        ({"side_ratio": 4.1}, "uneven_light"),
        ({"side_ratio": 0.24}, "uneven_light"),
        ({"sharpness": 14}, "blurred"),
    ],
)
def test_each_problem_is_named(change, reason):
    assert first_problem(msgspec.structs.replace(FINE, **change), 1.0, SETTINGS) == reason


def test_a_small_face_beside_a_large_one_is_background():
    assert first_problem(FINE, 0.59, SETTINGS) == "background"
    assert first_problem(FINE, 0.61, SETTINGS) is None


def test_too_near_comes_before_the_other_problems():
    assert first_problem(FINE, 1.0, SETTINGS, is_near=True) == "too_near"
    assert (
        first_problem(msgspec.structs.replace(FINE, sharpness=1, yaw_deg=80), 1.0, SETTINGS, is_near=True) == "too_near"
    )
    assert first_problem(FINE, 0.5, SETTINGS, is_near=True) == "background"


def test_enrolment_needs_more_pixels_than_a_search():
    middling = msgspec.structs.replace(FINE, eye_px=50)
    assert first_problem(middling, 1.0, SETTINGS) is None
    assert first_problem(middling, 1.0, SETTINGS, for_enrolment=True) == "too_small"


def test_a_picture_of_a_turned_head_is_not_first_too_small():
    turned = msgspec.structs.replace(FINE, eye_px=30, yaw_deg=60, sharpness=1)
    assert problems_of(turned, 1.0, SETTINGS, for_enrolment=True) == ("turned_away", "too_small", "blurred")


def test_at_the_gate_a_distant_face_is_first_too_small():
    """Passers-by look elsewhere. The gate must neither judge nor address them."""
    assert first_problem(msgspec.structs.replace(FINE, eye_px=30, yaw_deg=60), 1.0, SETTINGS) == "too_small"


def test_a_dark_picture_is_first_too_dark_and_then_blurred():
    dark = msgspec.structs.replace(FINE, luminance=10, sharpness=1)
    assert problems_of(dark, 1.0, SETTINGS) == problems_of(dark, 1.0, SETTINGS, True) == ("too_dark", "blurred")


def test_every_problem_has_a_place_in_the_order_of_pictures():
    assert sorted(PICTURE_ORDER) == sorted(get_args(Problem))


@given(st.tuples(*(st.floats() for _ in range(4))), st.floats(), st.booleans())
def test_both_orders_name_the_same_problems(measures, relative, is_near):
    luminance, yaw, sharpness, ratio = measures
    quality = msgspec.structs.replace(FINE, luminance=luminance, yaw_deg=yaw, sharpness=sharpness, side_ratio=ratio)
    probe = problems_of(quality, relative, SETTINGS, is_near=is_near)
    picture = problems_of(quality, relative, SETTINGS, True, is_near=is_near)
    assert sorted(probe) == sorted(picture)


def test_a_tilted_head_is_no_problem():
    assert first_problem(measure(seen(roll=80), crop()), 1.0, SETTINGS) is None


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [f for f in Quality.__struct_fields__ if f != "roll_deg"])
def test_one_odd_measure_is_a_problem(name, odd):
    if (name, odd) in {("eye_px", math.inf), ("sharpness", math.inf), ("saturated", -math.inf)}:
        return  # more than enough of it is enough
    assert first_problem(msgspec.structs.replace(FINE, **{name: odd}), 1.0, SETTINGS) in REASONS


@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_an_odd_size_is_a_problem(odd):
    assert first_problem(FINE, odd, SETTINGS) == "background"


@given(arrays(np.float32, (3, 16, 16), elements=st.floats(0, 255, width=32)))
def test_any_crop_can_be_measured(planes):
    quality = measure(seen(), planes)
    assert all(math.isfinite(getattr(quality, name)) for name in Quality.__struct_fields__ if name != "colour")
    assert 0 <= quality.saturated <= 1
    assert quality.sharpness >= -0.1


def test_light_from_one_side_changes_the_side_ratio():
    planes = crop(100)
    planes[:, :, :56] /= 5
    assert measure(seen(), planes).side_ratio == pytest.approx(0.2, abs=0.02)


def test_blur_lowers_the_sharpness():
    sharp = crop()
    blurred = (sharp + np.roll(sharp, 1, 1) + np.roll(sharp, 1, 2) + np.roll(sharp, (1, 1), (1, 2))) / 4
    assert measure(seen(), blurred).sharpness < measure(seen(), sharp).sharpness / 4


def test_nothing_measures_the_eyes_or_the_expression():
    words = " ".join((*Quality.__struct_fields__, *FaceSettings.__struct_fields__, *REASONS))
    for banned in ("open", "blink", "gaze", "look", "smile", "expression", "glasses", "mask", "mouth"):
        assert banned not in words
