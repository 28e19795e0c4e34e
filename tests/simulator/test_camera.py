"""The simulated camera keeps the contract of every camera, and follows its script."""

import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parents[1])]
pytest.register_assert_rewrite("contracts.camera")

from contracts.camera import PATIENCE_S, CameraContract  # noqa: E402

from gated.config import CameraSettings, parse  # noqa: E402
from gated.errors import CameraError, ConfigError  # noqa: E402
from gated.simulator.camera import SimulatedCamera, rehearsal  # noqa: E402
from gated.simulator.cast import Cast  # noqa: E402
from gated.simulator.script import Actor, Script, write_script  # noqa: E402
from gated.vision import camera_of  # noqa: E402

SMALL = {"width": 320, "height": 240, "fps": 20}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scene.json"


@pytest.fixture
def show(path):
    """A function that writes a script and opens a camera on it."""
    opened = []

    def show(script, **settings):
        write_script(script, path)
        opened.append(SimulatedCamera(CameraSettings(kind="simulated", path=str(path), **{**SMALL, **settings})))
        opened[-1].open()
        return opened[-1]

    yield show
    for camera in opened:
        camera.close()


def differs(frame, other):
    """Return whether two frames differ by more than noise."""
    return (np.abs(frame.main.astype(int) - other.main) > 60).any(axis=2).mean() > 0.02


class TestContract(CameraContract):
    @pytest.fixture
    def camera(self, path):
        write_script(Script(actors=(Actor(person=1, comes_s=0.2, leaves_s=2.0),), ends_s=3.0), path)
        return SimulatedCamera(CameraSettings(kind="simulated", path=str(path), loop=True, **SMALL))


def test_the_settings_choose_the_simulated_camera(path):
    camera = camera_of(CameraSettings(kind="simulated", path=str(path)))
    assert camera.name == "simulated camera of scene.json"


def settings(camera, pins):
    return parse({"site": {"id": "a"}, "gate": {"id": "b"}, "camera": camera, "door": {"pins": pins}}, Path("/"))


def test_a_simulated_camera_needs_a_script_and_mock_pins():
    assert settings({"kind": "simulated", "path": "scene.json"}, "mock").camera.path == "/scene.json"
    with pytest.raises(ConfigError) as refused:
        settings({"kind": "simulated"}, "gpio")
    assert len(refused.value.problems) == 2
    assert "camera.path: is required" in refused.value.problems[0]
    assert 'set door.pins to "mock"' in refused.value.problems[1]


def test_frames_and_script_do_not_drift(show):
    camera = show(Script(ends_s=60.0))
    frames = [camera.frame(PATIENCE_S) for _ in range(12)]
    periods = [(b.at - a.at) / (b.number - a.number) for a, b in pairwise(frames)]
    assert periods == [pytest.approx(0.05, abs=1e-6)] * 11


def test_after_the_script_the_camera_is_exhausted_and_the_lane_empty(show):
    empty = show(Script()).frame(PATIENCE_S)
    actor = Actor(person=1, comes_s=0.0, leaves_s=3600.0)
    camera = show(Script(actors=(actor,), ends_s=3600.0, begins_at=time.monotonic()))
    assert not camera.exhausted
    camera = show(Script(actors=(actor,), ends_s=3600.0, begins_at=time.monotonic() - 3601.0))
    assert camera.exhausted
    assert not differs(camera.frame(PATIENCE_S), empty)


def test_a_restarted_camera_continues_in_the_middle_of_the_script(show):
    empty = show(Script()).frame(PATIENCE_S)
    camera = show(Script(actors=(Actor(person=1, comes_s=0.0),), begins_at=time.monotonic() - 30.0))
    end = time.monotonic() + PATIENCE_S
    while not differs(camera.frame(PATIENCE_S), empty):
        assert time.monotonic() < end, "no person is in view"


def test_a_replaced_script_is_read_again(show, path):
    camera = show(Script())
    empty = camera.frame(PATIENCE_S)
    write_script(Script(actors=(Actor(person=1, comes_s=0.0),), begins_at=time.monotonic() - 10.0), path)
    end = time.monotonic() + PATIENCE_S
    while not differs(camera.frame(PATIENCE_S), empty):
        assert time.monotonic() < end, "no person is in view"


def test_a_damaged_or_missing_script_is_one_clear_error(show, path):
    camera = show(Script())
    path.write_text("{")
    with pytest.raises(CameraError, match="not a scene script"):
        camera.frame(PATIENCE_S)
    path.unlink()
    with pytest.raises(CameraError, match="cannot be read"):
        camera.frame(PATIENCE_S)


def test_without_a_script_the_camera_does_not_open(path):
    with pytest.raises(CameraError, match=r"scene\.json cannot be read"):
        SimulatedCamera(CameraSettings(kind="simulated", path=str(path))).open()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failed_rendering_thread_is_an_error_and_not_an_empty_lane(show, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("gated.simulator.cast.render", broken)
    camera = show(Script(actors=(Actor(person=1, comes_s=0.0),)))
    with pytest.raises(CameraError, match="rendering thread has ended"):
        for _ in range(1000):
            camera.frame(PATIENCE_S)


def test_close_ends_the_rendering_thread(show):
    before = threading.active_count()
    camera = show(Script(actors=(Actor(person=1, comes_s=0.0),)))
    camera.close()
    assert threading.active_count() == before


def test_people_soon_in_view_are_rendered_first_and_later_ones_once():
    cast = Cast(width=160)
    script = Script(actors=(Actor(person=2, comes_s=500.0), Actor(person=1, comes_s=1.0)))
    for prepare in rehearsal(script, cast, second=0.0, fps=10):
        prepare()
    assert cast.place(script.actors[1], 2.0, wait=False) is not None
    assert cast.place(script.actors[0], 500.0, wait=False) is not None
