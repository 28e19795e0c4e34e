"""`gated calibrate` shows the threshold of a gallery, and names people who are alike at this gate alone."""

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from gated.access.face_calibration import calibrator_for
from gated.cli.calibrate import calibration_now
from gated.config import ModelSettings
from gated.config.overlay import load
from gated.face.manifest import load_set
from gated.face.vision_messages import ready_with
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.people.credential_store import Credentials
from gated.people.face_mark import FaceMark

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SITE = load_set(ModelSettings(set="site"))
EVERYBODY = 0.95
"""A threshold that no two people here reach: nobody is refused as enrolled already."""


def face(seed, like=None, noise=0.6):
    """Return an embedding of the set `site`, random or like another."""
    random = np.random.default_rng(seed)
    parts = []
    for place in SITE.composite.slices:
        part = random.standard_normal(place.stop - place.start)
        part /= np.linalg.norm(part)
        if like is not None:
            part = like[place] / np.linalg.norm(like[place]) + noise * part
        parts.append(part / np.linalg.norm(part) / np.sqrt(2))
    return np.concatenate(parts).astype(np.float32)


def fill(gate, people):
    with closing(Gallery.open(gate.state, "courtyard-2", SITE.embedder_sha256, SITE.dimension, SITE.composite)) as made:
        for number in range(people):
            vector = face(99, face(3)) if number == 5 else face(number)
            enrol(made, f"Wang {number:02}", f"{number}", [vector], consent="p", notice="1", threshold=EVERYBODY, at=AT)


@pytest.fixture
def home(gate):
    gate.run = gate.invoke
    gate.write(models={"set": "site", "dir": "nowhere"})
    return gate


def test_a_small_gallery_has_the_threshold_of_the_table(home):
    fill(home, 12)
    found = home.json("calibrate", check=0)
    assert found["reason"] == "table"
    assert found["people"] == 12
    assert found["threshold"] == pytest.approx(max(SITE.table.floor, SITE.table.threshold(12)))
    assert found["days_for_one"] is None


def test_people_who_are_alike_are_named_for_people_and_not_in_json(home):
    fill(home, 12)
    shown = home.run("calibrate", check=0).stdout
    assert "alike: Wang 03 (3) and Wang 05 (5)" in shown or "alike: Wang 05 (5) and Wang 03 (3)" in shown
    assert "card or a PIN" in shown
    found = home.json("calibrate", check=0)
    assert len(found["alike"]) == 1
    assert found["alike"][0]["needs_more"]
    assert "Wang" not in str(found)


def test_more_people_have_a_budget(home):
    fill(home, 50)
    found = home.json("calibrate", check=0)
    assert found["fpir"] <= found["fpir_bound"]
    assert found["least_days_for_one"] <= found["days_for_one"]
    assert "false-accept budget" in home.run("calibrate", check=0).stdout


def test_a_set_with_one_threshold_is_not_calibrated(home):
    home.write(models={"set": "courtyard", "dir": "nowhere"})
    done = home.run("calibrate")
    assert done.returncode != 0
    assert "one threshold" in done.stderr


def test_a_child_is_measured_by_its_own_threshold(home):
    """The gate compares the face of a child with a higher threshold. So the command must name it for new pictures."""
    fill(home, 12)
    pictures = [face(50), face(51, face(50), noise=2.0)]
    with closing(Gallery.open(home.state, "courtyard-2", SITE.embedder_sha256, SITE.dimension, SITE.composite)) as made:
        facts = {"consent": "p", "notice": "1", "threshold": 0.35, "at": AT}
        child = enrol(made, "Li", "50", pictures, **facts).subject
    assert home.json("calibrate", check=0)["not_recognised"] == []
    with closing(Credentials.open(home.state, "courtyard-2")) as store:
        store.set_mark(child, FaceMark("child"))
    assert home.json("calibrate", check=0)["not_recognised"] == [child]
    with closing(Credentials.open(home.state, "courtyard-2")) as store:
        store.set_mark(child, FaceMark("child", until=AT))
    assert home.json("calibrate", check=0)["not_recognised"] == [], "the mark has ended"


@pytest.mark.parametrize("people", [2, 12, 50])
def test_a_desk_uses_the_threshold_of_a_running_gate(home, people):
    """`gated identify` calibrates as the gate does, also before any gate has run with this gallery."""
    fill(home, people)
    settings = load(home.config)
    with closing(Gallery.open(home.state, "courtyard-2", SITE.embedder_sha256, SITE.dimension, SITE.composite)) as made:
        at_desk = calibration_now(settings, made, SITE.table)
        at_gate = calibrator_for(settings.access, ready_with(SITE), made).follow()
    assert at_desk == at_gate
    assert at_desk.calibration.threshold == home.json("calibrate", check=0)["threshold"]
    assert at_desk.calibration.threshold < SITE.threshold or people > 12, "a desk does not use the one of the set"
