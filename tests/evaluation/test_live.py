"""PAD alone judges a presentation, by the rules of a visit; nothing odd passes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.face_policy import FaceRules
from gated.doctor.attack_rates import ShownRate
from gated.evaluation.confidence import bounds
from gated.evaluation.live import Presentation, rates_of
from gated.face.vision_messages import Observation, TrackEnded
from tests.evaluation.conftest import DIMENSION, axis

RULES = FaceRules(threshold=0.5, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)


def look(frame, pad_score=0.9, *, track=1, problem=None):
    data = axis(0).astype("<f4").tobytes()
    usable = problem is None and pad_score is not None
    return Observation(
        track, frame, 100 + frame / 10, (0.0, 0.0, 10.0, 10.0), 0.9, None, problem, pad_score, data if usable else None
    )


def shown(*seen):
    presentation = Presentation(RULES, DIMENSION)
    for message in seen:
        presentation.observe(message)
    return presentation.end()


def test_a_face_that_pad_takes_for_living_passes():
    assert shown(*(look(n) for n in range(4))) == "passed"


def test_a_face_that_pad_takes_for_an_attack_is_refused():
    assert shown(*(look(n, 0.1) for n in range(4))) == "refused"


def test_a_visit_that_ends_undecided_is_refused():
    assert shown(look(0), look(1, 0.1), look(2), look(3, 0.1), TrackEnded(1, 101.0)) == "refused"


@pytest.mark.parametrize(
    "seen", [[], [look(0)], [look(0), look(1)], [look(n, None, problem="blurred") for n in range(9)]]
)
def test_too_few_usable_frames_are_no_answer(seen):
    assert shown(*seen) == "unanswered"


def test_the_holders_own_face_beside_the_picture_spoils_a_presentation():
    seen = [look(n, pad, track=track) for n in range(4) for track, pad in ((1, 0.1), (2, 0.9))]
    assert shown(*seen) == "crowd"


def test_people_in_the_background_do_not_spoil_it():
    seen = [message for n in range(4) for message in (look(n, 0.1), look(n, None, track=2, problem="background"))]
    assert shown(*seen) == "refused"


def test_only_the_first_decision_counts():
    presentation = Presentation(RULES, DIMENSION)
    for message in (*(look(n, 0.1) for n in range(3)), TrackEnded(1, 100.3), *(look(n, track=2) for n in range(4, 8))):
        presentation.observe(message)
    assert presentation.end() == "refused"


@given(st.lists(st.one_of(st.floats(), st.none()), max_size=12))
def test_a_presentation_passes_only_with_enough_frames_above_the_pad_threshold(scores):
    answer = shown(*(look(n, score) for n, score in enumerate(scores)))
    good = [score is not None and math.isfinite(score) and score >= RULES.pad_threshold for score in scores]
    if answer == "passed":
        assert sum(good) >= RULES.frames
    if not any(score is not None for score in scores):
        assert answer == "unanswered"


def test_rates_are_by_species_with_exact_bounds():
    answers = [("bona fide", "passed")] * 9 + [("bona fide", "refused")]
    answers += [("print", "passed")] * 2 + [("print", "refused")] * 8 + [("print", "unanswered")]
    bona_fide, prints = rates_of(answers)
    assert bona_fide == ShownRate("bona fide", 1, 10, *bounds(1, 10), 0)
    assert prints == ShownRate("print", 2, 10, *bounds(2, 10), 1)


def test_a_presentation_without_an_answer_is_no_trial():
    assert rates_of([("phone", "unanswered")]) == (ShownRate("phone", 0, 0, 0.0, 1.0, 1),)
    assert rates_of([]) == ()
