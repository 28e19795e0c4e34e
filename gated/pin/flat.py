"""How the number of a flat is typed at a keypad: the digits of the household's name, one after the other. Pure."""

from collections.abc import Iterable

from gated import names
from gated.pin.rule import MOST


def flat_of(household: str) -> str:
    """The digits of a household's name, as people read them off the door; empty where it has none, or too many."""
    digits = "".join(names.numbers(household))
    return digits if len(digits) <= MOST else ""


def typed_for(household: str) -> frozenset[str]:
    """Everything that may be typed for a household: its digits, with the zeros before a number or without them."""
    numbers = names.numbers(household)
    ways = {"".join(numbers), "".join(number.lstrip("0") or "0" for number in numbers)}
    return frozenset(way for way in ways if 0 < len(way) <= MOST)


def all_typed(households: Iterable[str]) -> frozenset[str]:
    """Everything that may be typed for any of them; none of it may be a PIN."""
    return frozenset(way for household in households for way in typed_for(household))
