"""The PIN budget: the time a stranger must guess, as reported to a site."""

import pytest

from gated.pin.budget import YEAR_DAYS, GuessLimits, duration_text, guess_days, space

PLAIN, BY_FLAT = GuessLimits(12, 10, by_household=False), GuessLimits(12, 10, by_household=True)


def test_72_households_with_two_pins_each_have_a_budget_of_a_year():
    found = guess_days([2] * 72, 0, 6, PLAIN)
    assert (found.pins, found.is_short) == (144, False)
    assert found.days == found.plain_days == pytest.approx(783_000 / 145 / 12, rel=0.01)


def test_a_large_site_has_weeks_with_plain_pins_and_a_year_with_flat_numbers():
    large = [3] * 1188 + [1] * 36
    assert guess_days(large, 0, 6, PLAIN).days < 30
    assert guess_days(large, 0, 6, BY_FLAT).days > 365
    assert not guess_days(large, 0, 7, BY_FLAT).is_short


def test_the_budget_assumes_that_the_household_with_the_most_pins_is_tried_first():
    even, uneven = guess_days([2] * 100, 0, 6, BY_FLAT), guess_days([20] * 10 + [0] * 90, 0, 6, BY_FLAT)
    assert uneven.days < even.days


def test_duress_pins_and_second_keypads_cost_time():
    assert guess_days([2] * 9, 0, 6, PLAIN).days < guess_days([1] * 9, 0, 6, PLAIN).days
    two = GuessLimits(12, 10, by_household=False, doors=2)
    assert guess_days([1] * 9, 0, 6, two).plain_days == pytest.approx(guess_days([1] * 9, 0, 6, PLAIN).plain_days / 2)


def test_with_required_flat_numbers_pins_without_one_cannot_be_guessed():
    assert (guess_days([], 40, 6, BY_FLAT).days, guess_days([], 40, 6, BY_FLAT).shut_out) == (None, 40)
    assert guess_days([], 40, 6, PLAIN).shut_out == 0
    assert guess_days([], 40, 6, PLAIN).days < YEAR_DAYS * 10


def test_without_pins_the_budget_is_unlimited():
    assert (guess_days([], 0, 6, PLAIN).days, guess_days([0], 0, 6, BY_FLAT).is_short) == (None, False)


def test_longer_pins_take_longer_to_guess():
    days = [guess_days([2] * 72, 0, digits, PLAIN).days for digits in range(4, 13)]
    assert days == sorted(days)
    assert space(1) == space(4)


@pytest.mark.parametrize(
    ("days", "words"), [(0.05, "1 hour"), (0.001, "1 hour"), (1.5, "36 hours"), (300, "300 days"), (4000, "11 years")]
)
def test_the_budget_has_a_text(days, words):
    assert duration_text(days) == words
