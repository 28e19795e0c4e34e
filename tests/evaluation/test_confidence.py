"""Bounds are exact where there is a closed form, and correct elsewhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.evaluation.confidence import Rate, beta_quantile, beta_share, bounds


def tail(k: int, n: int, p: float) -> float:
    """Return the probability of k errors or more in n trials."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize(
    ("errors", "n", "low", "high"),
    [
        (1, 10, 0.00253, 0.44502),
        (5, 10, 0.18709, 0.81291),
        (9, 10, 0.55498, 0.99747),
        (3, 1000, 0.000619, 0.008742),
        (200, 1000, 0.175622, 0.226159),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(errors, n, low, high):
    assert bounds(errors, n) == pytest.approx((low, high), abs=6e-6)


counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_at_a_bound_the_result_has_exactly_the_allowed_probability(trial):
    errors, n = trial
    low, high = bounds(errors, n)
    each = 0.05 if errors in (0, n) else 0.025
    if errors > 0:
        assert tail(errors, n, low) == pytest.approx(each, rel=1e-9)
    if errors < n:
        assert 1 - tail(errors + 1, n, high) == pytest.approx(each, rel=1e-6)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_bounds_contain_the_value(trial):
    rate = Rate.of(*trial)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


@given(st.integers(1, 10**7))
def test_the_rule_of_three_holds_without_errors(n):
    rate = Rate.of(0, n)
    assert rate.low == 0
    assert rate.high <= 3 / n
    assert n < 30 or rate.high > 2.8 / n


@given(st.integers(0, 200), st.integers(1, 400))
def test_more_trials_without_more_errors_lower_the_upper_bound(errors, more):
    n = errors + 10
    assert bounds(errors, n + more)[1] < bounds(errors, n)[1]


@given(st.integers(0, 500), st.integers(0, 500))
def test_bounds_of_errors_and_successes_are_symmetric(errors, right):
    n = errors + right
    if n:
        low, high = bounds(errors, n)
        mirrored_low, mirrored_high = bounds(right, n)
        assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low), abs=1e-9)


def test_the_share_of_a_beta_distribution_has_known_values():
    assert beta_share(0.3, 1, 1) == pytest.approx(0.3)  # the uniform distribution
    assert beta_share(0.5, 7, 7) == pytest.approx(0.5)
    assert beta_share(0.25, 2, 1) == pytest.approx(0.0625)  # x squared
    assert beta_share(0.25, 0.5, 0.5) == pytest.approx(1 / 3)  # the arcsine distribution
    assert (beta_share(0.0, 2, 3), beta_share(1.0, 2, 3), beta_share(-1, 2, 3)) == (0.0, 1.0, 0.0)


@given(st.floats(0.001, 0.999), st.floats(0.5, 5000), st.floats(0.5, 5000))
def test_the_quantile_undoes_the_share(share, a, b):
    assert beta_share(beta_quantile(share, a, b), a, b) == pytest.approx(share, abs=1e-6)


def test_large_counts_do_not_overflow():
    low, high = bounds(1, 430_000)
    assert low == pytest.approx(5.888e-08, rel=1e-3)
    assert high == pytest.approx(1.2957e-05, rel=1e-3)


@pytest.mark.parametrize("trial", [(-1, 3), (4, 3), (1, 0)])
def test_impossible_counts_are_refused(trial):
    with pytest.raises(ValueError, match="errors in"):
        Rate.of(*trial)


def test_without_trials_a_rate_has_no_value():
    rate = Rate.among([])
    assert (rate.value, rate.low, rate.high) == (None, 0.0, 1.0)
    assert str(rate) == "not measured (n = 0)"


def test_a_rate_as_text_has_n_and_bounds():
    assert str(Rate.of(5, 1200)) == "0.42 % (5 of 1,200; 0.14 % to 0.97 %)"
    assert str(Rate.of(1, 430_000)) == "0.00023 % (1 of 430,000; 5.9e-06 % to 0.0013 %)"


def test_zero_errors_read_as_below_three_in_n():
    assert str(Rate.of(0, 1000)) == "0 of 1,000, below 0.30 % (3/n)"
    assert str(Rate.of(0, 2)) == "0 of 2, below 100.0 % (3/n)"


def test_a_rate_counts_errors():
    assert Rate.among([True, False, False, True]) == Rate.of(2, 4)
