import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.pad_evidence import FRAME_LIMIT, PLANE_LIMIT, PadFinding, PadRates, evidence, judge_pad
from gated.face.log_odds import log_odds, probability

RATES = PadRates()
ODD = [math.nan, math.inf, -math.inf, -0.1, 1.1, None]
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=20)
PLANES = st.none() | st.floats()


def judged(scores, plane=None, *, frames=3, pad_threshold=0.5, rates=RATES, bound=None):
    return judge_pad(scores, plane, pad_threshold=pad_threshold, bound=bound, rates=rates, frames=frames)


def odds(*numbers):
    return [probability(number) for number in numbers]


def test_the_bounds_are_those_of_wald():
    attack, bona_fide = PadRates(bpcer=0.03, apcer=0.1).bounds
    assert attack == pytest.approx(math.log(0.03 / 0.9))
    assert bona_fide == pytest.approx(math.log(0.97 / 0.1))


@given(bpcer=st.floats(0.0001, 0.49), apcer=st.floats(0.0001, 0.49))
def test_stricter_rates_need_more_evidence(bpcer, apcer):
    attack, bona_fide = PadRates(bpcer=bpcer, apcer=apcer).bounds
    assert attack < 0 < bona_fide
    assert PadRates(bpcer=bpcer, apcer=apcer / 2).bounds[1] > bona_fide
    assert PadRates(bpcer=bpcer / 2, apcer=apcer).bounds[0] < attack


def test_clear_scores_decide_at_once():
    assert judged([0.99, 0.98, 0.99]) is PadFinding.BONA_FIDE
    assert judged([0.01, 0.02, 0.01]) is PadFinding.ATTACK


def test_too_few_frames_decide_nothing():
    assert judged([]) is PadFinding.UNDECIDED
    assert judged([1.0, 1.0]) is PadFinding.UNDECIDED
    assert judged([0.0, 0.0]) is PadFinding.UNDECIDED


@pytest.mark.parametrize("doubtful", [[0.7, 0.6, 0.8], [0.3, 0.4, 0.2], [0.8, 0.1, 0.6]])
def test_doubtful_scores_wait_for_more_frames(doubtful):
    assert judged(doubtful) is judged([*doubtful, *doubtful[:2]]) is PadFinding.UNDECIDED


def test_the_sign_decides_a_doubtful_visit_at_twice_the_frames():
    assert judged([0.7, 0.6, 0.8] * 2) is PadFinding.BONA_FIDE
    assert judged([0.3, 0.4, 0.2] * 2) is PadFinding.ATTACK


def test_stricter_rates_need_more_frames():
    assert judged([0.9] * 3) is PadFinding.BONA_FIDE
    assert judged([0.9] * 3, rates=PadRates(apcer=0.01)) is PadFinding.UNDECIDED


def test_a_strict_bound_denies_and_makes_no_attack():
    assert judged([0.8] * 6, bound=0.9) is PadFinding.UNDECIDED
    assert judged([0.8] * 6, bound=0.7) is PadFinding.BONA_FIDE
    assert judged([0.8] * 6, bound=0.1) is judged([0.8] * 6)
    assert judged([0.4] * 6, bound=0.9) is PadFinding.ATTACK


def test_good_frames_do_not_pay_for_a_print_that_comes_after_them():
    assert judged([1.0] * 9) is PadFinding.BONA_FIDE
    assert judged([*[1.0] * 9, 0.01, 0.01, 0.01]) is not PadFinding.BONA_FIDE


def test_more_frames_of_the_same_kind_are_no_more_evidence():
    assert evidence([0.7] * 3, None, 0.5) == pytest.approx(evidence([0.7] * 300, None, 0.5))


def test_one_good_frame_does_not_make_up_for_bad_ones():
    assert judged([1.0, 0.05, 0.05, 0.05]) is not PadFinding.BONA_FIDE
    assert judged([1.0, *[0.05] * 8]) is PadFinding.ATTACK


def test_the_threshold_of_the_set_shifts_the_evidence():
    assert evidence([0.9], None, 0.5) - evidence([0.9], None, 0.7) == pytest.approx(log_odds(0.7))
    assert judged([0.95] * 3, pad_threshold=0.5) is PadFinding.BONA_FIDE
    assert judged([0.95] * 3, pad_threshold=0.9) is PadFinding.UNDECIDED


def test_the_motion_of_a_plane_decides_a_doubtful_visit():
    doubtful = odds(1.0, 1.0, 1.0)
    assert judged(doubtful) is PadFinding.UNDECIDED
    assert judged(doubtful, 2.0) is PadFinding.BONA_FIDE
    assert judged(doubtful * 2, -2.0) is PadFinding.ATTACK


@given(plane=PLANES)
def test_motion_never_overrules_clear_scores(plane):
    assert judged(odds(5.0, 5.0, 5.0), plane) is PadFinding.BONA_FIDE
    assert judged(odds(-6.0, -6.0, -6.0), plane) is PadFinding.ATTACK


def test_no_motion_is_neutral():
    assert evidence([0.8], None, 0.5) == evidence([0.8], 0.0, 0.5)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_score_counts_as_the_clearest_attack(odd):
    assert evidence([odd], None, 0.5) == -FRAME_LIMIT
    assert judged([odd] * 9, 2.0) is PadFinding.ATTACK
    assert judged([0.9, odd, 0.9]) is not PadFinding.BONA_FIDE


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_odd_motion_counts_against_the_visit(odd):
    assert evidence([0.5], odd, 0.5) == -PLANE_LIMIT


@given(scores=st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=9), plane=PLANES)
def test_the_evidence_is_finite_and_bounded(scores, plane):
    found = evidence(scores, plane, 0.5)
    assert found is not None
    assert abs(found) <= FRAME_LIMIT + PLANE_LIMIT


@given(scores=SCORES, plane=st.none() | st.floats(-5, 5), better=st.floats(0, 1), at=st.integers(0, 19))
def test_a_better_score_never_lowers_the_evidence(scores, plane, better, at):
    raised = [max(s, better) if i == at else s for i, s in enumerate(scores)]
    assert evidence(raised, plane, 0.5) >= evidence(scores, plane, 0.5) - 1e-12


@given(scores=st.lists(st.none() | st.floats(), max_size=12), plane=PLANES)
def test_bona_fide_needs_enough_frames_and_positive_evidence(scores, plane):
    if judged(scores, plane) is PadFinding.BONA_FIDE:
        found = evidence(scores, plane, 0.5)
        assert len(scores) >= 3
        assert found is not None
        assert found >= (0 if len(scores) >= 6 else RATES.bounds[1])
