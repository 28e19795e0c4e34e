import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.log_odds import LEAST_PROBABILITY, log_odds, probability


@given(st.floats(0.001, 0.999))
def test_there_and_back(score):
    assert probability(log_odds(score)) == pytest.approx(score)


@given(st.floats())
def test_every_number_gives_finite_log_odds_and_a_probability(number):
    assert math.isfinite(log_odds(number))
    assert 0 <= probability(number) < 1


def test_odd_log_odds_deny():
    assert probability(math.nan) == probability(math.inf) == probability(-math.inf) == 0.0
    assert log_odds(math.nan) == log_odds(-1.0) == log_odds(2.0) == log_odds(0.0)
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0)) == pytest.approx(math.log(LEAST_PROBABILITY), abs=1e-5)
