"""Strangers try popular PINs first. Every way to set a PIN refuses them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.pin.budget import STRONG, STRONG_LONG
from gated.pin.rule import LEAST_DIGITS, MOST_DIGITS, is_date, is_obvious, is_weak, weakness

REPEATED = [
    "000000", "777777", "123123", "121212", "112233", "445566", "112211", "123321", "520520", "010101", "888812",
    "111222", "100001", "1231231", "4747", "5885", "272727272727", "223344", "909090", "8888881",
]  # fmt: skip
RUNS = [
    "123456", "654321", "456789012", "210987", "90123456", "147258", "258369", "741852", "369258", "159357", "951753",
    "135790", "246810", "123457", "923456", "123987", "789456", "321654", "111213", "192837", "1234", "8901", "2468",
]  # fmt: skip
WALKS = ["147896", "125896", "2580", "0852", "142536", "789632", "74123698", "7410", "1379", "9713", "258025"]
KNOWN = ["5201314", "520131", "131452", "1314520", "168168", "888168", "520999", "110119", "110120", "314159", "271828"]
DATES = [
    "900512", "120590", "051290", "199005", "051990", "19900512", "12051990", "05121990", "1990", "2008", "0512",
    "3112", "001231", "991231", "1990512", "2019051", "9005128", "201905123",
]  # fmt: skip
GOOD = ["492716", "318205", "739154", "771903", "492716038527", "49271603", "860274", "4927", "90551288"]


def test_an_obvious_pin_is_refused_and_opens_nothing_even_if_stored():
    patterns = REPEATED + RUNS + WALKS + KNOWN
    assert [digits for digits in patterns if not weakness(digits, LEAST_DIGITS) or not is_obvious(digits)] == []


def test_a_date_or_year_is_refused_in_every_order():
    assert [digits for digits in DATES if not weakness(digits, LEAST_DIGITS)] == []


def test_every_birthday_of_six_digits_is_refused_in_each_order():
    """Regression: an older rule accepted 37,198 of 37,200."""
    days = [(y, m, d) for y in range(100) for m in range(1, 13) for d in range(1, 32)]
    written = {f"{y:02}{m:02}{d:02}" for y, m, d in days} | {f"{d:02}{m:02}{y:02}" for y, m, d in days}
    assert len(written) > 60_000
    assert all(map(is_date, written))


@pytest.mark.parametrize("digits", GOOD)
def test_other_pins_are_accepted(digits):
    assert weakness(digits, LEAST_DIGITS) == ""
    assert not is_obvious(digits)


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "0",
        "1",
        "492",
        "4927160385271",
        "49271a",
        "49271 ",
        "-49271",
        "４９２７１６",
        "٤٩٢٧١٦",
        "49\x00271",
        "' OR 1=1",
    ],
)
def test_an_invalid_pin_is_weak_and_opens_nothing(digits):
    assert is_weak(digits, LEAST_DIGITS)
    assert is_obvious(digits)


def test_the_site_sets_the_minimum_digits_but_never_below_four():
    assert not is_weak("4927", 4)
    assert is_weak("4927", 5)
    assert is_weak("492", 1)


@given(st.integers(0, 9), st.sampled_from([-1, 0, 1]), st.integers(LEAST_DIGITS, MOST_DIGITS))
def test_every_run_and_every_repetition_is_obvious(first, step, length):
    assert is_obvious("".join(str((first + step * n) % 10) for n in range(length)))


@given(st.text("0123456789", min_size=1, max_size=6), st.integers(LEAST_DIGITS, MOST_DIGITS))
def test_every_repeated_block_is_obvious(block, length):
    if 2 * len(block) <= length:
        assert is_obvious((block * length)[:length])


@pytest.mark.parametrize(
    ("digits", "flat"),
    [("240187", "2401"), ("002401", "2401"), ("872401", "2401"), ("240100", "2401"), ("104287", "2401"),
     ("870401", "2401"), ("401489", "2401"), ("502070", "502"), ("320502", "320502"), ("120000", "12"),
     ("3205", "320502"), ("2050", "320502")],
)  # fmt: skip
def test_a_pin_made_from_the_flat_number_is_refused(digits, flat):
    assert is_weak(digits, LEAST_DIGITS, flat)


def test_a_pin_equal_to_another_flat_number_is_refused():
    assert is_weak("860274", 6, "2401", {"860274"})
    assert not is_weak("860274", 6, "2401", {"860275"})


@given(st.text(st.characters(exclude_categories=()), max_size=40), st.text(max_size=12))
def test_every_text_gets_a_verdict(text, flat):
    assert is_weak(text, LEAST_DIGITS, flat) == bool(weakness(text, LEAST_DIGITS, flat))


@pytest.mark.parametrize("digits", [4, 5, 6, 7, 8, 10])
def test_the_budget_uses_the_share_of_accepted_pins(digits):
    draw, n = random.Random(digits), 3000
    strong = sum(not is_weak(f"{draw.randrange(10**digits):0{digits}}", LEAST_DIGITS) for _ in range(n)) / n
    assert strong > STRONG.get(digits, STRONG_LONG) - 0.03
    assert digits in STRONG or strong < 1
