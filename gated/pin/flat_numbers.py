"""Flat numbers at a keypad: the digits of the household's name, in order. Pure functions."""

from collections.abc import Iterable

from gated import names
from gated.pin.rule import MOST_DIGITS


def flat_of(household: str) -> str:
    """Return the digits of a household's name as on its door; empty if the name has no digits or more than
    `MOST_DIGITS`.
    """
    digits = "".join(names.numbers(household))
    return digits if len(digits) <= MOST_DIGITS else ""


def typed_for(household: str) -> frozenset[str]:
    """Return every entry that a keypad accepts for a household: its digits, with or without leading zeros of each
    number.
    """
    numbers = names.numbers(household)
    spellings = {"".join(numbers), "".join(number.lstrip("0") or "0" for number in numbers)}
    return frozenset(spelling for spelling in spellings if 0 < len(spelling) <= MOST_DIGITS)


def all_typed(households: Iterable[str]) -> frozenset[str]:
    """Return every entry that a keypad accepts for any of these households. No PIN may be one of these entries."""
    return frozenset(spelling for household in households for spelling in typed_for(household))
