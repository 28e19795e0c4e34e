"""`gated status`, `gated check` and `gated people list` name the people whose face is of another model set."""

from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from gated.config import ModelSettings
from gated.face.manifest import load_set
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def home(gate):
    """A gate with the courtyard set, and 12 people: the first was enrolled with it, the others with another set."""
    gate.run = gate.invoke
    gate.write(models={"set": "courtyard", "dir": "nowhere"})
    for number in range(12):
        origin = "cd" * 32 if number else load_set(ModelSettings(set="courtyard")).embedder_sha256
        vector = np.eye(128, dtype=np.float32)[number]
        with closing(Gallery.open(gate.state, "courtyard-2", origin, 128)) as gallery:
            enrol(gallery, f"Wang {number:02}", f"{number}", [vector], consent="p", notice="1", threshold=0.6, at=AT)
    return gate


def test_the_status_names_them_and_counts_the_rest(home):
    (line,) = [each for each in home.run("status", check=1).stdout.splitlines() if each.startswith("faces")]
    assert "another model set than 'courtyard': Wang 01 (1), " in line
    assert "Wang 00" not in line
    assert "Wang 09" not in line
    assert "and 1 more" in line


def test_the_status_as_json_has_their_ids_and_no_names(home):
    told = home.json("status", check=1)
    assert len(told["enrol_again"]) == 11
    assert "Wang" not in str(told)


def test_the_check_has_a_note(home):
    (line,) = [each for each in home.run("check").stdout.splitlines() if "people and keys" in each]
    assert line.startswith("note  people and keys: enrol again")
    assert "Wang 01 (1)" in line


def test_the_list_marks_each_of_them(home):
    listed = home.json("people", "list", check=0)
    assert [row["name"] for row in listed if not row["enrol_again"]] == ["Wang 00"]
    done = home.run("people", "list", check=0)
    assert done.stdout.count("1, enrol again") == 11
    assert "opens nothing" in done.stderr


def test_without_people_to_enrol_again_nothing_is_printed(home):
    for row in home.json("people", "list", check=0):
        if row["enrol_again"]:
            home.run("people", "remove", row["subject"], "--yes", check=0)
    assert home.json("status", check=1)["enrol_again"] == []
    assert not [each for each in home.run("status", check=1).stdout.splitlines() if each.startswith("faces")]
    assert home.run("people", "list", check=0).stderr == ""


def test_an_unknown_model_set_breaks_no_list(home):
    home.write(models={"set": "none", "dir": "nowhere"})
    assert not any(row["enrol_again"] for row in home.json("people", "list", check=0))
