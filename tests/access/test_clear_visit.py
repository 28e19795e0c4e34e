"""A clear visit needs two frames only. Nothing doubtful, odd or changed is ever clear."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.access.face_calibration import rules_for
from gated.access.face_evidence import LOOK_SLACK
from gated.access.face_policy import FaceReason, FaceRules, LookVerdict, Recognition, decide_visit, judge_look
from gated.access.pad_evidence import PadRates, is_clearly_bona_fide
from gated.access.visits import Visits
from gated.config import AccessSettings, ModelSettings
from gated.face.manifest import load_set
from gated.face.vision_messages import Observation, Quality, ready_with
from gated.gallery.search import Candidate, Index, Row
from gated.types import TrackId

RULES = FaceRules(
    threshold=0.42, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0, clear_frames=2
)
SURE, DOUBTFUL = 0.995, 0.97
ODD = [math.nan, math.inf, -math.inf, -0.1, 1.1]


def look(score=0.7, pad=SURE, subject="a", own=None, status="active"):
    return judge_look([Candidate(subject, "1", score, status)], pad, RULES, own=own or {})


def decided(looks, visit=None, rules=RULES, others=(), **how):
    """Return the decision after these looks, and after `others` before them that began the evidence anew."""
    recognition = Recognition(visit or looks[-1], looks)
    return decide_visit([*others, *looks], 0.2, False, rules, recognition=recognition, **how)


def test_two_clear_frames_of_one_person_open():
    found = decided([look(), look()])
    assert (found.grant, found.subject, found.frames, found.pad_score) == (True, "a", 2, SURE)


def test_one_clear_frame_decides_nothing():
    assert decided([look(0.99, 0.9999)]) is None


def test_without_the_rule_two_frames_decide_nothing():
    assert decided([look(), look()], rules=replace(RULES, clear_frames=None)) is None
    assert decided([look(), look()], rules=replace(RULES, clear_frames=3)) is None


@pytest.mark.parametrize(
    "looks",
    [
        [look(pad=DOUBTFUL), look()],
        [look(), look(pad=DOUBTFUL)],
        [look(RULES.threshold - 0.01), look()],
        [look(subject="b"), look()],
        [look(), LookVerdict(FaceReason.ODD)],
        [look(pad=0.2), look()],
        [look(status="suspended"), look()],
    ],
)
def test_one_doubtful_look_makes_a_visit_unclear(looks):
    assert decided(looks, visit=look(0.8)) is None


def test_a_visit_a_little_above_the_threshold_is_not_clear():
    near = RULES.threshold + LOOK_SLACK
    assert decided([look(), look()], visit=look(math.nextafter(near, 0))) is None
    assert decided([look(), look()], visit=look(near)).grant


def test_each_look_may_score_down_to_the_threshold():
    assert decided([look(RULES.threshold), look(0.8)], visit=look(0.6)).grant


def test_a_look_before_the_evidence_makes_a_visit_unclear():
    """Another face may have been on the same track."""
    assert decided([look(), look()], others=[look(subject="b")]) is None


def test_a_person_with_a_threshold_of_their_own_is_clear_above_that():
    own = {"a": 0.65}
    assert decided([look(0.7, own=own)] * 2, visit=look(0.74, own=own)) is None
    assert decided([look(0.7, own=own)] * 2, visit=look(0.76, own=own)).grant


def test_a_rival_of_another_household_makes_a_visit_unclear():
    near = [Candidate("a", "1", 0.8, "active"), Candidate("b", "2", 0.78, "active")]
    assert decided([look(), look()], visit=judge_look(near, SURE, RULES)) is None


@pytest.mark.parametrize("plane", [-0.01, -2.0, math.nan, -math.inf])
def test_motion_as_a_plane_makes_a_visit_unclear(plane):
    assert decided([look(), look()], plane=plane) is None


@pytest.mark.parametrize("plane", [None, 0.0, -0.0])
def test_no_evidence_from_motion_leaves_a_visit_clear(plane):
    assert decided([look(), look()], plane=plane).grant


def test_a_stricter_bound_after_attacks_needs_surer_frames():
    assert decided([look(), look()], pad_bound=0.9) is None
    assert decided([look(pad=0.9999), look(pad=0.9999)], pad_bound=0.9).grant


@pytest.mark.parametrize("odd", [*ODD, None])
def test_an_odd_pad_score_is_never_clear(odd):
    assert not is_clearly_bona_fide([SURE, odd], None, pad_threshold=0.5, rates=PadRates())


def test_no_score_is_never_clear():
    assert not is_clearly_bona_fide([], None, pad_threshold=0.5, rates=PadRates())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.none() | st.floats(), st.none() | st.floats(0.5, 1))
def test_clear_pad_scores_are_above_threshold_and_bound_by_more_than_four_log_odds(scores, plane, bound):
    if is_clearly_bona_fide(scores, plane, pad_threshold=0.5, bound=bound, rates=PadRates()):
        least = max(0.5, bound or 0.0)
        odds = math.exp(4.17) * least / max(1 - least, 1e-12)
        assert min(scores) >= odds / (1 + odds) - 1e-3
        assert plane is None or plane >= 0


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.sampled_from("ab")), min_size=1, max_size=2),
    st.floats(-1, 1),
)
def test_a_grant_before_three_frames_is_always_clear(found, score):
    looks = [look(*each) for each in found]
    decision = decided(looks, visit=look(score, found[-1][1], found[-1][2]))
    if decision is not None and decision.grant:
        assert len(looks) == 2
        assert {each.subject for each in looks} == {decision.subject}
        assert decision.score >= RULES.threshold + LOOK_SLACK
        assert min(each.pad_score for each in looks) > 0.98
        assert min(each.score for each in looks) >= RULES.threshold


def test_the_settings_never_ask_for_more_frames_in_a_clear_visit():
    ready = ready_with(load_set(ModelSettings(set="courtyard")))
    assert rules_for(AccessSettings(), ready).clear_frames == 2
    assert rules_for(AccessSettings(frames=1), ready).clear_frames == 1
    assert rules_for(AccessSettings(clear_frames=9), ready).clear_frames == 3


PERSON = np.eye(8, dtype=np.float32)[0]
INDEX = Index([Row("a", "1", "active", PERSON)], 8)


def near_person(angle):
    """Return a unit vector at this angle from the person, in radians."""
    return np.float32(math.cos(angle)) * PERSON + np.float32(math.sin(angle)) * np.eye(8, dtype=np.float32)[1]


def seen(at, pad=SURE, problem=None, angle=None):
    """Return a look at the person. `angle`: in radians from the person; by default another one at each time."""
    angle = at / 100 if angle is None else angle
    data = None if problem else near_person(angle).astype("<f4").tobytes()
    quality = Quality(80.0, 300.0, 120.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    return Observation(TrackId(1), int(at * 10), at, (0, 0, 10, 10), 0.9, quality, problem, pad, data)


def outcomes(*observations):
    visits = Visits(lambda probe: INDEX.search(probe, 5), 8, RULES)
    return [visits.observe(each, each.frame_at + 0.05) for each in observations]


def test_a_resident_is_let_in_at_the_second_clear_frame():
    first, second = outcomes(seen(1.0), seen(1.1))
    assert first is None
    assert second.decision.grant


def test_one_picture_delivered_twice_is_not_two_clear_frames():
    frozen = outcomes(*(seen(1 + i / 10, angle=0.0) for i in range(3)))
    assert [each is not None for each in frozen] == [False, False, True], "three frames, as in any other visit"


def test_one_picture_around_a_blurred_frame_is_not_two_clear_frames():
    assert outcomes(seen(1.0, angle=0.0), seen(1.1, None, "blurred"), seen(1.2, angle=0.0)) == [None] * 3


def test_one_frame_delivered_twice_is_one_frame():
    assert outcomes(seen(1.0), seen(1.0, angle=0.1), seen(1.0)) == [None] * 3


@pytest.mark.parametrize("turn", [math.nan, math.inf])
def test_a_look_that_is_not_finite_never_makes_a_clear_visit(turn):
    odd = np.full(8, turn, "<f4").tobytes()
    assert outcomes(seen(1.0), replace(seen(1.1), embedding=odd), seen(1.2)) == [None] * 3


def test_two_people_on_one_track_in_turn_are_never_clear():
    other = math.pi / 2
    found = outcomes(*(seen(1 + i / 10, angle=(0.0, other)[i % 2] + i / 1000) for i in range(8)))
    assert not any(each is not None and each.decision.grant for each in found)


def test_a_stranger_after_the_first_clear_frame_of_a_track_gets_no_grant():
    found = outcomes(seen(1.0), *(seen(1.1 + i / 10, angle=math.pi / 2 + i / 1000) for i in range(8)))
    assert not any(each is not None and each.decision.grant for each in found)


def test_a_blurred_frame_before_does_not_make_a_visit_unclear():
    blurred, first, second = outcomes(seen(1.0, None, "blurred"), seen(1.1), seen(1.2))
    assert (blurred, first) == (None, None)
    assert second.decision.grant


def test_a_doubtful_first_frame_needs_the_usual_three():
    assert [each is not None for each in outcomes(*(seen(1 + i / 10, DOUBTFUL) for i in range(3)))] == [0, 0, 1]
