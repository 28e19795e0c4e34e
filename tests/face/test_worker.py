from collections.abc import Iterator
from itertools import pairwise

import pytest

from gated.errors import CameraError, ModelError
from gated.face.vision_messages import CodeSeen, Observation, TrackEnded, VisionPulse, VisionReady, VisionTrouble
from gated.face.worker import PULSE_S, serve
from gated.frame import Frame


class ScriptedCamera:
    """A camera that gives the frames of a list, then none."""

    name = "script"

    def __init__(self, frames: list[Frame], exhausted_after: int = 10**9, opens: bool = True) -> None:
        self._frames: Iterator[Frame] = iter(frames)
        self._left, self._opens = exhausted_after, opens
        self.closed = 0

    @property
    def exhausted(self) -> bool:
        return self._left < 0

    def open(self) -> None:
        if not self._opens:
            raise CameraError("no camera is connected; check the cable")

    def frame(self, timeout_s: float) -> Frame:
        self._left -= 1
        try:
            return next(self._frames)
        except StopIteration:
            raise CameraError(f"no frame for {timeout_s} s; check the cable") from None

    def close(self) -> None:
        self.closed += 1


def served(pipeline, camera, stop=lambda: False):
    sent = []
    serve(camera, pipeline, sent.append, stop)
    return sent


def of_kind(kind, sent):
    return [message for message in sent if isinstance(message, kind)]


@pytest.fixture
def visit(view):
    """Two seconds at ten frames a second: a person stands there for one, then is gone."""
    return [view(*([(420, 480)] if i < 10 else []), at=i / 10, number=i) for i in range(35)]


def test_ready_is_sent_first_and_trouble_last(pipeline, visit):
    sent = served(pipeline, ScriptedCamera(visit))
    assert isinstance(sent[0], VisionReady)
    assert sent[-1] == VisionTrouble(kind="camera", message="no frame for 2.0 s; check the cable")
    assert len(of_kind(VisionReady, sent)) == len(of_kind(VisionTrouble, sent)) == 1


def test_every_frame_with_a_face_and_the_end_of_its_track_are_sent(pipeline, visit):
    sent = served(pipeline, ScriptedCamera(visit))
    assert [o.frame for o in of_kind(Observation, sent)] == list(range(10))
    (ended,) = of_kind(TrackEnded, sent)
    assert 1.9 < ended.at < 2.2


def test_a_pulse_is_sent_twice_a_second(pipeline, visit):
    pulses = of_kind(VisionPulse, served(pipeline, ScriptedCamera(visit)))
    gaps = [b.frame_at - a.frame_at for a, b in pairwise(pulses)]
    assert max(gaps) <= 0.5
    assert min(gaps) >= PULSE_S
    assert [p.frames for p in pulses] == sorted({p.frames for p in pulses})
    assert pulses[0].faces == 1
    assert pulses[-1].faces == 0


def test_every_slow_frame_has_a_pulse(pipeline, view):
    frames = [view(at=float(i), number=i) for i in range(5)]
    assert len(of_kind(VisionPulse, served(pipeline, ScriptedCamera(frames)))) == 5


def test_an_exhausted_recording_is_reported(pipeline, visit):
    pulses = of_kind(VisionPulse, served(pipeline, ScriptedCamera(visit, exhausted_after=20)))
    assert not pulses[0].exhausted
    assert pulses[-1].exhausted


class ScriptedScanner:
    """A scanner that sees a pass in every frame, and records the frames."""

    def __init__(self):
        self.frames = []

    def scan(self, frame: Frame) -> str | None:
        self.frames.append(frame.number)
        return f"G1.{frame.number}"


def test_a_pass_is_sent_after_the_faces_of_its_frame(pipeline, visit):
    scanner, sent = ScriptedScanner(), []
    with_scanner = ScriptedCamera(visit)
    serve(with_scanner, pipeline, sent.append, lambda: False, scanner=scanner)
    codes = of_kind(CodeSeen, sent)
    assert codes[3] == CodeSeen("G1.3", 0.3)
    face = next(seen for seen in sent if isinstance(seen, Observation) and seen.frame == 3)
    assert sent.index(face) < sent.index(codes[3])


def test_no_scan_runs_in_an_empty_street(pipeline, view):
    scanner, empty = ScriptedScanner(), [view(at=i / 10, number=i) for i in range(100)]
    serve(ScriptedCamera(empty), pipeline, lambda _: None, lambda: False, scanner=scanner)
    assert len([number for number in scanner.frames if number > 40]) <= 6


def test_without_a_scanner_no_scan_runs(pipeline, visit):
    assert not of_kind(CodeSeen, served(pipeline, ScriptedCamera(visit)))


def test_a_camera_that_fails_to_open_is_trouble_and_never_ready(pipeline):
    camera = ScriptedCamera([], opens=False)
    assert served(pipeline, camera) == [VisionTrouble(kind="camera", message="no camera is connected; check the cable")]
    assert camera.closed == 1


def test_a_camera_without_a_first_frame_is_never_ready(pipeline):
    (only,) = served(pipeline, ScriptedCamera([]))
    assert isinstance(only, VisionTrouble)


def test_stop_closes_the_camera(pipeline, visit):
    asked = iter([False, False, True])
    camera = ScriptedCamera(visit)
    sent = served(pipeline, camera, lambda: next(asked))
    assert len(of_kind(Observation, sent)) == 2
    assert not of_kind(VisionTrouble, sent)
    assert camera.closed == 1


def test_a_failing_model_is_trouble_of_kind_models(pipeline, visit, monkeypatch):
    def failing(frame):
        raise ModelError("spot.onnx: the model failed on its input")

    monkeypatch.setattr(pipeline, "observe", failing)
    camera = ScriptedCamera(visit)
    assert served(pipeline, camera)[-1].kind == "models"
    assert camera.closed == 1


def test_a_lost_brain_ends_the_worker_and_closes_the_camera(pipeline, visit):
    camera = ScriptedCamera(visit)

    def send(message):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        serve(camera, pipeline, send, lambda: False)
    assert camera.closed == 1


def test_no_picture_and_no_vector_reaches_the_log(pipeline, visit, caplog):
    caplog.set_level("DEBUG")
    served(pipeline, ScriptedCamera(visit))
    assert caplog.messages == ["vision ends: no frame for 2.0 s; check the cable"]
