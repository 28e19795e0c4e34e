"""What was typed: a card's burst, a person's PIN, and nothing else."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.typed import BURST_S, MAX_KEYS, SILENCE_S, Typed, Typist

SLOW_S, FAST_S = 0.3, 0.008


def type_all(typist, keys, gap_s, at=100.0):
    """Type, and give every number that came of it."""
    return [typed for i, key in enumerate(keys) if (typed := typist.key(key, at + i * gap_s))]


@pytest.fixture
def typist():
    return Typist()


def test_a_burst_that_ends_with_enter_is_a_card(typist):
    assert type_all(typist, "0012345678\n", FAST_S) == [Typed("card", "0012345678")]


def test_a_card_may_have_hexadecimal_letters(typist):
    assert type_all(typist, "04A1B2C3\n", FAST_S) == [Typed("card", "04A1B2C3")]


@pytest.mark.parametrize("end", "#\n")
def test_slow_digits_are_a_pin(typist, end):
    assert type_all(typist, "135790" + end, SLOW_S) == [Typed("pin", "135790")]


def test_a_card_number_typed_by_hand_is_no_card(typist):
    assert [typed.kind for typed in type_all(typist, "0012345678\n", SLOW_S)] == ["pin"]


def test_a_keypad_ends_with_hash_and_is_never_a_card_however_late_its_keys_reach_us(typist):
    assert type_all(typist, "135790#", 0.0) == [Typed("pin", "135790")]


def test_enter_after_a_pause_is_a_hand(typist):
    assert type_all(typist, "13579", FAST_S) == []
    assert typist.key("\n", 101.0) == Typed("pin", "13579")


@pytest.mark.parametrize(
    "keys", ["\n", "#", "*", "*#", "12A4#", "ABC\n", "12?4#", "1\x004#", "12'--#", "12 4#", "\uff11\uff12\uff13#"]
)
def test_anything_odd_is_nothing(typist, keys):
    assert type_all(typist, keys, SLOW_S) == []


def test_star_clears_and_what_follows_counts(typist):
    assert type_all(typist, "99*135790#", SLOW_S) == [Typed("pin", "135790")]


def test_a_spoilt_number_spoils_its_end_as_well(typist):
    assert type_all(typist, "9?135790#", SLOW_S) == []
    assert type_all(typist, "135790#", SLOW_S, at=200) == [Typed("pin", "135790")]


def test_too_many_keys_never_leave_a_number_at_their_end(typist):
    assert type_all(typist, "1" * MAX_KEYS + "135790#", SLOW_S) == []
    assert type_all(typist, "1" * MAX_KEYS + "#", SLOW_S, at=200) == [Typed("pin", "1" * MAX_KEYS)]


def test_after_a_silence_the_next_person_begins_anew(typist):
    type_all(typist, "987", SLOW_S)
    assert type_all(typist, "135790#", SLOW_S, at=100.6 + SILENCE_S + 0.1) == [Typed("pin", "135790")]
    type_all(typist, "9?", SLOW_S, at=200)
    assert type_all(typist, "135790#", SLOW_S, at=200.3 + SILENCE_S + 0.1) == [Typed("pin", "135790")]


def test_whoever_is_slow_within_the_silence_is_heard(typist):
    assert type_all(typist, "135790#", SILENCE_S - 0.1) == [Typed("pin", "135790")]


@pytest.mark.parametrize("wrong_s", [-1.0, -math.inf, math.nan])
def test_a_clock_that_goes_backwards_spoils_what_was_typed(typist, wrong_s):
    typist.key("1", 100.0)
    typist.key("3", 100.0 + wrong_s)
    assert typist.key("#", 100.3) is None


def test_two_numbers_in_a_row_are_two(typist):
    assert [t.text for t in type_all(typist, "1111\n2222\n", FAST_S)] == ["1111", "2222"]


def test_what_was_typed_is_not_in_its_repr():
    assert "4711" not in repr(Typed("pin", "4711"))


@given(st.lists(st.tuples(st.sampled_from("0123456789ABCDEF*#\n?x"), st.floats(-1, 7)), max_size=120))
def test_whatever_is_typed_comes_out_as_it_was_typed_or_not_at_all(presses):
    typist, now, since_end = Typist(), 1000.0, ""
    for key, gap_s in presses:
        now += gap_s
        typed = typist.key(key, now)
        if typed is not None:
            assert key in "#\n"
            assert since_end.endswith(typed.text)
            assert re.fullmatch("[0-9]{1,32}" if typed.kind == "pin" else "[0-9A-F]{4,32}", typed.text)
        since_end = "" if key in "*#\n" else since_end + key


@given(st.text("0123456789", min_size=4, max_size=MAX_KEYS), st.floats(0, 0.04))
def test_every_burst_within_the_time_is_a_card(text, gap_s):
    assert type_all(Typist(), text + "\n", gap_s) == [Typed("card", text)]


@given(st.text("0123456789", min_size=4, max_size=MAX_KEYS), st.floats(BURST_S + 0.01, SILENCE_S - 0.01))
def test_no_hand_is_ever_a_card(text, gap_s):
    assert type_all(Typist(), text + "\n", gap_s) == [Typed("pin", text)]
