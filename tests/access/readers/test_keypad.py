import pytest

from gated.access.readers.keypad import FLAT_S, FlatPinKeypad, PinEntry

FLATS = {"2401", "3502"}


@pytest.fixture(params=[False, True], ids=["either", "by_household"])
def keypad(request) -> FlatPinKeypad:
    return FlatPinKeypad(FLATS.__contains__, request.param)


def test_a_flat_number_and_then_a_pin(keypad):
    assert keypad.enter("2401", 0) is None
    assert keypad.enter("492716", FLAT_S) == PinEntry("492716", "2401")


def test_a_flat_number_counts_once_and_expires(keypad):
    keypad.enter("2401", 0)
    keypad.enter("492716", 1)
    assert keypad.enter("492716", 2) != PinEntry("492716", "2401")
    keypad.enter("2401", 10)
    assert keypad.enter("492716", 10 + FLAT_S + 0.1) != PinEntry("492716", "2401")


def test_the_flat_number_may_be_typed_again_and_is_no_guess(keypad):
    assert [keypad.enter(flat, 0) for flat in ("2401", "3502", "3502")] == [None] * 3
    assert keypad.enter("492716", 1) == PinEntry("492716", "3502")


def test_a_pin_alone_is_checked_only_where_the_site_requires_no_flat_number():
    assert FlatPinKeypad(FLATS.__contains__, False).enter("492716", 0) == PinEntry("492716")
    assert FlatPinKeypad(FLATS.__contains__, True).enter("492716", 0) == PinEntry("", "492716")


def test_a_clock_that_goes_backwards_forgets_the_flat_number(keypad):
    keypad.enter("2401", 10)
    assert keypad.enter("492716", 9) != PinEntry("492716", "2401")
