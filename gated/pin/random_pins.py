"""Random PINs that the software generates. People choose numbers that strangers guess; random numbers avoid this."""

import secrets
from collections.abc import Collection

from gated.pin.rule import LEAST_DIGITS, is_weak

MADE_DIGITS = 6


def random_pin(least: int = MADE_DIGITS, flat: str = "", flats: Collection[str] = ()) -> str:
    """Return a random PIN of `least` digits (at least `LEAST_DIGITS`) that passes the PIN rule (see `rule.weakness`).

    `flat`: the holder's flat number in digits. `flats`: all flat numbers of the site.
    """
    count = max(least, LEAST_DIGITS)
    while True:
        digits = f"{secrets.randbelow(10**count):0{count}}"
        if not is_weak(digits, count, flat, flats):
            return digits


def spaced_pin(digits: str) -> str:
    """Return a PIN in groups of three digits, so that people read it aloud without errors."""
    return " ".join(digits[at : at + 3] for at in range(0, len(digits), 3))
