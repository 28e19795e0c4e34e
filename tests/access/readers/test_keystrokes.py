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


def test_a_keypad_ends_with_hash_and_is_never_a_card_however_late_its_keys_reach_us(collector):
    assert type_all(collector, "135790#", 0.0) == [TypedNumber("pin", "135790")]


def test_enter_after_a_pause_is_a_hand(collector):
    assert type_all(collector, "13579", FAST_S) == []
    assert collector.add_key("\n", 101.0) == TypedNumber("pin", "13579")


@pytest.mark.parametrize(
    "keys", ["\n", "#", "*", "*#", "12A4#", "ABC\n", "12?4#", "1\x004#", "12'--#", "12 4#", "\uff11\uff12\uff13#"]
)
def test_anything_odd_is_nothing(collector, keys):
    assert type_all(collector, keys, SLOW_S) == []


def test_star_clears_and_what_follows_counts(collector):
    assert type_all(collector, "99*135790#", SLOW_S) == [TypedNumber("pin", "135790")]


def test_a_spoilt_number_spoils_its_end_as_well(collector):
    assert type_all(collector, "9?135790#", SLOW_S) == []
    assert type_all(collector, "135790#", SLOW_S, at=200) == [TypedNumber("pin", "135790")]


def test_too_many_keys_never_leave_a_number_at_their_end(collector):
    assert type_all(collector, "1" * MAX_KEYS + "135790#", SLOW_S) == []
    assert type_all(collector, "1" * MOST_DIGITS + "#", SLOW_S, at=200) == [TypedNumber("pin", "1" * MOST_DIGITS)]


def test_after_a_silence_the_next_person_begins_anew(collector):
    type_all(collector, "987", SLOW_S)
    assert type_all(collector, "135790#", SLOW_S, at=100.6 + KEY_SILENCE_S + 0.1) == [TypedNumber("pin", "135790")]
    type_all(collector, "9?", SLOW_S, at=200)
    assert type_all(collector, "135790#", SLOW_S, at=200.3 + KEY_SILENCE_S + 0.1) == [TypedNumber("pin", "135790")]


def test_whoever_is_slow_within_the_silence_is_heard(collector):
    assert type_all(collector, "135790#", KEY_SILENCE_S - 0.1) == [TypedNumber("pin", "135790")]


@pytest.mark.parametrize("wrong_s", [-1.0, -math.inf, math.nan])
def test_a_clock_that_goes_backwards_spoils_what_was_typed(collector, wrong_s):
    collector.add_key("1", 100.0)
    collector.add_key("3", 100.0 + wrong_s)
    typed = collector.add_key("#", 100.3)
    assert typed is None or typed.kind == "odd"


def test_two_numbers_in_a_row_are_two(collector):
    assert [t.text for t in type_all(collector, "1111\n2222\n", FAST_S)] == ["1111", "2222"]


def test_what_was_typed_is_not_in_its_repr():
    assert "4711" not in repr(TypedNumber("pin", "4711"))


@given(st.lists(st.tuples(st.sampled_from("0123456789ABCDEF*#\n?x"), st.floats(-1, 7)), max_size=120))
def test_whatever_is_typed_comes_out_as_it_was_typed_or_not_at_all(presses):
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
def test_no_hand_is_ever_a_card(data):
    text = data.draw(st.text("0123456789", min_size=4, max_size=MOST_DIGITS))
    collector, now, told = NumberCollector(), 100.0, []
    for key, gap_s in zip(text + "\n", data.draw(of_hand(text + "\n")), strict=True):
        now += gap_s
        told.append(collector.add_key(key, now))
    assert [typed for typed in told if typed] == [TypedNumber("pin", text)]


@pytest.mark.parametrize("text", ["0012345678", "04A1B2C3", "04a1b2c3d4e5f6"])
def test_a_slow_reader_is_a_reader_whatever_it_types_behind_the_number(text):
    """Faults seen in the field: 60 ms between keys, Tab, a trailing space, or no end key at all."""
    for end, gap_s in itertools.product(("\n", "\t", " \n", "\n\n", ""), (0.002, 0.03, 0.06, 0.1, 0.2)):
        collector = NumberCollector()
        told = everything(collector, text.upper() + end, gap_s)
        while collector.wait_s is not None:
            assert collector.wait_s <= max(0.4, 3 * gap_s) + 0.001, (end, gap_s)
            told.append(collector.silence())
        assert [typed for typed in told if typed] == [TypedNumber("card", text.upper())], (end, gap_s)


@given(st.text("0123456789", min_size=8, max_size=10), st.lists(st.floats(0.001, 0.119), min_size=12, max_size=12))
def test_an_uneven_reader_that_no_hand_keeps_up_with_is_a_reader(text, gaps):
    assume(text.strip("0"))
    collector, now, told = NumberCollector(), 100.0, []
    for key, gap_s in zip(text + "\n", gaps, strict=False):
        now += gap_s
        told.append(collector.add_key(key, now))
    assert [typed for typed in told if typed] == [TypedNumber("card", text)]


@given(st.data())
def test_a_device_that_is_said_to_be_a_card_reader_is_never_a_hand(data):
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
def test_a_device_that_is_said_to_be_a_keypad_never_types_a_card(text, gap_s):
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
def test_what_a_reader_typed_that_nobody_understands_is_told_by_its_length(keys, length):
    (odd,) = everything(NumberCollector(), keys, FAST_S)
    assert (odd.kind, odd.text, odd.length) == ("odd", "", length)
    assert odd.why
    assert not set(odd.why) & DIGIT_KEYS


def test_a_number_that_nothing_ends_is_told():
    collector = NumberCollector(UsbSettings(suffix="enter"))
    assert everything(collector, "0012345678", FAST_S) == []
    assert collector.silence() == TypedNumber("odd", "", 10, "no key came that ends a number")
    assert collector.wait_s is None


def test_keys_that_are_typed_by_hand_and_given_up_are_told_nobody():
    collector = NumberCollector()
    assert everything(collector, "1357", SLOW_S) == []
    assert collector.silence() is None
    assert type_all(collector, "135790#", SLOW_S, at=200) == [TypedNumber("pin", "135790")]


@pytest.mark.parametrize("kind", ["auto", "keypad"])
@pytest.mark.parametrize("keys", ["12A4#", "1A#", "A#", "9?1357#", "1 3#"])
def test_a_slip_of_a_finger_is_nothing_for_the_installer(kind, keys):
    assert everything(NumberCollector(UsbSettings(kind)), keys, SLOW_S) == []


def test_a_card_reader_that_the_settings_call_a_keypad_is_told():
    (odd,) = everything(NumberCollector(UsbSettings("keypad")), "04A1B2C3\n", FAST_S * 5)
    assert (odd.kind, odd.length) == ("odd", 8)
