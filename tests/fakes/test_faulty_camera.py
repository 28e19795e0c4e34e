"""A camera that fails, frame by frame. test_faulty_view.py tests what the gate makes of it."""

from contextlib import closing

import pytest

from gated.config import CameraSettings
from gated.errors import CameraError
from gated.simulator.camera import SimulatedCamera
from gated.simulator.script import Script, write_script
from tests.fakes.faults import Verb
from tests.fakes.parts import FaultyCamera, upside_down
from tests.fakes.timeline import Timeline

PATIENCE_S = 20.0


@pytest.fixture
def timeline():
    return Timeline(seed=1)


@pytest.fixture
def camera(tmp_path, timeline):
    write_script(Script(ends_s=600.0), tmp_path / "scene.json")
    settings = CameraSettings(kind="simulated", path=str(tmp_path / "scene.json"), width=320, height=240, fps=20)
    with closing(FaultyCamera(SimulatedCamera(settings), timeline)) as camera:
        camera.open()
        camera.frame(PATIENCE_S)
        yield camera


def following(camera, timeline, seconds=0.1):
    timeline.advance(seconds)
    return camera.frame(PATIENCE_S)


def test_off_gives_no_frame(camera):
    camera.frames.inflict(Verb.OFF)
    with pytest.raises(CameraError, match="simulated camera is off"):
        camera.frame(PATIENCE_S)


def test_stuck_gives_the_same_picture_with_a_new_time(camera, timeline):
    camera.frames.inflict(Verb.STUCK)
    first, second = (following(camera, timeline) for _ in range(2))
    assert (first.main == second.main).all()
    assert (first.lores == second.lores).all()
    assert first.at < second.at


def test_garbage_has_the_shape_of_a_frame(camera, timeline):
    sound = following(camera, timeline)
    camera.frames.inflict(Verb.GARBAGE)
    noise = following(camera, timeline)
    assert (noise.main.shape, noise.lores.shape) == (sound.main.shape, sound.lores.shape)
    assert noise.main.std() > 60


def test_wrong_gives_the_picture_upside_down(camera, timeline):
    sound = following(camera, timeline)
    turned = upside_down(sound)
    assert (turned.main[0, 0] == sound.main[-1, -1]).all()
    assert turned.lores[0, 0] == sound.lores[sound.lores_size[1] - 1, -1]
    assert (upside_down(turned).lores == sound.lores).all()
    camera.frames.inflict(Verb.WRONG)
    assert (following(camera, timeline).main[:20].mean() > 100) == (sound.main[-20:].mean() > 100)


def test_slow_and_delayed_frames_keep_their_times(camera, timeline):
    for verb in (Verb.SLOW, Verb.DELAYED):
        camera.frames.inflict(verb)
        first, second = (following(camera, timeline) for _ in range(2))
        assert first.at == second.at
        assert first.number == second.number


def test_intermittent_gives_some_frames(camera, timeline):
    camera.frames.inflict(Verb.INTERMITTENT)
    given, refused = 0, 0
    for _ in range(12):
        try:
            following(camera, timeline, seconds=1.0)
            given += 1
        except CameraError:
            refused += 1
    assert given
    assert refused


def test_a_faulty_camera_otherwise_behaves_as_the_wrapped_one(camera):
    assert camera.name == "faulty simulated camera of scene.json"
    assert not camera.exhausted
    camera.close()
    camera.open()
    assert camera.frame(PATIENCE_S).main.any()
