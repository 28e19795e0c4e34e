"""Tests `gated status` and the measuring doctor, beside a running gate and without one."""

import json

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(gate):
    (gate.folder / "frames").mkdir()
    gate.write(models={"dir": "nowhere"})
    return gate


def test_without_a_gate_the_status_names_the_command_to_start(desk):
    told = desk.json("status", check=1)
    assert (told["ok"], told["brain"], told["doors"]) == (False, "", {})
    printed = desk.run("status", check=1).stdout
    assert "not on duty; start it: `gated run`" in printed


def test_reading_the_status_creates_no_file(desk):
    """A folder that root's command made would block the gate's user."""
    desk.run("status", check=1)
    desk.run("doctor")
    assert not desk.state.exists()


def test_people_and_templates_are_counted_and_nobody_is_named(desk):
    desk.write(models={"dir": "models", "set": "courtyard"})
    desk.run("people", "add", "--name", "Wang Fang", "--household", "12", check=0)
    told = desk.json("status", check=1)
    assert (told["people"], told["templates"], told["models"]) == (1, 0, "courtyard")
    assert "Wang Fang" not in str(told)


def test_a_running_gate_shows_its_state(desk, wait_for):
    desk.start("run")
    wait_for(lambda: "on duty" in desk.log())
    told = desk.json("status", check=1)
    assert told["brain"] == desk.run("--version").stdout.split()[-1]
    assert (told["latch"], told["doors"], told["office"]) == ("serves", {"main": "secured"}, "none")
    assert told["lost"] == ["vision"]  # the gate has nothing to see
    printed = desk.run("status", check=1).stdout
    assert "main secured" in printed
    assert "Asia/Shanghai" in printed  # the site's own time zone
    assert "lost      vision" in printed


def test_a_gate_without_a_lost_part_is_well(desk, wait_for):
    from PIL import Image

    Image.new("RGB", (1280, 960), (90, 90, 90)).save(desk.folder / "frames/a.png")
    desk.write(models={"dir": "models", "set": "courtyard"}, camera={"loop": True})
    desk.start("run")
    wait_for(lambda: desk.run("status").returncode == 0, 60, 0.3)
    assert desk.json("status", check=0)["lost"] == []


def test_the_doctor_measures_an_unused_camera_and_writes_the_page(desk, tmp_path):
    from PIL import Image

    Image.new("RGB", (1280, 960), (90, 90, 90)).save(desk.folder / "frames/a.png")
    desk.write(models={"dir": "models", "set": "courtyard"}, camera={"loop": True})
    page, picture = tmp_path / "page.html", tmp_path / "view.png"
    done = desk.run("doctor", "--measure", "--picture", picture, "--report", page, "--json", check=0)
    parts = {finding["part"]: finding["light"] for finding in json.loads(done.stdout)["findings"]}
    assert {"camera: rate", "camera: light", "camera: focus", "camera: framing", "speed", "overhead"} <= set(parts)
    assert parts["camera: focus"] == "amber"  # the picture is a wall in one colour
    assert "delete it after use" in done.stderr
    assert picture.stat().st_mode & 0o077 == 0
    assert "courtyard" in page.read_text()


def test_beside_a_running_gate_the_doctor_does_not_open_the_camera(desk, wait_for, tmp_path):
    desk.start("run")
    wait_for(lambda: "on duty" in desk.log())
    told = desk.json("doctor", "--measure")
    says = [finding["says"] for finding in told["findings"] if finding["part"] == "camera"]
    assert any("nothing was measured" in each for each in says)


def test_an_unwritable_page_is_reported(desk):
    assert "name another place" in desk.run("doctor", "--report", "/nowhere/page.html", check=3).stderr
