"""A face that fills the picture, or leaves it, gets no PAD score: PAD sees no surroundings that give a print away."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from gated.face.framing import MOST_SHARE, fill, is_cut_off, is_too_near
from gated.frame import Frame, i420_from_rgb, lores_size_for

SHARED = Path(__file__).parents[2].parent / "shared"
SIZE = (1280, 960)
SHARES = (0.2, 0.35, 0.5, 0.53, 0.6, 0.8, 1.1, 1.3, 1.5)
"""Shares of the picture's height that the print's face fills."""


def box(width, height, x=None, y=None, size=SIZE):
    """A box in the middle, unless given a place."""
    return ((size[0] - width) / 2 if x is None else x, (size[1] - height) / 2 if y is None else y, width, height)


@pytest.mark.parametrize(
    ("of", "is_near"),
    [
        (box(100, 130), False),
        (box(400, MOST_SHARE * 960), False),
        (box(400, MOST_SHARE * 960 + 1), True),
        (box(MOST_SHARE * 1280 + 1, 300), True),
        (box(2000, 2600), True),
        (box(100, 130, x=0.0), False),
        (box(100, 130, x=-0.5), True),
        (box(100, 130, x=1180.5), True),
        (box(100, 130, y=-1.0), True),
        (box(100, 130, y=831.0), True),
        (box(100, 130, y=830.0), False),
    ],
)
def test_a_face_that_fills_or_leaves_the_picture_is_too_near(of, is_near):
    assert is_too_near(of, SIZE) == is_near


def test_in_a_tall_picture_the_width_counts():
    wide = box(520, 600, size=(960, 1280))
    assert is_too_near(wide, (960, 1280))
    assert not is_too_near(box(500, 600, size=(960, 1280)), (960, 1280))


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_nan_is_too_near(place, odd):
    numbers = list(box(100, 130))
    numbers[place] = odd
    assert is_too_near(tuple(numbers), SIZE)
    assert is_cut_off(tuple(numbers), SIZE)


@pytest.mark.parametrize("of", [box(0, 130), box(100, 0), (300.0, 300.0, -100.0, 130.0), (300.0, 300.0, 100.0, -130.0)])
def test_a_box_without_an_inside_is_not_judged(of):
    assert is_too_near(of, SIZE)
    assert is_cut_off(of, SIZE)


def test_fill_is_relative_to_the_largest_share():
    assert fill(box(100, MOST_SHARE * 960), SIZE) == pytest.approx(1.0)
    assert fill(box(MOST_SHARE * 2 * 1280, 100), SIZE) == pytest.approx(2.0)


@pytest.fixture(scope="module")
def held_up(real_pipeline):
    """Return the observation of a picture that is held up so that its face fills a share of the view's height."""
    loaded = {}

    def load(name):
        with Image.open(SHARED / "faces" / f"{name}.jpg") as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
        return upright, real_pipeline.analyse_photo(_frame(upright)).observations[0].box

    def show(name, share, turn_deg=0.0, size=SIZE, at=(0.5, 0.5), *, for_enrolment=False):
        if name not in loaded:
            loaded[name] = load(name)
        upright, (x, y, width, height) = loaded[name]
        scale = share * size[1] / height
        print_ = upright.resize((round(upright.width * scale), round(upright.height * scale)))
        view = Image.new("RGB", size, (110, 120, 105))
        middle = (x + width / 2) * scale, (y + height / 2) * scale
        view.paste(print_, (round(at[0] * size[0] - middle[0]), round(at[1] * size[1] - middle[1])))
        turned = view.rotate(turn_deg, Image.Resampling.BICUBIC)
        return real_pipeline.analyse_photo(_frame(turned), for_enrolment).observations

    return show


def _frame(picture):
    small = picture.resize(lores_size_for(*picture.size), Image.Resampling.BOX)
    return Frame(np.asarray(picture), i420_from_rgb(np.asarray(small)), 0.0, 0)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real models beside the project")
class TestPrint:
    @pytest.mark.parametrize("share", SHARES)
    def test_is_bona_fide_at_no_distance(self, held_up, real_pipeline, share):
        bound = real_pipeline.model_set.pad_threshold
        for turn_deg, at in ((0, (0.5, 0.5)), (-8, (0.55, 0.45))):
            for seen in held_up("pad_attack", share, turn_deg, at=at):
                assert seen.problem is not None or seen.pad_score < bound

    @pytest.mark.parametrize(
        ("share", "size"), [(0.6, SIZE), (0.65, SIZE), (1.0, (640, 480)), (1.3, SIZE), (1.4, (960, 1280))]
    )
    def test_held_close_gets_no_pad_score(self, held_up, share, size):
        for seen in held_up("pad_attack", share, size=size):
            assert seen.problem in {"too_near", "background"}
            assert seen.pad_score is None
            assert seen.embedding is None


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real models beside the project")
class TestLiveFace:
    @pytest.mark.parametrize("share", [0.35, 0.45, 0.5])
    def test_at_a_gates_distance_gets_a_pad_score(self, held_up, real_pipeline, share):
        seen = held_up("pad_bona_fide", share)[0]
        assert seen.problem is None
        assert seen.pad_score >= real_pipeline.model_set.pad_threshold

    @pytest.mark.parametrize("share", [0.56, 0.8])
    def test_held_close_is_too_near(self, held_up, share):
        assert held_up("pad_bona_fide", share)[0].problem == "too_near"

    def test_enrolment_accepts_a_full_portrait_but_not_a_cut_off_one(self, held_up):
        assert held_up("pad_bona_fide", 0.75, for_enrolment=True)[0].problem is None
        assert held_up("pad_bona_fide", 0.75, at=(0.5, 0.2), for_enrolment=True)[0].problem == "too_near"
