from dataclasses import replace

import numpy as np
import pytest

from gated.config import FaceSettings
from gated.embedding import check_embedding
from gated.face.pipeline import STAGES, load_pipeline
from gated.face.vision_messages import Observation, TrackEnded
from gated.frame import Frame, i420_from_rgb

HERE, THERE = (420, 480), (900, 480)


def observations(messages):
    return [message for message in messages if isinstance(message, Observation)]


def test_a_face_becomes_an_observation_with_an_embedding(pipeline, view):
    (seen,) = pipeline.observe(view(HERE, at=7.0, number=3))
    assert (seen.frame, seen.frame_at, seen.problem) == (3, 7.0, None)
    x, y, width, height = seen.box
    assert x < HERE[0] < x + width
    assert y < HERE[1] < y + height
    assert 0 < seen.pad_score < 1
    check_embedding(np.frombuffer(seen.embedding, "<f4"), 48)


def test_an_empty_view_gives_nothing(pipeline, view):
    assert pipeline.observe(view()) == []


def test_one_face_over_frames_is_one_track(pipeline, view):
    tracks = {pipeline.observe(view((400 + 12 * i, 480), at=i / 10))[0].track for i in range(10)}
    assert len(tracks) == 1


def test_the_track_of_a_leaving_face_ends_after_the_patience(pipeline, view):
    (seen,) = pipeline.observe(view(HERE, at=0.0))
    assert pipeline.observe(view(at=0.5)) == []
    assert pipeline.observe(view(at=1.5)) == [TrackEnded(track=seen.track, at=1.5)]


def test_another_person_in_the_same_place_gets_another_track(pipeline, view):
    (before,) = pipeline.observe(view(HERE, at=0.0, person=1))
    ended, after = pipeline.observe(view(HERE, at=0.1, person=5))
    assert ended == TrackEnded(track=before.track, at=0.1)
    assert after.track != before.track
    assert pipeline.observe(view(HERE, at=0.2, person=5))[0].track == after.track


def test_two_faces_are_two_tracks(pipeline, view):
    seen = observations(pipeline.observe(view(HERE, THERE)))
    assert len({o.track for o in seen}) == 2


def test_at_most_max_faces_are_returned(tiny, view):
    one = load_pipeline(tiny, FaceSettings(threads=1, max_faces=1, max_saturated=0.9))
    assert len(observations(one.observe(view(HERE, THERE)))) == 1


def test_a_face_with_a_problem_has_no_embedding_and_no_pad_score(tiny, view):
    strict = load_pipeline(tiny, FaceSettings(threads=1, min_eye_px=400))
    (seen,) = strict.observe(view(HERE))
    assert seen.problem == "too_small"
    assert seen.quality is not None
    assert seen.embedding is None
    assert seen.pad_score is None


def test_a_photo_is_analysed_without_motion_or_tracks(pipeline, view):
    for _ in range(3):
        analysis = pipeline.analyse_photo(view(HERE))
        assert [o.track for o in analysis.observations] == [0]
    assert pipeline.observe(view(at=5.0)) == []


def test_a_photo_is_timed_at_every_stage(pipeline, view):
    analysis = pipeline.analyse_photo(view(HERE))
    assert tuple(analysis.timing_ms) == STAGES
    assert all(analysis.timing_ms[stage] > 0 for stage in ("detect", "quality", "pad", "embed"))


def test_enrolment_needs_a_larger_face(tiny, view):
    settings = FaceSettings(threads=1, min_enrol_eye_px=300, max_saturated=0.9)
    pipeline = load_pipeline(tiny, settings)
    assert pipeline.analyse_photo(view(HERE)).observations[0].problem is None
    assert pipeline.analyse_photo(view(HERE), for_enrolment=True).observations[0].problem == "too_small"


def test_the_same_view_gives_the_same_observation(pipeline, view):
    first, second = (pipeline.analyse_photo(view(HERE)).observations[0] for _ in range(2))
    assert first == second


def test_ready_reports_the_models_to_the_brain(pipeline):
    ready = pipeline.ready()
    assert (ready.model_set, ready.grade, ready.embedder, ready.dimension) == ("tiny", "demo", "fields", 48)
    assert (ready.threshold, ready.pad_threshold) == (0.7, 0.25)
    assert len(ready.embedder_sha256) == 64


def test_pictures_of_other_shapes_can_follow_each_other(pipeline, view):
    wide = view(HERE)
    small = Frame(np.ascontiguousarray(wide.main[:480, :640]), i420_from_rgb(wide.main[:240:2, :320:2]), 0.0, 0)
    for frame in (wide, small, wide):
        pipeline.analyse_photo(frame)
    assert pipeline.analyse_photo(wide).observations[0].embedding


@pytest.mark.parametrize("value", [0, 255])
def test_a_covered_or_blinded_camera_raises_nothing(pipeline, view, value):
    frame = view()
    frame = replace(frame, main=np.full_like(frame.main, value), lores=np.full_like(frame.lores, value))
    assert all(o.embedding is None for o in pipeline.analyse_photo(frame).observations)
