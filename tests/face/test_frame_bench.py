import pytest

from gated.face.frame_bench import assumed_face, bench, synthetic_frame
from gated.face.pipeline import STAGES
from gated.types import TrackId


def test_a_bench_on_a_picture_times_every_stage(pipeline, view):
    result = bench(pipeline, view((420, 480)), rounds=3)
    assert tuple(result.stages_ms) == STAGES
    assert all(ms > 0 for ms in result.stages_ms.values())
    assert (result.faces, result.rounds, result.synthetic) == (1, 3, False)
    assert result.ratio == pytest.approx(result.total_ms / result.bare_ms, rel=0.9)


def test_the_bare_models_run_once_per_face(pipeline, view):
    assert bench(pipeline, view((300, 480), (950, 480)), rounds=2).faces == 2


def test_without_a_picture_a_face_is_assumed(pipeline):
    result = bench(pipeline, rounds=2)
    assert (result.faces, result.synthetic) == (1, True)
    assert result.stages_ms["embed"] > 0


def test_a_picture_without_a_face_still_gives_times(pipeline, view):
    assert bench(pipeline, view(), rounds=2).synthetic


def test_the_assumed_face_reaches_an_embedding(pipeline):
    frame = synthetic_frame()
    seen = pipeline.analyse(frame, assumed_face(pipeline, frame), TrackId(0))
    assert seen.problem is None
    assert seen.embedding is not None
