"""Key sequences are told apart: a card's burst, a person's PIN, or neither."""

import itertools
import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.access.readers.keystrokes import (
    DIGIT_KEYS,
    EVEN_KEYS,
    KEY_SILENCE_S,
    MAX_KEYS,
    QUICK_S,
    SPREAD_S,
    NumberCollector,
    TypedNumber,
)
from gated.config import UsbSettings
from gated.pin.rule import MOST_DIGITS

SLOW_S, FAST_S = 0.3, 0.008


def type_all(collector, keys, gap_s, at=100.0):
    """Type the keys. Return every recognised number."""
    return [typed for typed in everything(collector, keys, gap_s, at) if typed.kind != "odd"]


def everything(collector, keys, gap_s, at=100.0):
    """Type the keys. Return every result, including unrecognised input."""
    return [typed for i, key in enumerate(keys) if (typed := collector.add_key(key, at + i * gap_s))]


def of_hand(text):
    """Draw the pauses of a person who types: at most about ten keys a second, uneven, and never fast for long."""
    return st.lists(st.floats(0.09, 1.5), min_size=len(text), max_size=len(text)).filter(
        lambda gaps: (
            len(gaps) < EVEN_KEYS
            or (max(gaps[1:-1]) - min(gaps[1:-1]) > SPREAD_S + 0.01 and max(gaps[1:-1]) > QUICK_S + 0.01)
        )
    )


@pytest.fixture
def collector():
    return NumberCollector()


def test_a_burst_that_ends_with_enter_is_a_card(collector):
    assert type_all(collector, "0012345678\n", FAST_S) == [TypedNumber("card", "0012345678")]


def test_a_card_may_have_hexadecimal_letters(collector):
    assert type_all(collector, "04A1B2C3\n", FAST_S) == [TypedNumber("card", "04A1B2C3")]


@pytest.mark.parametrize("end", "#\n")
def test_slow_digits_are_a_pin(collector, end):
    assert type_all(collector, "135790" + end, SLOW_S) == [TypedNumber("pin", "135790")]


def test_a_card_number_typed_by_hand_is_no_card(collector):
    assert [typed.kind for typed in type_all(collector, "0012345678\n", SLOW_S)] == ["pin"]


def test_a_number_ended_by_hash_is_never_a_card_even_if_its_keys_arrive_late(collector):
    assert type_all(collector, "135790#", 0.0) == [TypedNumber("pin", "135790")]


def test_enter_after_a_pause_means_typing_by_hand(collector):
    assert type_all(collector, "13579", FAST_S) == []
    assert collector.add_key("\n", 101.0) == TypedNumber("pin", "13579")


@pytest.mark.parametrize(
    "keys", ["\n", "#", "*", "*#", "12A4#", "ABC\n", "12?4#", "1\x004#", "12'--#", "12 4#", "\uff11\uff12\uff13#"]
)
def test_an_unknown_key_makes_the_number_invalid(collector, keys):
    assert type_all(collector, keys, SLOW_S) == []


def test_star_clears_the_number_and_later_keys_count(collector):
    assert type_all(collector, "99*135790#", SLOW_S) == [TypedNumber("pin", "135790")]


def test_an_invalid_number_stays_invalid_to_its_end(collector):
    assert type_all(collector, "9?135790#", SLOW_S) == []
    assert type_all(collector, "135790#", SLOW_S, at=200) == [TypedNumber("pin", "135790")]


def test_too_many_keys_never_leave_a_number_at_their_end(collector):
    assert type_all(collector, "1" * MAX_KEYS + "135790#", SLOW_S) == []
    assert type_all(collector, "1" * MOST_DIGITS + "#", SLOW_S, at=200) == [TypedNumber("pin", "1" * MOST_DIGITS)]


def test_after_a_pause_a_new_number_begins(collector):
    type_all(collector, "987", SLOW_S)
    assert type_all(collector, "135790#", SLOW_S, at=100.6 + KEY_SILENCE_S + 0.1) == [TypedNumber("pin", "135790")]
    type_all(collector, "9?", SLOW_S, at=200)
    assert type_all(collector, "135790#", SLOW_S, at=200.3 + KEY_SILENCE_S + 0.1) == [TypedNumber("pin", "135790")]


def test_slow_typing_within_the_pause_limit_is_read(collector):
    assert type_all(collector, "135790#", KEY_SILENCE_S - 0.1) == [TypedNumber("pin", "135790")]


@pytest.mark.parametrize("wrong_s", [-1.0, -math.inf, math.nan])
def test_a_clock_that_goes_backwards_invalidates_the_typed_number(collector, wrong_s):
    collector.add_key("1", 100.0)
    collector.add_key("3", 100.0 + wrong_s)
    typed = collector.add_key("#", 100.3)
    assert typed is None or typed.kind == "odd"


def test_two_numbers_in_a_row_are_read_as_two(collector):
    assert [t.text for t in type_all(collector, "1111\n2222\n", FAST_S)] == ["1111", "2222"]


def test_the_repr_contains_no_typed_digit():
    assert "4711" not in repr(TypedNumber("pin", "4711"))


@given(st.lists(st.tuples(st.sampled_from("0123456789ABCDEF*#\n?x"), st.floats(-1, 7)), max_size=120))
def test_any_typed_number_is_returned_unchanged_or_not_at_all(presses):
    collector, now, since_end = NumberCollector(), 1000.0, ""
    for key, gap_s in presses:
        now += gap_s
        typed = collector.add_key(key, now)
        if typed is not None:
            assert key in "#\n"
            assert typed.text in since_end
            assert re.fullmatch({"pin": "[0-9]{1,12}", "card": "[0-9A-Z]{4,40}", "odd": ""}[typed.kind], typed.text)
        since_end = "" if typed is not None and key == "\n" else since_end + key


@given(st.text("0123456789", min_size=4, max_size=MAX_KEYS), st.floats(0, 0.04))
def test_every_burst_within_the_time_is_a_card(text, gap_s):
    assume(text.strip("0"))
    assert type_all(NumberCollector(), text + "\n", gap_s) == [TypedNumber("card", text)]


@given(st.data())
def test_typing_by_hand_is_never_read_as_a_card(data):
    text = data.draw(st.text("0123456789", min_size=4, max_size=MOST_DIGITS))
    collector, now, told = NumberCollector(), 100.0, []
    for key, gap_s in zip(text + "\n", data.draw(of_hand(text + "\n")), strict=True):
        now += gap_s
        told.append(collector.add_key(key, now))
    assert [typed for typed in told if typed] == [TypedNumber("pin", text)]


@pytest.mark.parametrize("text", ["0012345678", "04A1B2C3", "04a1b2c3d4e5f6"])
def test_a_slow_reader_is_recognised_with_any_suffix(text):
    """Faults seen in the field: 60 ms between keys, Tab, a trailing space, or no end key at all."""
    for end, gap_s in itertools.product(("\n", "\t", " \n", "\n\n", ""), (0.002, 0.03, 0.06, 0.1, 0.2)):
        collector = NumberCollector()
        told = everything(collector, text.upper() + end, gap_s)
        while collector.wait_s is not None:
            assert collector.wait_s <= max(0.4, 3 * gap_s) + 0.001, (end, gap_s)
            told.append(collector.silence())
        assert [typed for typed in told if typed] == [TypedNumber("card", text.upper())], (end, gap_s)


@given(st.text("0123456789", min_size=8, max_size=10), st.lists(st.floats(0.001, 0.119), min_size=12, max_size=12))
def test_a_reader_with_uneven_gaps_is_recognised_if_no_hand_types_as_fast(text, gaps):
    assume(text.strip("0"))
    collector, now, told = NumberCollector(), 100.0, []
    for key, gap_s in zip(text + "\n", gaps, strict=False):
        now += gap_s
        told.append(collector.add_key(key, now))
    assert [typed for typed in told if typed] == [TypedNumber("card", text)]


@given(st.data())
def test_a_device_configured_as_card_reader_is_never_read_as_typing(data):
    """Whatever its pauses, a card from a configured card reader never counts as a PIN attempt."""
    suffix = data.draw(st.sampled_from(("auto", "enter", "tab", "space", "none")))
    gaps = data.draw(st.lists(st.floats(0, 2.0), min_size=12, max_size=12))
    end = {"auto": "\n", "none": "", "enter": "\n", "tab": "\t", "space": " "}[suffix]
    collector, now, told = NumberCollector(UsbSettings("card", suffix, gap_ms=2000)), 100.0, []
    for key, gap_s in zip("1234567890" + end, gaps, strict=False):
        now += gap_s
        told.append(collector.add_key(key, now))
    told.append(collector.silence())
    assert [typed for typed in told if typed] == [TypedNumber("card", "1234567890")]


@given(st.text("0123456789", min_size=1, max_size=MOST_DIGITS), st.floats(0.031, 4))
def test_a_device_configured_as_keypad_never_gives_a_card(text, gap_s):
    for end in "#\n":
        assert type_all(NumberCollector(UsbSettings("keypad")), text + end, gap_s) == [TypedNumber("pin", text)]


def test_a_keypad_whose_contacts_bounce_types_each_key_once():
    collector, told = NumberCollector(UsbSettings("keypad")), []
    for number, key in enumerate("135790#"):
        for bounce_s in (0.0, 0.004, 0.011):
            told.append(collector.add_key(key, 100 + number * 0.3 + bounce_s))
    assert [typed for typed in told if typed] == [TypedNumber("pin", "135790")]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (";0123456789?", "0123456789"),
        ("%B0123456789?", "0123456789"),
        ("%b0123456789?".upper(), "0123456789"),
        ("012,34567", "012,34567"),
        ("04:A1:B2:C3", "04:A1:B2:C3"),
        ("04-A1-B2-C3", "04-A1-B2-C3"),
        ("012 34567", "012 34567"),
        ("!@#$%^&*()", "1234567890"),
        ("))))))))!@", "0000000012"),
        ("*#*#*#*#", "83838383"),
        ("########", "33333333"),
        (")$Q!B@C#", "04A1B2C3"),
        ("04Q1B2C3", "04A1B2C3"),
        ("[0123456789]", "0123456789"),
        ("0123456789 ", "0123456789"),
        ("\t0123456789", "0123456789"),
    ],
)
def test_a_reader_for_another_keyboard_or_with_signs_around_is_read(keys, text):
    """French readers type digits with Shift, and A for Q. Magnetic stripe readers add ; and ? around the number."""
    assert type_all(NumberCollector(), keys + "\n", FAST_S) == [TypedNumber("card", text)]
    assert type_all(NumberCollector(UsbSettings("card")), keys + "\n", SLOW_S) == [TypedNumber("card", text)]


@pytest.mark.parametrize(
    ("keys", "length"),
    [
        ("12!4567890\n", 10),
        ("0012\x00345678\n", 11),
        ("0012'345678\n", 11),
        ("0000000000\n", 10),
        ("1" * 60 + "\n", 60),
    ],
)
def test_an_unreadable_number_is_reported_with_its_length(keys, length):
    (odd,) = everything(NumberCollector(), keys, FAST_S)
    assert (odd.kind, odd.text, odd.length) == ("odd", "", length)
    assert odd.why
    assert not set(odd.why) & DIGIT_KEYS


def test_a_number_without_an_end_key_is_reported():
    collector = NumberCollector(UsbSettings(suffix="enter"))
    assert everything(collector, "0012345678", FAST_S) == []
    assert collector.silence() == TypedNumber("odd", "", 10, "no key came that ends a number")
    assert collector.wait_s is None


def test_an_abandoned_number_typed_by_hand_is_not_reported():
    collector = NumberCollector()
    assert everything(collector, "1357", SLOW_S) == []
    assert collector.silence() is None
    assert type_all(collector, "135790#", SLOW_S, at=200) == [TypedNumber("pin", "135790")]


@pytest.mark.parametrize("kind", ["auto", "keypad"])
@pytest.mark.parametrize("keys", ["12A4#", "1A#", "A#", "9?1357#", "1 3#"])
def test_a_single_wrong_key_is_not_reported_to_the_installer(kind, keys):
    assert everything(NumberCollector(UsbSettings(kind)), keys, SLOW_S) == []


def test_a_card_reader_configured_as_keypad_is_reported():
    (odd,) = everything(NumberCollector(UsbSettings("keypad")), "04A1B2C3\n", FAST_S * 5)
    assert (odd.kind, odd.length) == ("odd", 8)
