"""A monochrome camera is found by its pictures. A colour camera in the dark or before a grey wall is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from gated.config import FaceSettings, ModelSettings
from gated.face.colour import COLOUR, NO_COLOUR, colour_of
from gated.face.pipeline import load_pipeline
from gated.face.quality import problems_of
from gated.face.vision_messages import Quality
from gated.frame import Frame, i420_from_rgb, lores_size_for

GREY_OF = np.array([0.299, 0.587, 0.114])
PEOPLE = ("biden_1", "biden_2", "obama_1", "obama_2", "obama_and_biden", "stranger_1")
PICTURES = (*PEOPLE, "pad_attack", "pad_bona_fide")


def frame_of(rgb, noise=0.0):
    """Return a picture as a frame, with this much noise of the sensor."""
    image = Image.fromarray(rgb)
    lores = np.asarray(image.resize(lores_size_for(*image.size), Image.Resampling.BILINEAR)).astype(np.float32)
    lores = np.clip(lores + np.random.default_rng(0).normal(0, noise, lores.shape), 0, 255).astype(np.uint8)
    return Frame(rgb, i420_from_rgb(lores), 0.0, 0)


def in_grey(rgb, tint=(1.0, 1.0, 1.0), light=1.0):
    return np.clip((rgb @ GREY_OF)[..., None] * np.array(tint) * light, 0, 255).astype(np.uint8)


def of_saturation(rgb, share, light=1.0):
    """Return a picture with this share of its saturation and of its light."""
    return np.clip((rgb * share + in_grey(rgb) * (1.0 - share)) * light, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photographs(shared):
    return {name: np.asarray(Image.open(shared / "faces" / f"{name}.jpg").convert("RGB")) for name in PICTURES}


@pytest.mark.parametrize("name", PICTURES)
class TestPhotographs:
    @pytest.mark.parametrize("light", [1.0, 0.5, 0.25])
    @pytest.mark.parametrize("noise", [0.0, 10.0])
    def test_have_colour_by_day_and_in_the_dark(self, photographs, name, light, noise):
        picture = of_saturation(photographs[name], 1.0, light)
        assert colour_of(frame_of(picture, noise * light)) >= COLOUR

    def test_have_colour_at_night_with_half_the_saturation(self, photographs, name):
        assert colour_of(frame_of(of_saturation(photographs[name], 0.5, 0.25), 4.0)) >= NO_COLOUR

    @pytest.mark.parametrize("light", [1.0, 0.3])
    @pytest.mark.parametrize("noise", [0.0, 10.0])
    def test_have_no_colour_when_grey(self, photographs, name, light, noise):
        assert colour_of(frame_of(in_grey(photographs[name], light=light), noise * light)) < NO_COLOUR

    @pytest.mark.parametrize(
        "tint", [(1.1, 0.95, 1.08), (1.3, 0.8, 1.25), (0.9, 1.1, 0.8)], ids=["pink", "purple", "green"]
    )
    def test_have_no_colour_in_infra_red_light(self, photographs, name, tint):
        assert colour_of(frame_of(in_grey(photographs[name], tint), 3.0)) < NO_COLOUR


def test_too_little_light_gives_no_value():
    assert colour_of(frame_of(np.full((480, 640, 3), 5, np.uint8))) is None
    assert colour_of(frame_of(np.full((480, 640, 3), 255, np.uint8))) is None


@pytest.mark.parametrize("colour", [(90, 90, 90), (200, 100, 50)])
def test_a_flat_picture_gives_no_value(colour):
    assert colour_of(frame_of(np.full((480, 640, 3), colour, np.uint8))) is None


def test_one_strong_colour_everywhere_is_not_a_tint():
    picture = np.linspace((60, 30, 15), (200, 100, 50), 480 * 640).reshape(480, 640, 3).astype(np.uint8)
    assert colour_of(frame_of(picture)) >= COLOUR


@given(st.integers(2, 60), st.integers(1, 40), st.integers(0, 255))
def test_pictures_of_every_size_are_measured(half_width, quarter_height, level):
    rgb = np.full((4 * quarter_height, 2 * half_width, 3), level, np.uint8)
    colour = colour_of(Frame(rgb, i420_from_rgb(rgb), 0.0, 0), (0.0, 0.0, 10.0, 10.0))
    assert colour is None or colour == pytest.approx(0, abs=0.01)


FINE = Quality(eye_px=90, sharpness=200, luminance=120, side_ratio=1, saturated=0, yaw_deg=5, pitch_deg=-5, roll_deg=2)


@pytest.mark.parametrize(
    ("colour", "problem"),
    [(None, None), (0.5, None), (NO_COLOUR, None), (0.02, "no_colour"), (float("nan"), "no_colour")],
)
def test_a_face_without_colour_is_not_searched_for(colour, problem):
    assert problems_of(replace(FINE, colour=colour), 1.0, FaceSettings())[:1] == (() if problem is None else (problem,))


@pytest.fixture(scope="module")
def evaluation(shared):
    return load_pipeline(ModelSettings(dir=str(shared / "models"), set="evaluation"), FaceSettings())


class TestFaces:
    def largest(self, pipeline, rgb):
        return pipeline.analyse_photo(frame_of(rgb)).observations[0]

    @pytest.mark.parametrize("name", PEOPLE)
    def test_grey_bona_fide_ones_have_no_colour_and_no_pad_score(self, evaluation, photographs, name):
        seen = self.largest(evaluation, in_grey(photographs[name]))
        assert (seen.problem, seen.pad_score, seen.embedding) == ("no_colour", None, None)

    @pytest.mark.parametrize("name", PEOPLE)
    def test_in_colour_get_a_pad_score(self, evaluation, photographs, name):
        seen = self.largest(evaluation, photographs[name])
        assert seen.problem is None
        assert seen.pad_score > evaluation.model_set.pad_threshold

    @pytest.mark.parametrize("name", PEOPLE)
    def test_a_coloured_one_in_a_grey_street_gets_a_pad_score(self, evaluation, photographs, name):
        rgb = photographs[name]
        x, y, width, height = (round(each) for each in self.largest(evaluation, rgb).box)
        street = np.full((rgb.shape[0] * 2, rgb.shape[1] * 2, 3), 128, np.uint8)
        street[: rgb.shape[0], : rgb.shape[1]] = in_grey(rgb)
        inside = slice(max(0, y), y + height), slice(max(0, x), x + width)
        street[inside] = rgb[inside]
        assert colour_of(frame_of(street), (x, y, width, height)) >= NO_COLOUR

    def test_a_grey_print_in_a_coloured_street_is_left_to_pad(self, evaluation, photographs):
        rgb = photographs["obama_1"]
        street = np.tile(np.array([[[60, 120, 40]]], np.uint8), (rgb.shape[0], rgb.shape[1] * 2, 1))
        street[:, : rgb.shape[1]] = in_grey(rgb)
        assert self.largest(evaluation, street).problem != "no_colour"
