"""`gated people enrol-again` gives a known person a face by the present model set."""

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.simulator.desk import PHOTO_VIEWS, portrait
from gated.simulator.morning import residents

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FORMER_SET = "cd" * 32


@pytest.fixture
def home(gate):
    """A gate with the courtyard set. Ann and Bob were enrolled with another set, and Ann has a card."""
    gate.run = gate.invoke
    gate.write(models={"set": "courtyard", "dir": "nowhere"})
    with closing(Gallery.open(gate.state, "courtyard-2", FORMER_SET, 128)) as gallery:
        facts = {"consent": "paper-1", "notice": "2026-03", "threshold": 0.6, "at": AT}
        vectors = np.eye(128, dtype=np.float32)
        gate.ann = enrol(gallery, "Ann", "12", [vectors[0]], **facts).subject
        gate.bob = enrol(gallery, "Bob", "13", [vectors[1]], **facts).subject
    with closing(Credentials.open(gate.state, "courtyard-2")) as store:
        issue_card(store, "4711", gate.ann)
    return gate


@pytest.fixture
def photo(tmp_path):
    """Return a function that writes a photo of a rendered resident, and returns its path."""

    def make(number, view=0):
        path = tmp_path / f"{number}-{view}.png"
        Image.fromarray(portrait(residents(2)[number], PHOTO_VIEWS[view], view)).save(path)
        return path

    return make


def again(home):
    return [row["subject"] for row in home.json("people", "list", check=0) if row["enrol_again"]]


def test_a_person_of_another_set_is_recognised_after_it_and_keeps_consent_and_card(home, photo):
    before = home.json("people", "show", home.ann, check=0)
    assert "gated people enrol-again" in home.run("people", "list", check=0).stderr
    done = home.json("people", "enrol-again", "Ann", "--photo", photo(0), "--photo", photo(0, 1), check=0)
    assert (done["subject"], done["templates"]) == (home.ann, 2)
    assert again(home) == [home.bob]
    assert home.json("identify", photo(0, 2), check=0)["subject"] == home.ann
    after = home.json("people", "show", home.ann, check=0)
    assert after | {"templates": 1} == before
    (event,) = home.events("person_enrolled")
    assert (event["subject"], event["notice"], event["templates"]) == (home.ann, "2026-03", 2)


def test_a_face_by_this_set_is_not_replaced(home, photo):
    home.run("people", "enrol-again", "Ann", "--photo", photo(0), check=0)
    done = home.run("people", "enrol-again", "Ann", "--photo", photo(1), check=1)
    assert "has a face by this model set already" in done.stderr
    assert home.json("identify", photo(1), check=1)["subject"] is None


def test_the_face_of_somebody_else_is_refused(home, photo):
    home.run("people", "enrol-again", "Ann", "--photo", photo(0), check=0)
    done = home.run("people", "enrol-again", "Bob", "--photo", photo(0, 1), check=1)
    assert f"is enrolled as {home.ann} already" in done.stderr
    assert again(home) == [home.bob]


def test_a_picture_without_a_face_changes_nothing(home, tmp_path):
    wall = tmp_path / "wall.png"
    Image.new("RGB", (300, 400), (120, 120, 120)).save(wall)
    done = home.run("people", "enrol-again", "Ann", "--photo", wall, check=1)
    assert "nobody was enrolled" in done.stdout
    assert "no face was found" in done.stderr
    assert set(again(home)) == {home.ann, home.bob}
    assert home.events() == []


def test_a_person_without_consent_gets_no_face(home, photo):
    home.run("people", "add", "--name", "Cai", "--household", "14", check=0)
    done = home.run("people", "enrol-again", "Cai", "--photo", photo(0), check=1)
    assert "has not agreed to be recognised" in done.stderr


def test_an_unknown_person_is_refused(home, photo):
    assert "no person" in home.run("people", "enrol-again", "Dai", "--photo", photo(0), check=1).stderr.lower()
