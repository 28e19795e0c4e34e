"""A PIN that the software makes. People choose numbers that strangers guess; chance does not."""

import secrets
from collections.abc import Collection

from gated.pin.rule import LEAST, is_weak

MADE_DIGITS = 6


def made(least: int = MADE_DIGITS, flat: str = "", flats: Collection[str] = ()) -> str:
    """A random PIN of so many digits that will do (see `rule.weakness`)."""
    count = max(least, LEAST)
    while True:
        digits = f"{secrets.randbelow(10**count):0{count}}"
        if not is_weak(digits, count, flat, flats):
            return digits


def spoken(digits: str) -> str:
    """A PIN in groups of three, so that it is read out without a slip."""
    return " ".join(digits[at : at + 3] for at in range(0, len(digits), 3))
