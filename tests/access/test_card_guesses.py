"""A person who shows card after card gets one check every half minute, and residents' cards work as usual."""

import random

import pytest

from gated.access.guess_budget import GuessBudget
from gated.access.guess_counts import HOUR_S, GuessCounts
from gated.access.guess_store import GuessStore
from gated.config import ReaderSettings
from gated.pin.budget import DAY_S, SLOWEST_CARD_S, YEAR_DAYS, card_days, short_card_days

SETTINGS = ReaderSettings()


def shown(guesses, now, number, reader="wiegand"):
    """Show an unknown card to a reader. Return whether the gate checked it."""
    if guesses.card_pause_s(reader, now) > 0:
        return False
    guesses.count_card(reader, now, str(number).encode())
    return True


def looks(guesses, until_s, every_s):
    return [n * every_s for n in range(int(until_s / every_s)) if shown(guesses, n * every_s, n)]


@pytest.mark.parametrize("every_s", [5.0, 15.1])
def test_no_pace_gets_more_than_one_check_in_half_a_minute(every_s):
    times = looks(GuessCounts(SETTINGS), DAY_S + 2 * HOUR_S, every_s)
    slowest = DAY_S / SLOWEST_CARD_S
    assert (
        max(sum(at <= each < at + DAY_S for each in times) for at in times[::100]) <= slowest + 2 * SETTINGS.cards_hour
    )
    assert SETTINGS.cards_hour <= sum(at < HOUR_S for at in times) <= HOUR_S / SLOWEST_CARD_S + SETTINGS.cards_hour


def test_a_resident_waits_at_most_half_a_minute_and_the_next_one_not_at_all():
    guesses = GuessCounts(SETTINGS)
    last = looks(guesses, 3 * HOUR_S, 1.0)[-1]
    assert 0 < guesses.card_pause_s("wiegand", last) <= SLOWEST_CARD_S
    assert guesses.card_pause_s("wiegand", last + SLOWEST_CARD_S) == 0  # a known card is no guess and costs nothing


def test_another_reader_still_works():
    guesses = GuessCounts(SETTINGS)
    looks(guesses, HOUR_S, 1.0)
    assert shown(guesses, HOUR_S, "a card", "the second door's")


def test_a_bus_card_in_a_purse_counts_once():
    guesses = GuessCounts(SETTINGS)
    assert sum(guesses.count_card("wiegand", n * 60.0, b"bus card")[0] is not None for n in range(2000)) == 1
    assert guesses.card_pause_s("wiegand", 120_000.0) == 0


def test_forty_unknown_cards_in_an_hour_cause_pauses_until_the_hour_ends():
    guesses = GuessCounts(SETTINGS)
    for n in range(SETTINGS.cards_hour + 2):
        guesses.count_card("wiegand", n * 60.0, str(n).encode())
    now = (SETTINGS.cards_hour + 1) * 60.0
    assert 0 < guesses.card_pause_s("wiegand", now) <= 4
    assert guesses.card_pause_s("wiegand", now + HOUR_S) == 0


def test_each_cap_is_reported_once_a_day():
    guesses, told = GuessCounts(SETTINGS), []
    for n in range(400):
        told.append(guesses.count_card("wiegand", n * 40.0, str(n).encode())[1])
    assert [count for count in told if count] == [
        SETTINGS.cards_hour,
        SETTINGS.short_cards_day,
        SETTINGS.cards_day,
    ]


def test_neither_a_restart_nor_a_correct_pin_restores_the_budget(tmp_path):
    time = [1000.0]
    for _ in range(SETTINGS.cards_hour + 6):
        log = GuessStore(tmp_path, lambda: time[0])
        guessing = GuessBudget(SETTINGS, log)
        right = guessing.begin("main", None, b"")
        guessing.write(right)
        guessing.count_card("wiegand", str(time[0]).encode())
        for guess in guessing.pop_unwritten():
            guessing.write(guess)
        guessing.remove_correct(right)
        guessing.close()
        time[0] += 2.0
    guessing = GuessBudget(SETTINGS, GuessStore(tmp_path, lambda: time[0]))
    assert guessing.card_pause_s("wiegand") > 20
    guessing.close()


def test_lowering_the_cap_by_hundreds_blocks_nothing():
    many = ReaderSettings(cards_hour=1000, cards_day=10000)
    before = GuessCounts(many)
    counted = [
        ("cards/wiegand", one) for n in range(2000) for one in [before.count_card("wiegand", n * 1.0, b"%d" % n)[0]]
    ]
    guesses = GuessCounts(ReaderSettings(cards_hour=1), counted=counted)
    assert guesses.card_pause_s("wiegand", 2000.0) <= SLOWEST_CARD_S


@pytest.mark.parametrize("settings", [SETTINGS, ReaderSettings(cards_hour=150, cards_day=300)], ids=["own", "wide"])
def test_an_emulator_succeeds_no_sooner_than_the_budget_computes(settings):
    bits, cards, draw, days = 14, 8, random.Random(7), []
    for _ in range(6):
        space = 1 << bits
        known, guesses, now = set(draw.sample(range(space), cards)), GuessCounts(settings), 0.0
        for number in draw.sample(range(space), space):
            now += guesses.card_pause_s("wiegand", now)
            if number in known:
                break
            guesses.count_card("wiegand", now, b"%d" % number)
            now += 2.0
        days.append(now / DAY_S)
    expected = card_days(cards, bits, settings.cards_hour, settings.cards_day)
    assert expected / 2 < sum(days) / len(days) < expected * 2


def test_no_pace_gets_more_checks_of_24_bit_cards_a_day_than_the_cap():
    guesses, looks_at = GuessCounts(SETTINGS), []
    now = 0.0
    for number in range(4 * int(DAY_S / SLOWEST_CARD_S)):
        now += max(2.0, guesses.card_pause_s("wiegand", now))
        looks_at += [] if guesses.are_short_cards_resting("wiegand", now) else [now]
        guesses.count_card("wiegand", now, b"%d" % number)
    assert max(sum(at <= each < at + DAY_S for each in looks_at) for at in looks_at) <= SETTINGS.short_cards_day


def test_cards_shown_during_the_rest_do_not_extend_it():
    """The attack: an attacker shows cards day and night, so that the residents' cards never work again."""
    guesses = GuessCounts(SETTINGS)
    for number in range(SETTINGS.short_cards_day):
        guesses.count_card("wiegand", 0.0, b"%d" % number)
    for number in range(1000, 5000):
        guesses.count_card("wiegand", DAY_S * 0.9, b"%d" % number)
    assert guesses.are_short_cards_resting("wiegand", DAY_S - 1)
    assert not guesses.are_short_cards_resting("wiegand", DAY_S + 1)


def test_the_rest_of_24_bit_cards_is_reported_once_a_day_for_that_reader():
    guesses = GuessCounts(ReaderSettings(short_cards_day=5))
    told = [guesses.count_card("wiegand", n * 1.0, b"%d" % n)[1] for n in range(9)]
    assert [count for count in told if count] == [5]
    assert guesses.are_short_cards_resting("wiegand", 9.0)
    assert not guesses.are_short_cards_resting("usb", 9.0)
    assert guesses.are_short_cards_resting("usb", float("nan"))


def test_a_restart_does_not_end_the_rest_of_24_bit_cards(tmp_path):
    time = [1000.0]
    for number in range(5):
        guessing = GuessBudget(ReaderSettings(short_cards_day=5), GuessStore(tmp_path, lambda: time[0]))
        assert not guessing.are_short_cards_resting("wiegand")
        guessing.count_card("wiegand", b"%d" % number)
        for guess in guessing.pop_unwritten():
            guessing.write(guess)
        guessing.close()
        time[0] += 2.0
    guessing = GuessBudget(ReaderSettings(short_cards_day=5), GuessStore(tmp_path, lambda: time[0]))
    assert guessing.are_short_cards_resting("wiegand")
    guessing.close()


@pytest.mark.parametrize("after_flat", [False, True])
def test_a_24_bit_emulator_succeeds_no_sooner_than_the_budget_computes(after_flat):
    bits, flats, each, draw, days = 13, 4, 2, random.Random(7), []
    settings = ReaderSettings(short_cards_day=20 if after_flat else 300)
    for _ in range(8):
        space = 1 << bits
        known = draw.sample(range(space), flats * each)
        guesses, now = GuessCounts(settings), 0.0
        tried = iter(draw.sample(range(space), space))
        typed = iter(draw.sample(range(space), space))
        while True:
            now += max(2.0, guesses.card_pause_s("wiegand", now))
            if not guesses.are_short_cards_resting("wiegand", now):
                number, theirs = next(tried), known
            elif after_flat:
                number, theirs = next(typed), known[:each]
            else:
                now += 600.0
                continue
            if number in theirs:
                break
            guesses.count_card("wiegand", now, b"%d/%d" % (number, len(theirs)))
        days.append(now / DAY_S)
    expected = short_card_days(flats * each, each if after_flat else 0, settings.short_cards_day, bits=bits)
    if not after_flat:  # without a flat number, only cards that open alone count
        expected = (2**bits + 1) / (flats * each + 1) / settings.short_cards_day
    assert expected / 2 < sum(days) / len(days) < expected * 2


@pytest.mark.parametrize(("cards", "most", "least_days"), [(144, 2, YEAR_DAYS), (3600, 3, 60.0)])
def test_the_budget_of_24_bit_cards_has_known_values(cards, most, least_days):
    """Regression: older versions allowed only 40 days and 1.6 days."""
    assert short_card_days(cards, most, SETTINGS.short_cards_day) > least_days
