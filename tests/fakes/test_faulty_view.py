"""A failing camera in front of real models causes no grant that a working one would not."""

from contextlib import closing

import numpy as np
import pytest

from gated.cli.demo import own_set
from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.errors import CameraError
from gated.face.pipeline import load_pipeline
from gated.face.vision_messages import Observation
from gated.simulator.camera import SimulatedCamera
from gated.simulator.script import Actor, Script, write_script
from tests.fakes.faults import Verb
from tests.fakes.parts import FaultyCamera
from tests.fakes.timeline import Timeline

PATIENCE_S = 20.0
FRAMES = 12


@pytest.fixture
def pipeline(request):
    chosen = own_set()
    folder = request.getfixturevalue("shared") / "models" if chosen == "evaluation" else "models"
    return load_pipeline(ModelSettings(set=chosen, dir=str(folder)), FaceSettings())


@pytest.fixture
def camera(tmp_path):
    """A person has stood before it for a while."""
    path = tmp_path / "scene.json"
    write_script(Script(actors=(Actor(person=1017, comes_s=0.0, walk_s=0.1),)), path)
    settings = CameraSettings(kind="simulated", path=str(path), width=640, height=480)
    with closing(FaultyCamera(SimulatedCamera(settings), Timeline(seed=9))) as camera:
        camera.open()
        yield camera


def seen(pipeline, camera, frames=FRAMES):
    """Return the embedded faces in a number of frames."""
    faces = []
    for _ in range(frames):
        camera._timeline.advance(0.1)
        try:
            frame = camera.frame(PATIENCE_S)
        except CameraError:
            continue
        faces += [o for o in pipeline.observe(frame) if isinstance(o, Observation) and o.embedding]
    return faces


def until_a_face_is_seen(pipeline, camera):
    for _ in range(30):
        faces = seen(pipeline, camera, frames=5)
        if faces:
            return faces
    raise AssertionError("the camera without a fault showed no face")


def test_without_a_fault_the_person_is_embedded(pipeline, camera):
    assert until_a_face_is_seen(pipeline, camera)


@pytest.mark.parametrize("verb", [Verb.OFF, Verb.GARBAGE])
def test_without_a_usable_picture_no_face_is_searched_for(pipeline, camera, verb):
    until_a_face_is_seen(pipeline, camera)
    camera.frames.inflict(verb)
    assert seen(pipeline, camera) == []


def test_a_frozen_picture_stays_one_track(pipeline, camera):
    """One track is one visit, and a visit is decided once."""
    until_a_face_is_seen(pipeline, camera)
    camera.frames.inflict(Verb.STUCK)
    faces = seen(pipeline, camera)
    assert faces
    assert len({face.track for face in faces}) == 1
    first = np.frombuffer(faces[0].embedding, "<f4")
    assert all(float(first @ np.frombuffer(face.embedding, "<f4")) > 0.999 for face in faces)


@pytest.mark.parametrize("verb", [Verb.SLOW, Verb.DELAYED])
def test_late_frames_keep_their_age(pipeline, camera, verb):
    until_a_face_is_seen(pipeline, camera)
    camera.frames.inflict(verb)
    seen(pipeline, camera, frames=1)
    late = camera.frames.read()
    for _ in range(3):
        newest = camera._camera.frame(PATIENCE_S)
    assert newest.at > late.at


def test_an_upside_down_face_scores_below_the_threshold(pipeline, camera):
    sound = np.frombuffer(until_a_face_is_seen(pipeline, camera)[-1].embedding, "<f4")
    threshold = pipeline.model_set.threshold
    camera.frames.inflict(Verb.WRONG)
    assert all(float(sound @ np.frombuffer(f.embedding, "<f4")) < threshold for f in seen(pipeline, camera))
