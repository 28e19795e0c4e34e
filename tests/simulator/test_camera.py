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
from gated.simulator.faults import Verb  # noqa: E402
from gated.simulator.parts import FaultyCamera, upside_down  # noqa: E402
from gated.simulator.script import Actor, Script, write_script  # noqa: E402
from gated.simulator.timeline import Timeline  # noqa: E402
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


class TestFaults:
    """A camera that fails, frame by frame. test_day.py tests what the gate makes of it."""

    @pytest.fixture
    def timeline(self):
        return Timeline(seed=1)

    @pytest.fixture
    def camera(self, show, timeline):
        camera = FaultyCamera(show(Script(ends_s=600.0)), timeline)
        camera.frame(PATIENCE_S)
        return camera

    def next(self, camera, timeline, seconds=0.1):
        timeline.advance(seconds)
        return camera.frame(PATIENCE_S)

    def test_off_gives_no_frame(self, camera):
        camera.frames.inflict(Verb.OFF)
        with pytest.raises(CameraError, match="simulated camera is off"):
            camera.frame(PATIENCE_S)

    def test_stuck_gives_the_same_picture_with_a_new_time(self, camera, timeline):
        camera.frames.inflict(Verb.STUCK)
        first, second = (self.next(camera, timeline) for _ in range(2))
        assert (first.main == second.main).all()
        assert (first.lores == second.lores).all()
        assert first.at < second.at

    def test_garbage_has_the_shape_of_a_frame(self, camera, timeline):
        sound = self.next(camera, timeline)
        camera.frames.inflict(Verb.GARBAGE)
        noise = self.next(camera, timeline)
        assert (noise.main.shape, noise.lores.shape) == (sound.main.shape, sound.lores.shape)
        assert noise.main.std() > 60

    def test_wrong_gives_the_picture_upside_down(self, camera, timeline):
        sound = self.next(camera, timeline)
        turned = upside_down(sound)
        assert (turned.main[0, 0] == sound.main[-1, -1]).all()
        assert turned.lores[0, 0] == sound.lores[sound.lores_size[1] - 1, -1]
        assert (upside_down(turned).lores == sound.lores).all()
        camera.frames.inflict(Verb.WRONG)
        assert (self.next(camera, timeline).main[:20].mean() > 100) == (sound.main[-20:].mean() > 100)

    def test_slow_and_delayed_frames_keep_their_times(self, camera, timeline):
        for verb in (Verb.SLOW, Verb.DELAYED):
            camera.frames.inflict(verb)
            first, second = (self.next(camera, timeline) for _ in range(2))
            assert first.at == second.at
            assert first.number == second.number

    def test_intermittent_gives_some_frames(self, camera, timeline):
        camera.frames.inflict(Verb.INTERMITTENT)
        given, refused = 0, 0
        for _ in range(12):
            try:
                self.next(camera, timeline, seconds=1.0)
                given += 1
            except CameraError:
                refused += 1
        assert given
        assert refused

    def test_a_faulty_camera_otherwise_behaves_as_the_wrapped_one(self, camera):
        assert camera.name == "faulty simulated camera of scene.json"
        assert not camera.exhausted
        camera.close()
        camera.open()
        assert camera.frame(PATIENCE_S).main.any()
