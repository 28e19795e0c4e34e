"""Tests an installer's measurements: frame rate, light, focus, framing and speed, each with advice."""

import msgspec
import numpy as np
import pytest

from gated.camera.replay import ReplayCamera
from gated.config import CameraSettings, ModelSettings, parse
from gated.doctor.measurements import CameraView, measure, of_speed, of_view, watch
from gated.face.frame_bench import FrameBench
from gated.face.pipeline import load_pipeline
from gated.frame import Note

BASE = {"site": {"id": "s"}, "gate": {"id": "g"}, "camera": {"fps": 10}}
VIEW = {"fps": 10.0, "brightness": 120.0, "sharpness": 90.0, "exposure_s": 0.01, "gain": 1.5, "size": (1280, 960),
        "face": (560.0, 380.0, 160.0, 200.0), "colour": 0.4}  # fmt: skip
BENCH = {"stages_ms": {}, "total_ms": 30.0, "bare_ms": 28.0, "ratio": 1.05, "rounds": 9, "faces": 1, "synthetic": False}


@pytest.fixture
def settings(tmp_path):
    return parse(BASE, tmp_path)


def lights(findings):
    findings = list(findings)
    assert all(finding.next_step for finding in findings if finding.light != "green")
    return {finding.part: finding.light for finding in findings}


def test_a_good_view_is_green_in_every_part(settings):
    assert set(lights(of_view(CameraView(**VIEW), settings)).values()) == {"green"}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"fps": 6.0}, "camera: rate"),
        ({"brightness": 20.0}, "camera: light"),
        ({"brightness": 240.0}, "camera: light"),
        ({"sharpness": 3.0}, "camera: focus"),
        ({"face": None}, "camera: framing"),
        ({"face": (0.0, 0.0, 160.0, 200.0)}, "camera: framing"),
        ({"face": (560.0, 760.0, 160.0, 200.0)}, "camera: framing"),
        ({"colour": 0.02}, "camera: colour"),
        ({"colour": None}, "camera: colour"),
        ({"notes": (Note("autofocus", "continuous, not found", is_fine=False),)}, "camera: autofocus"),
        ({"notes": (Note("exposure", "at most 100 ms", False), Note("flicker", "avoided"))}, "camera: exposure"),
    ],
)
def test_each_problem_of_the_view_is_reported_alone(settings, change, part):
    found = lights(of_view(CameraView(**(VIEW | change)), settings))
    assert [name for name, light in found.items() if light != "green"] == [part]


def test_a_camera_without_colour_is_red_with_a_face_before_it_and_in_doubt_before_an_empty_street(settings):
    findings = [
        next(
            f
            for f in of_view(CameraView(**(VIEW | {"colour": 0.01, "face": face})), settings)
            if f.part == "camera: colour"
        )
        for face in (VIEW["face"], None)
    ]
    assert [finding.light for finding in findings] == ["red", "amber"]
    assert all(finding.result.startswith("no_colour") for finding in findings)
    assert "this camera is unsuitable" in findings[0].result


def test_notes_of_the_camera_are_shown(settings):
    notes = (Note("autofocus", "continuous, in focus at 1.2 m"), Note("flicker", "that of lamps at 50 Hz is avoided"))
    says = {f.part: f.result for f in of_view(CameraView(**(VIEW | {"notes": notes})), settings)}
    assert says["camera: autofocus"] == "continuous, in focus at 1.2 m"
    assert says["camera: flicker"] == "that of lamps at 50 Hz is avoided"


def test_a_camera_without_exposure_values_gives_no_finding_about_exposure(settings):
    says = {f.part: f.result for f in of_view(CameraView(**(VIEW | {"exposure_s": None, "gain": None})), settings)}
    assert "ms" not in says["camera: light"]


@pytest.mark.parametrize(
    ("change", "parts"), [({"total_ms": 250.0}, ["speed", "decision"]), ({"ratio": 1.4}, ["overhead"])]
)
def test_a_slow_board_and_a_slow_program_are_distinguished(settings, change, parts):
    found = lights(of_speed(FrameBench(**(BENCH | change)), settings))
    assert [name for name, light in found.items() if light != "green"] == parts


def test_a_decision_slower_than_promised_is_reported(settings):
    slow = msgspec.structs.replace(settings, camera=msgspec.structs.replace(settings.camera, fps=4))
    assert lights(of_speed(FrameBench(**BENCH), slow))["decision"] == "amber"
    assert lights(of_speed(FrameBench(**BENCH), settings))["decision"] == "green"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    settings = parse({**BASE, "models": {"set": "courtyard"}}, tmp_path_factory.mktemp("x"))
    return load_pipeline(ModelSettings(set="courtyard"), settings.face)


@pytest.fixture
def camera(tmp_path):
    def show(level):
        from PIL import Image

        noise = np.random.default_rng(1).integers(-20, 20, (480, 640, 3))
        Image.fromarray(np.clip(level + noise, 0, 255).astype(np.uint8)).save(tmp_path / "view.png")
        return ReplayCamera(CameraSettings(kind="replay", path=str(tmp_path / "view.png"), fps=20, loop=True))

    return show


def test_a_real_camera_is_measured_and_released(camera, pipeline):
    view, frame = watch(camera(100), pipeline, 2.0, watch_s=1.0)
    assert view.fps == pytest.approx(20, rel=0.5)
    assert view.brightness == pytest.approx(100, abs=5)
    assert view.face is None
    assert frame.main.shape[2] == 3


def test_a_missing_camera_is_red_and_the_speed_is_still_measured(pipeline, settings, tmp_path):
    nothing = ReplayCamera(CameraSettings(kind="replay", path=str(tmp_path / "none.png")))
    findings, frame = measure(settings, nothing, pipeline, 5)
    found = lights(findings)
    assert (found["camera"], frame) == ("red", None)
    assert "speed" in found
