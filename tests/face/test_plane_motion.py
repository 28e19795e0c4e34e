import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.plane_motion import MOST_AGAINST, MOST_TRACKS, PlaneMotion, least_share, log_odds_of
from gated.face.surround import Moved
from gated.frame import Frame
from tests.face.test_surround import headrest, paper, umbrella, view

WALK = [(150.0 + 4 * i, 120.0 + i, 34.0 + 3 * i) for i in range(6)]


def frame(place, at, **more):
    """Return a frame of 1280 x 960 px with this small picture. Colours are not looked at."""
    brightness = view(place, **more)
    lores = np.concatenate([brightness, np.full((120, 320), 128, np.uint8)])
    return Frame(np.zeros((960, 1280, 3), np.uint8), lores, at, 0)


def box(place):
    """Return the face's box in px of the main picture."""
    x, y, size = (4 * v for v in place)
    return x - size / 2, y - size / 2, size, size


def walked(motion, places=WALK, track=1, step_s=0.2, **more):
    return [motion.follow(track, box(p), frame(p, i * step_s, **more)) for i, p in enumerate(places)]


def test_paper_is_strong_evidence_after_a_few_steps():
    found = walked(PlaneMotion(), covers=paper)
    assert found[0] is None
    assert found[-1] == -MOST_AGAINST


@pytest.mark.parametrize("things", [{}, {"covers": umbrella}, {"covers": headrest}])
def test_a_head_is_no_evidence_against_a_face(things):
    assert walked(PlaneMotion(), **things)[-1] == 0.0


def test_standing_still_is_neutral():
    assert walked(PlaneMotion(), [WALK[0]] * 8, covers=paper) == [None] * 8


def test_a_small_movement_adds_up_until_it_can_be_measured():
    slow = [(150.0 + 0.5 * i, 120.0, 40.0) for i in range(20)]
    assert walked(PlaneMotion(), slow, covers=paper, step_s=0.1)[-1] == -MOST_AGAINST


def test_frames_far_apart_are_not_compared():
    assert walked(PlaneMotion(), covers=paper, step_s=4.0) == [None] * len(WALK)


def test_a_clock_that_goes_back_is_survived():
    motion = PlaneMotion()
    assert [motion.follow(1, box(p), frame(p, -0.1 * i)) for i, p in enumerate(WALK)] == [None] * len(WALK)


def test_tracks_are_apart():
    motion = PlaneMotion()
    for i, place in enumerate(WALK):
        motion.follow(1, box(place), frame(place, 0.2 * i, covers=paper))
    assert motion.follow(2, box(WALK[-1]), frame(WALK[-1], 2.0, covers=paper)) is None


def test_another_person_on_the_track_begins_anew():
    motion = PlaneMotion()
    walked(motion, covers=paper)
    motion.renumber(1, 2)
    motion.renumber(7, 8)
    assert motion.follow(2, box(WALK[-1]), frame(WALK[-1], 1.1, covers=paper)) is None


def test_an_ended_track_is_forgotten():
    motion = PlaneMotion()
    walked(motion, covers=paper)
    motion.end(1)
    motion.end(1)
    assert motion.follow(1, box(WALK[-1]), frame(WALK[-1], 1.1, covers=paper)) is None


def test_the_log_odds_come_from_the_sums_of_the_track():
    motion = PlaneMotion()
    found = walked(motion, covers=paper)
    assert least_share(motion.moved(1)) > 0.3
    assert log_odds_of(motion.moved(1)) == found[-1]
    assert motion.moved(2) == Moved()


def test_few_tracks_are_kept():
    motion = PlaneMotion()
    for track in range(100):
        motion.follow(track, box(WALK[0]), frame(WALK[0], 0.0))
    assert len(motion._tracks) == MOST_TRACKS


def test_another_size_of_the_picture_begins_anew():
    motion = PlaneMotion()
    walked(motion, covers=paper)
    small = Frame(np.zeros((960, 1280, 3), np.uint8), np.zeros((90, 80), np.uint8), 1.1, 0)
    assert motion.follow(1, box(WALK[-1]), small) is None


@given(st.tuples(*[st.floats()] * 4))
def test_no_box_fails(odd):
    motion = PlaneMotion()
    walked(motion, WALK[:2])
    found = motion.follow(1, odd, frame(WALK[2], 0.4))
    assert found is None or -MOST_AGAINST <= found <= 0


@pytest.mark.parametrize("side", range(3))
def test_each_side_alone_saves_a_face(side):
    along, stayed = [20, 20, 20], [0, 0, 0]
    along[side], stayed[side] = 0, 20
    assert log_odds_of(Moved(tuple(along), tuple(stayed))) == 0.0
    stayed[side] = 0
    assert log_odds_of(Moved(tuple(along), tuple(stayed))) is None


counts = st.tuples(*[st.integers(0, 500)] * 3)


@given(counts, counts)
def test_the_evidence_is_bounded_and_never_for_a_face(along, stayed):
    found = log_odds_of(Moved(along, stayed))
    assert found is None or (math.isfinite(found) and -MOST_AGAINST <= found <= 0)


@given(counts, counts, st.integers(0, 2))
def test_more_blocks_that_move_along_never_speak_for_the_face(along, stayed, side):
    more = tuple(n + (i == side) for i, n in enumerate(along))
    one, other = log_odds_of(Moved(along, stayed)), log_odds_of(Moved(more, stayed))
    assert one is None or (other is not None and other <= one)
