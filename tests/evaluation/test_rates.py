"""Rates are exact on a handful of scores, and have the right shape on all others."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.evaluation.rates import (
    NoThresholdError,
    accepted,
    det,
    false_accepts,
    false_rejects,
    scores_of,
    threshold_for,
)

MATED = scores_of([0.9, 0.8, 0.7, 0.4])
NON_MATED = scores_of([0.5, 0.3, 0.2, 0.1, 0.0])

score_lists = st.lists(st.floats(-1, 1), min_size=1, max_size=60)


def test_a_score_at_the_threshold_is_accepted():
    assert accepted(MATED, 0.7) == 3
    assert accepted(MATED, math.nextafter(0.7, 1)) == 2


def test_false_accepts_and_rejects_at_a_threshold():
    assert (false_accepts(NON_MATED, 0.5).errors, false_accepts(NON_MATED, 0.5).n) == (1, 5)
    assert (false_rejects(MATED, 0.5).errors, false_rejects(MATED, 0.5).n) == (1, 4)
    assert false_accepts(NON_MATED, 0.51).errors == 0


def test_a_nan_score_is_never_accepted():
    odd = np.array([math.nan, -math.inf, 0.9])
    assert false_accepts(odd, -1.0).errors == 1
    assert false_rejects(odd, -1.0).errors == 2


def test_no_score_is_below_every_threshold():
    assert scores_of([None, 0.5]).tolist() == [-math.inf, 0.5]
    assert false_rejects(scores_of([None]), -1.0).errors == 1


def test_the_curve_has_every_point():
    curve = det(scores_of([0.9, 0.6]), scores_of([0.7, 0.1]))
    assert curve.thresholds[:-1].tolist() == [0.1, 0.6, 0.7, 0.9]
    assert curve.false_accepts.tolist() == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert curve.false_rejects.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]


@given(score_lists, score_lists)
def test_with_a_rising_threshold_false_accepts_fall_and_false_rejects_rise(mated, non_mated):
    curve = det(scores_of(mated), scores_of(non_mated))
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.false_accepts) <= 0).all()
    assert (np.diff(curve.false_rejects) >= 0).all()
    assert (curve.false_accepts[-1], curve.false_rejects[-1]) == (0.0, 1.0)


@given(score_lists, score_lists, st.floats(-1, 1))
def test_the_curve_agrees_with_the_rates(mated, non_mated, threshold):
    mated, non_mated = scores_of(mated), scores_of(non_mated)
    curve = det(mated, non_mated)
    place = int(np.searchsorted(curve.thresholds, threshold))
    if place < curve.thresholds.size:
        assert curve.false_accepts[place] == pytest.approx(false_accepts(non_mated, threshold).value)
        assert curve.false_rejects[place] == pytest.approx(false_rejects(mated, threshold).value)


def test_visits_without_a_score_count_in_the_curve():
    curve = det(scores_of([0.9, None]), scores_of([None, None, 0.2]))
    assert curve.false_rejects[0] == 0.5
    assert curve.false_accepts[0] == pytest.approx(1 / 3)


def test_a_curve_without_scores_is_empty():
    assert det(scores_of([]), scores_of([None])).thresholds.size == 0
    assert det(scores_of([]), scores_of([0.1])).false_rejects.tolist() == [0.0, 0.0]


def test_the_threshold_passes_as_many_searches_as_the_target_allows():
    maxima = scores_of(np.linspace(0.001, 1.0, 1000))
    threshold = threshold_for(0.003, maxima)
    assert threshold == pytest.approx(0.9971)
    assert false_accepts(maxima, threshold).errors == 3


def test_with_few_searches_the_threshold_is_above_all_scores():
    assert threshold_for(0.003, NON_MATED) == pytest.approx(0.5001)


def test_equal_scores_pass_only_if_the_target_allows_all():
    ties = scores_of([0.6, 0.6, 0.6, 0.1])
    assert threshold_for(0.5, ties) == pytest.approx(0.6001)
    assert threshold_for(0.75, ties) == pytest.approx(0.1001)
    assert threshold_for(1.0, ties) == 0.0


@pytest.mark.parametrize("top", [0.344, 0.0001, 0.0003, 0.29, 0.57, 0.9999, 0.99999, 1.0, 1.0001, 0.0, 17.3])
def test_a_target_of_zero_passes_no_stranger(top):
    """0.344 * 10,000 is 3439.9999999999995: the next step above it was the score itself."""
    for score in (top, math.nextafter(top, 2 * top + 1), math.nextafter(top, -1)):
        maxima = scores_of([score])
        threshold = threshold_for(0.0, maxima)
        assert false_accepts(maxima, threshold).errors == 0
        assert threshold == 0.0 or false_accepts(maxima, round(threshold - 0.0001, 4)).errors == 1


def test_the_threshold_for_a_score_on_a_step_is_the_next_step():
    for step in range(10_201):
        assert threshold_for(0.0, scores_of([step / 10_000])) == (step + 1) / 10_000


target_shares = st.floats(0, 1) | st.sampled_from([0.1, 0.29, 0.3, 1 / 3, 0.57, 0.58, 0.7, 0.999])
steps = st.integers(-10_000, 10_200).map(lambda step: step / 10_000)
any_score = st.floats(-1.1, 1.1) | st.floats(-1, 1, width=32) | steps | st.sampled_from([math.nan, math.inf, -math.inf])


@given(st.lists(any_score, min_size=1, max_size=60), target_shares)
def test_the_threshold_is_the_lowest_that_keeps_the_target(maxima, target):
    maxima = scores_of(maxima)
    threshold = threshold_for(target, maxima)
    assert threshold >= 0.0
    assert false_accepts(maxima, threshold).value <= target
    step = round(threshold * 10_000)
    assert threshold == step / 10_000
    if step:
        assert false_accepts(maxima, (step - 1) / 10_000).value > target


@given(st.lists(st.floats(0, 1) | st.just(math.nan) | st.none(), min_size=1, max_size=40))
def test_odd_maxima_never_lower_the_threshold(maxima):
    sane = [s for s in maxima if s is not None and not math.isnan(s)]
    if sane:
        assert threshold_for(0.0, scores_of(maxima)) == threshold_for(0.0, scores_of(sane))


def test_an_infinite_maximum_does_not_change_the_threshold():
    """At the gate only a finite score counts. One infinite maximum once made the threshold 0 for all others."""
    odd = scores_of([math.inf, 0.9, 0.4])
    assert threshold_for(0.0, odd) == pytest.approx(0.9001)
    assert threshold_for(0.0, scores_of([math.inf])) == 0.0
    assert false_accepts(odd, 0.5).errors == 1
    assert det(scores_of([0.5]), odd).false_accepts.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3, 0.0])


@pytest.mark.parametrize("target", [-0.1, 1.1, math.nan, math.inf, -math.inf])
def test_a_target_outside_zero_to_one_is_refused(target):
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        threshold_for(target, NON_MATED)


def test_without_searches_there_is_no_threshold():
    with pytest.raises(NoThresholdError):
        threshold_for(0.003, scores_of([]))


def test_strangers_without_a_score_need_no_threshold():
    assert threshold_for(0.003, scores_of([None] * 10)) == 0.0
