import pytest

from gated.access.readers.keypad import FLAT_S, Entry, Keypad

FLATS = {"2401", "3502"}


@pytest.fixture(params=[False, True], ids=["either", "by_household"])
def keypad(request) -> Keypad:
    return Keypad(FLATS.__contains__, request.param)


def test_a_flat_number_and_then_a_pin(keypad):
    assert keypad.typed("2401", 0) is None
    assert keypad.typed("492716", FLAT_S) == Entry("492716", "2401")


def test_a_flat_number_counts_once_and_not_for_ever(keypad):
    keypad.typed("2401", 0)
    keypad.typed("492716", 1)
    assert keypad.typed("492716", 2) != Entry("492716", "2401")
    keypad.typed("2401", 10)
    assert keypad.typed("492716", 10 + FLAT_S + 0.1) != Entry("492716", "2401")


def test_the_flat_number_may_be_typed_again_and_is_no_guess(keypad):
    assert [keypad.typed(flat, 0) for flat in ("2401", "3502", "3502")] == [None] * 3
    assert keypad.typed("492716", 1) == Entry("492716", "3502")


def test_a_pin_alone_is_looked_at_only_where_the_site_asks_for_no_flat_number():
    assert Keypad(FLATS.__contains__, False).typed("492716", 0) == Entry("492716")
    assert Keypad(FLATS.__contains__, True).typed("492716", 0) == Entry("", "492716")


def test_a_clock_that_goes_backwards_forgets_the_flat_number(keypad):
    keypad.typed("2401", 10)
    assert keypad.typed("492716", 9) != Entry("492716", "2401")
