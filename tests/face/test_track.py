import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.track import Tracker
from gated.face.vision_messages import TrackEnded

HERE, THERE = (100.0, 100.0, 50.0, 60.0), (400.0, 100.0, 50.0, 60.0)
ANNA, BEN = np.eye(4, dtype=np.float32)[:2]


def moved(box, by):
    return (box[0] + by, *box[1:])


def test_a_still_face_is_one_track():
    tracker = Tracker(0.5)
    assert {tracker.follow([HERE], t / 10)[0][0] for t in range(50)} == {1}


def test_a_walking_face_is_one_track():
    tracker = Tracker(0.5)
    assert {tracker.follow([moved(HERE, 20 * t)], t / 10)[0][0] for t in range(50)} == {1}


def test_a_face_that_jumps_is_another_track():
    tracker = Tracker(0.5)
    assert tracker.follow([HERE], 0.0)[0] != tracker.follow([THERE], 0.1)[0]


def test_two_faces_keep_their_tracks_whatever_their_order():
    tracker = Tracker(0.5)
    (anna, ben), _ = tracker.follow([HERE, THERE], 0.0)
    assert tracker.follow([THERE, HERE], 0.1)[0] == [ben, anna]


def test_the_better_overlap_gets_the_track():
    tracker = Tracker(0.5)
    (anna,), _ = tracker.follow([HERE], 0.0)
    (near, nearest), _ = tracker.follow([moved(HERE, 20), moved(HERE, 2)], 0.1)
    assert nearest == anna
    assert near != anna


def test_an_unseen_face_keeps_its_track_and_then_ends_once():
    tracker = Tracker(0.5, patience_s=1.0)
    tracker.follow([HERE], 0.0)
    assert tracker.follow([], 0.9) == ([], [])
    assert tracker.alive
    assert tracker.follow([], 1.1) == ([], [TrackEnded(track=1, at=1.1)])
    assert not tracker.alive
    assert tracker.follow([], 1.2) == ([], [])


def test_a_face_that_returns_in_time_keeps_its_track():
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    tracker.follow([], 0.5)
    assert tracker.follow([HERE], 0.9) == ([1], [])


def test_a_face_that_returns_too_late_is_a_new_visit():
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    tracker.follow([], 1.5)
    assert tracker.follow([HERE], 1.6)[0] == [2]


def test_the_same_person_stays_on_the_track():
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    for t in range(5):
        assert tracker.confirm(1, ANNA, t / 10) == (1, None)


def test_another_person_in_the_place_ends_the_track():
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    tracker.confirm(1, ANNA, 0.0)
    assert tracker.confirm(1, BEN, 0.1) == (2, TrackEnded(track=1, at=0.1))
    assert tracker.follow([HERE], 0.2)[0] == [2]
    assert tracker.confirm(2, BEN, 0.2) == (2, None)


@pytest.mark.parametrize("similarity", [0.49, -1.0, float("nan")])
def test_a_score_below_the_threshold_is_another_person(similarity):
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    tracker.confirm(1, ANNA, 0.0)
    other = np.array([similarity, 0, 0, 0], np.float32)
    assert tracker.confirm(1, other, 0.1)[0] == 2


@pytest.mark.parametrize(("score", "track"), [(0.5, 1), (0.49, 2), (float("nan"), 2), (-float("inf"), 2)])
def test_the_score_of_a_track_is_that_of_the_model_set(score, track):
    """A centred set compares with the mean of its manifest. An odd score is another person."""
    tracker = Tracker(0.5, lambda first, second: score)
    tracker.follow([HERE], 0.0)
    tracker.confirm(1, ANNA, 0.0)
    assert tracker.confirm(1, ANNA, 0.1)[0] == track


def test_frames_without_an_embedding_keep_the_last_one():
    tracker = Tracker(0.5)
    tracker.follow([HERE], 0.0)
    tracker.confirm(1, ANNA, 0.0)
    for t in range(1, 5):
        tracker.follow([HERE], t / 10)
    assert tracker.confirm(1, BEN, 0.5)[0] == 2


frames = st.lists(
    st.tuples(
        st.floats(0.01, 2),
        st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300), st.floats(20, 200), st.floats(20, 200)), max_size=4),
        st.booleans(),
    ),
    max_size=20,
)


@given(frames)
def test_every_track_ends_once_and_never_returns(history):
    tracker, now, ended, seen = Tracker(0.5), 0.0, [], []
    for step, faces, changed in history:
        now += step
        ids, ends = tracker.follow(faces, now)
        assert len(set(ids)) == len(ids) == len(faces)
        ended += [end.track for end in ends]
        for track in ids:
            after, end = tracker.confirm(track, BEN if changed else ANNA, now)
            ended += [end.track] if end else []
            seen.append(after)
            assert after not in ended
    ended += [end.track for end in tracker.follow([], now + 10)[1]]
    assert len(ended) == len(set(ended))
    assert set(seen) <= set(ended)
    assert not tracker.alive
