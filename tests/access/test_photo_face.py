"""An enrolment photo gives its face upright, or is refused with advice. Tested with real and with rendered pictures."""

import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gated.access import photos
from gated.access.face_calibration import rules_for
from gated.access.photo_face import (
    ALL_COVERED,
    NO_SURROUNDINGS,
    NOT_UPRIGHT,
    PHOTO_ADVICE,
    PRINT,
    advice,
    pad_problem,
    photo_face,
    upright,
)
from gated.config import AccessSettings, FaceSettings, ModelSettings
from gated.errors import PictureError
from gated.face.pipeline import load_pipeline
from gated.face.vision_messages import Problem
from gated.gallery.enrolment import Enrolled
from gated.simulator.desk import PHOTO_VIEWS, portrait
from gated.simulator.morning import residents
from gated.simulator.view import View

pytestmark = pytest.mark.long

TURNED = (90, 180, 270)
SAME = 0.9
"""Least score of the template of a turned photo with that of the upright one."""


@pytest.fixture(scope="module")
def real(request):
    """Enrol a photo by the models of the set "evaluation"."""
    shared = Path(__file__).parents[2].parent / "shared"
    if not (shared / "models").exists():
        pytest.skip("needs the real models and pictures beside the project")
    pipeline = load_pipeline(ModelSettings(dir=str(shared / "models"), set="evaluation"), FaceSettings())
    return enrolling(pipeline)


@pytest.fixture(scope="module")
def rendered():
    """Enrol a photo by the models of the set "courtyard"."""
    return enrolling(load_pipeline(ModelSettings(set="courtyard"), FaceSettings()))


def enrolling(pipeline):
    rules = rules_for(AccessSettings(), pipeline.ready())

    def enrol(photo, **options):
        return photo_face(pipeline, photo, rules, **options).embedding

    enrol.pipeline = pipeline
    return enrol


@pytest.fixture
def turned(tmp_path):
    def save(image, degrees):
        path = tmp_path / f"{degrees}.png"
        image.rotate(degrees, expand=True).save(path, compress_level=0)
        return path

    return save


@pytest.mark.parametrize(
    ("name", "turns"),
    [("biden_1", [90]), ("biden_2", [180]), ("obama_1", [270]), ("obama_2", [90]), ("pad_bona_fide", TURNED)],
)
def test_a_photo_that_lies_on_its_side_or_head_gives_the_same_template(real, shared, turned, name, turns):
    path = shared / f"faces/{name}.jpg"
    expected = real(path)
    for degrees in turns:
        assert real(turned(Image.open(path).convert("RGB"), degrees)) @ expected >= SAME


def test_a_turned_photo_of_a_rendered_resident_gives_the_same_template(rendered, turned, tmp_path):
    """Show an adult, a child and an old person: each view and each turn once."""
    for number, (resident, degrees) in enumerate(zip(residents(6)[1:4], TURNED, strict=True), 1):
        image = Image.fromarray(portrait(resident, PHOTO_VIEWS[number % 3], number))
        assert rendered(turned(image, degrees)) @ rendered(turned(image, 0)) >= SAME


def test_a_picture_with_a_face_each_way_up_is_refused(real, shared, tmp_path):
    """No turn of it has a better score than the opposite turn."""
    face = Image.open(shared / "faces/obama_1.jpg").convert("RGB")
    face.thumbnail((600, 600))
    both = Image.new("RGB", (face.width, 2 * face.height))
    both.paste(face, (0, 0))
    both.paste(face.rotate(180), (0, face.height))
    both.save(tmp_path / "both.png")
    with pytest.raises(PictureError) as refused:
        real(tmp_path / "both.png")
    assert NOT_UPRIGHT in str(refused.value) or "2 faces" in str(refused.value)


def test_a_picture_without_a_face_stays_as_it_is(rendered):
    grey = np.full((300, 400, 3), 120, np.uint8)
    assert (upright(rendered.pipeline, grey).main == grey).all()


def test_a_picture_of_a_picture_is_refused_with_advice(real, shared):
    with pytest.raises(PictureError, match="print or a screen; take a photo of the person, or use --paper"):
        real(shared / "faces/pad_attack.jpg")


def test_a_scan_is_accepted_if_the_registrar_answers_for_it(real, shared):
    assert np.isfinite(real(shared / "faces/pad_attack.jpg", is_paper=True)).all()


@pytest.mark.parametrize("name", ["biden_1", "biden_2", "obama_1", "obama_2", "pad_bona_fide"])
def test_photos_of_living_people_pass_pad(real, shared, name):
    assert np.isfinite(real(shared / f"faces/{name}.jpg")).all()


def test_all_problems_are_named_and_the_most_helpful_first(real, shared, tmp_path):
    small = Image.open(shared / "faces/stranger_1.jpg").convert("L").resize((200, 200))
    small.save(tmp_path / "small.png")
    with pytest.raises(PictureError) as refused:
        real(tmp_path / "small.png")
    words = str(refused.value)
    assert words.index("too small") < words.index("Also, the picture has no colour")


def test_every_problem_has_advice_with_something_to_do():
    assert set(PHOTO_ADVICE) == set(get_args(Problem))
    for text in (*PHOTO_ADVICE.values(), NOT_UPRIGHT, PRINT, NO_SURROUNDINGS):
        assert "; " in text


def test_one_problem_gives_its_advice_alone():
    assert advice(("blurred",)) == PHOTO_ADVICE["blurred"]
    assert advice(()) == "the face cannot be used"
    assert advice(("turned_away", "too_small", "blurred")).count("lso, ") == 2


@given(st.none() | st.floats(), st.floats(0.01, 0.99))
def test_only_a_score_that_reaches_the_threshold_passes(score, threshold):
    passes = score is not None and math.isfinite(score) and score >= threshold
    if score != math.inf:
        assert (pad_problem(score, threshold) is None) == passes


class OnePhoto:
    """A gallery's part of an enrolment: it keeps nobody."""


def applied(rendered, tmp_path, monkeypatch, *views):
    """Enrol a rendered resident from photos in these views. Return the result and the number of stored embeddings."""
    stored = []

    def enrol(_, __, ___, embeddings, *, pictures, **____):
        assert len(pictures) == len(embeddings)
        stored.extend(embeddings)
        return Enrolled("a" * 16, len(embeddings))

    monkeypatch.setattr(photos, "enrol", enrol)
    paths = [tmp_path / f"{number}.png" for number in range(len(views))]
    for number, (path, view) in enumerate(zip(paths, views, strict=True)):
        Image.fromarray(portrait(residents(6)[1], view, number)).save(path, compress_level=1)
    rules = rules_for(AccessSettings(), rendered.pipeline.ready())
    applicant = photos.EnrolmentApplicant("Ann", "12", "paper", "v1")
    return photos.enrol_photos(rendered.pipeline, OnePhoto(), paths, applicant, rules), len(stored)


def test_a_masked_photo_never_stands_alone(rendered, tmp_path, monkeypatch):
    done, stored = applied(rendered, tmp_path, monkeypatch, View(mask=True), View(mask=True, yaw=8.0))
    assert (done.subject, stored) == (None, 0)
    assert [each.reason for each in done.rejected] == [ALL_COVERED] * 2


def test_a_masked_photo_is_named_and_kept_beside_an_open_one(rendered, tmp_path, monkeypatch):
    done, stored = applied(rendered, tmp_path, monkeypatch, View(), View(mask=True))
    assert (done.templates, stored) == (2, 2)
    assert [Path(photo).name for photo in done.covered] == ["1.png"]
