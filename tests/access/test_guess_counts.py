"""The PIN budget limits a person who guesses at a keypad, whatever the strategy. A simulation confirms the figures."""

import random
from itertools import pairwise
from math import inf, nan

import pytest

from gated.access.guess_counts import HOUR_S, GuessCounts
from gated.config import ReaderSettings
from gated.pin.budget import DAY_S, SLOWEST_S, GuessLimits, guess_days

SETTINGS = ReaderSettings()
MINUTE_S = 60.0


def guess(guesses, now, households=None, door="main"):
    """Try one wrong PIN. Return whether the gate checked it."""
    return guesses.begin(door, households, now) is not None


def looked_at(guesses, until_s, every_s, households=lambda n: None):
    """Try a wrong PIN every `every_s` seconds. Return the times at which the gate checked it."""
    return [n * every_s for n in range(int(until_s / every_s)) if guess(guesses, n * every_s, households(n))]


def most_within(times, span_s):
    return max(sum(begin <= at < begin + span_s for at in times) for begin in times)


@pytest.mark.parametrize("every_s", [2.5, 12.5, 15.1, 61.0, 450.1])
def test_no_guessing_pace_exceeds_the_caps(every_s):
    times = looked_at(GuessCounts(SETTINGS), 3 * DAY_S, every_s)
    assert most_within(times, HOUR_S) <= SETTINGS.attempts_hour
    assert most_within(times, DAY_S) <= SETTINGS.attempts_day
    assert len(times) <= 3 * SETTINGS.attempts_day


def test_each_rest_is_longer_than_the_one_before():
    times = looked_at(GuessCounts(SETTINGS), HOUR_S, 1.0)
    waits = [after - before for before, after in pairwise(times)]
    assert waits == pytest.approx([1, 1, 1, 1, 60, 120, 240], abs=1.5)


def test_no_success_of_any_person_restores_a_guess():
    guesses, made = GuessCounts(SETTINGS), 0
    for n in range(2000):  # a resident enters before and after each guess
        for now in (n * 30.0, n * 30.0 + 10):
            if (right := guesses.begin("main", None, now)) is not None:
                guesses.remove_correct(right)
        made += guess(guesses, n * 30.0 + 5)
    assert made <= SETTINGS.attempts_day


def test_a_granted_pin_counts_nowhere():
    guesses = GuessCounts(SETTINGS)
    for n in range(1000):
        right = guesses.begin("main", ["2-401"], float(n))
        guesses.remove_correct(right)
    assert not guesses.has_counts


def test_repeated_digits_are_one_guess():
    guesses = GuessCounts(SETTINGS)
    assert all(guesses.begin("main", None, float(n), b"the same") for n in range(100))
    assert sum(guess(guesses, 100.0) for _ in range(10)) == SETTINGS.attempts - 1


def test_each_door_has_its_own_budget():
    guesses = GuessCounts(SETTINGS)
    looked_at(guesses, HOUR_S, 1.0)
    assert not guess(guesses, HOUR_S - 1)
    assert guess(guesses, HOUR_S - 1, door="second")


def test_guesses_against_one_household_rest_only_that_household():
    guesses = GuessCounts(SETTINGS)
    times = looked_at(guesses, DAY_S, 7.0, lambda n: ["2-401"])
    assert most_within(times, HOUR_S) <= SETTINGS.household_hour
    assert len(times) <= SETTINGS.household_day
    assert guess(guesses, DAY_S - 1, ["3-502"])


def test_a_pin_alone_counts_for_the_households_whose_face_waits():
    guesses = GuessCounts(SETTINGS)
    for now in range(SETTINGS.attempts):
        assert guesses.begin("main", None, now, waiting=["2401"]) is not None
    assert not guess(guesses, 10, ["2401"])
    assert guess(guesses, 10, ["2402"])
    assert not guess(guesses, 10), "the PINs of the door rest too"


def test_a_resting_household_gets_no_more_guesses_by_its_face():
    guesses = GuessCounts(SETTINGS)
    for now in range(SETTINGS.attempts):
        guess(guesses, now, ["2401"], "second")
    assert guesses.begin("main", None, 10, waiting=["2401"]) is None
    assert guesses.begin("main", None, 10) is not None


def test_while_pins_rest_a_pin_after_a_flat_number_waits_at_most_three_minutes():
    guesses = GuessCounts(SETTINGS)
    looked_at(guesses, HOUR_S, 1.0)
    assert not guess(guesses, HOUR_S - 1)
    assert guesses.begin("main", ["2-401"], HOUR_S - 1)
    for n in range(5000):  # a vandal uses up the guesses of all other flats
        guess(guesses, HOUR_S + n, [f"{n % 900}"])
    assert guesses.begin("main", ["2-401"], HOUR_S + 5000 + SLOWEST_S)


def test_a_flat_number_shared_by_two_households_counts_for_both():
    guesses = GuessCounts(SETTINGS)
    times = looked_at(guesses, DAY_S, 60.0, lambda n: ["3-25-01", "32-5-01"] if n % 2 else ["3-25-01"])
    assert len(times) <= SETTINGS.household_day
    assert not guess(guesses, DAY_S - 1, ["3-25-01"])


def test_unknown_flat_numbers_slow_the_door_like_known_ones():
    guesses = GuessCounts(SETTINGS)
    assert len(looked_at(guesses, DAY_S, 9.0, lambda n: [])) <= DAY_S / SLOWEST_S + 20


def test_a_reached_cap_is_reported_once():
    guesses, told = GuessCounts(SETTINGS), []
    for n in range(int(2 * HOUR_S)):
        made = guesses.begin("main", None, float(n))
        told += [] if made is None else [guesses.mark_reached_cap(made)]
    told = [count for count in told if count]
    assert told == [SETTINGS.attempts_hour, SETTINGS.attempts_day]


@pytest.mark.parametrize("now", [nan, inf, -inf])
def test_an_invalid_time_denies(now):
    assert not guess(GuessCounts(SETTINGS), now)
    assert not guess(GuessCounts(SETTINGS), now, ["2-401"])


def test_after_a_day_memory_forgets_every_guess():
    guesses = GuessCounts(SETTINGS)
    looked_at(guesses, DAY_S, 60.0, lambda n: [f"{n % 50}"])
    for n in range(50):
        guesses.begin("main", [f"{n}"], 3 * DAY_S, b"x")
    assert sum(map(len, guesses._counted.values())) <= 51


# The simulation uses PINs of four digits, so that strangers get in within days. It takes the mean of many sites.

DIGITS = 4
LOST_S = 300.0
"""Seconds a stranger stays away, at least, after finding the keypad at rest. The loss for the stranger is small."""
FLATS, RUNS = 12, 30


class Site:
    """Random PINs, `each` for every household, all different."""

    def __init__(self, draw, each):
        space = round(10**DIGITS * 0.639)
        pins = draw.sample(range(space), FLATS * each)
        self.space, self.homes = space, [set(pins[n::FLATS]) for n in range(FLATS)]
        self.pins = set(pins)


def days_until_in(draw, site, guesses, plan):
    """Return the days until a stranger gets in. `plan(n)` returns the household of try n (None for a PIN alone) and
    the pause in seconds.
    """
    now, tried = 0.0, {}
    for n in range(10**7):
        home, pause_s = plan(n)
        made = guesses.begin("main", None if home is None else [str(home)], now)
        if made is None:
            now += LOST_S
        else:
            if home not in tried:
                tried[home] = iter(draw.sample(range(site.space), site.space))
            if next(tried[home]) in (site.pins if home is None else site.homes[home]):
                return now / DAY_S
        now += pause_s
    raise AssertionError("nobody was let in")


def mean_days(plan, each, settings, counter=GuessCounts, runs=RUNS):
    draw = random.Random(7)
    return sum(days_until_in(draw, Site(draw, each), counter(settings), plan) for _ in range(runs)) / runs


def expected(each, settings):
    caps = GuessLimits(settings.attempts_day, settings.household_day, settings.pin_by_household)
    return guess_days([each] * FLATS, 0, DIGITS, caps)


FAST = ReaderSettings(attempts_hour=20, attempts_day=40, household_hour=10, household_day=20, rest_s=30.0)


@pytest.mark.parametrize("pause_s", [15.1, 40.0, 300.0])
def test_a_stranger_with_pins_succeeds_no_sooner_than_the_budget_computes(pause_s):
    days = mean_days(lambda n: (None, pause_s), 3, FAST)
    assert expected(3, FAST).plain_days / 2 < days < expected(3, FAST).plain_days * 2


def test_rotating_through_all_households_is_no_faster_than_the_budget_computes():
    days = mean_days(lambda n: (n % FLATS, 60.0), 6, FAST, runs=12)
    assert expected(6, FAST).flat_days / 2 < days < expected(6, FAST).flat_days * 2


def test_guessing_at_one_household_is_slower_than_rotating():
    one, all_of_them = (
        len(looked_at(GuessCounts(FAST), DAY_S, 90.0, home)) for home in (lambda _: ["0"], lambda n: [f"{n % FLATS}"])
    )
    assert one <= FAST.household_day < all_of_them <= FLATS * FAST.household_day


def test_waiting_for_residents_successes_is_no_faster():
    class Watched(GuessCounts):
        """A resident enters before each guess of the stranger while the keypad is not at rest."""

        def begin(self, door, households, now, digest=b""):
            if (resident := super().begin(door, households, now)) is not None:
                self.remove_correct(resident)
            return super().begin(door, households, now, digest)

    days = mean_days(lambda n: (None, 15.1), 3, FAST, Watched)
    assert expected(3, FAST).plain_days / 2 < days < expected(3, FAST).plain_days * 2
