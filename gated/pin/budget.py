"""The guessing budget: the average time until a stranger guesses a PIN or a card number. Pure functions.

The model: the stranger tries every number that the PIN rule allows, each number once, as fast as the gate checks them.
`pins` of `space` numbers open the gate. Draws without replacement find the first hit after (space + 1) / (pins + 1)
draws on average (expectation of the negative hypergeometric distribution).

With flat numbers, one guess tests one household. The stranger is assumed to try the households with the most PINs. Each
household allows `household_day` guesses a day. A door checks PINs at its slowest pace, `SLOWEST_S`.
"""

from collections.abc import Collection

from msgspec import Struct

from gated.pin.rule import LEAST_DIGITS

DAY_S = 86_400.0
SLOWEST_S = 180.0
"""Longest wait in seconds between PIN checks at a door after many wrong PINs by flat number (see
`access.guess_counts`).
"""
SLOWEST_CARD_S = 30.0
"""Longest wait in seconds between two card checks at a reader after many unknown cards (see `access.guess_counts`)."""
YEAR_DAYS = 365.25
SHORT_BITS = 24
"""Number of card bits in the 26-bit Wiegand format. The other two bits are parity."""
STRONG = {4: 0.639, 5: 0.80, 6: 0.783, 7: 0.768}
"""Fraction of all PINs that the PIN rule allows, by number of digits. A test measures these values by random draws."""
STRONG_LONG = 0.943
"""The same fraction for PINs of eight digits. The fraction is larger for longer PINs."""


class GuessLimits(Struct, frozen=True):
    """Limits on the wrong PINs that a gate checks.

    `door_day`: wrong PINs a day at one door. `household_day`: wrong PINs a day for one household. `by_household`: a
    flat number must come before the PIN. `doors`: number of doors with a keypad.
    """

    door_day: int
    household_day: int
    by_household: bool
    doors: int = 1


class GuessTime(Struct, frozen=True):
    """Average number of days until a stranger at the keypads of one gate gets in. None: no PIN can be guessed."""

    pins: int
    digits: int
    plain_days: float | None
    """Days for guesses by PIN alone. None also if the gate asks for a flat number first."""
    flat_days: float | None
    """Days for guesses by flat number and PIN."""
    shut_out: int = 0
    """Number of PINs that open nothing: the gate asks for a flat number first, and the household has no flat number."""

    @property
    def days(self) -> float | None:
        """Return the smaller of the two numbers of days; None if both are None."""
        return min((each for each in (self.plain_days, self.flat_days) if each is not None), default=None)

    @property
    def is_short(self) -> bool:
        """Return whether the budget is below one year."""
        return self.days is not None and self.days < YEAR_DAYS


def space(digits: int) -> int:
    """Return the number of PINs of `digits` digits that the PIN rule allows."""
    count = max(digits, LEAST_DIGITS)
    return round(float(10**count) * STRONG.get(count, STRONG_LONG))


def guess_days(households: Collection[int], others: int, digits: int, caps: GuessLimits) -> GuessTime:
    """Return the guessing budget of a site.

    `households`: number of PINs of each household with a flat number, duress PINs included. `others`: number of PINs of
    people without a flat number. `digits`: minimum number of digits of a PIN. `caps`: limits of the gate.
    """
    pins = sum(households) + others
    plain = None if caps.by_household or not pins else (space(digits) + 1) / (pins + 1) / (caps.door_day * caps.doors)
    by_flat = _by_flat(sorted(filter(None, households), reverse=True), digits, caps)
    return GuessTime(pins, digits, plain, by_flat, others if caps.by_household else 0)


def _by_flat(households: list[int], digits: int, caps: GuessLimits) -> float | None:
    """Return the days for guesses by flat number. The stranger tries the households with the most PINs, as many as the
    doors have time for.
    """
    if not households:
        return None
    doors_day = caps.doors * DAY_S / SLOWEST_S
    tried = households[: max(1, round(doors_day / caps.household_day))]
    a_day = min(doors_day, len(tried) * caps.household_day)
    return (len(tried) * space(digits) + 1) / (sum(tried) + 1) / a_day


def card_days(cards: int, bits: int, hour: int, day: int, readers: int = 1) -> float | None:
    """Return the average days until a stranger who shows random numbers gets in; None without cards or readers.

    `cards`: number of cards. `bits`: bits of a card number that a reader sends. `hour`, `day`: unknown cards an hour
    and a day before a reader pauses. `readers`: number of readers.
    """
    if not cards or not readers:
        return None
    slowest = DAY_S / SLOWEST_CARD_S
    a_day = readers * max(slowest, min(24.0 * hour, day + slowest))
    return (2.0**bits + 1) / (cards + 1) / a_day


def short_card_days(cards: int, most: int, day: int, readers: int = 1, bits: int = SHORT_BITS) -> float | None:
    """Return the average days until a stranger gets in with 24-bit cards; None
    without cards or readers.

    `day`: unknown short cards a day; after these, a reader accepts short cards only after a flat number. `most`: number
    of cards of the flat with the most cards. The other parameters are as in `card_days`.
    """
    if not cards or not readers:
        return None
    slowest = DAY_S / SLOWEST_CARD_S
    alone = (2.0**bits + 1) / (cards + 1) / (readers * min(day, slowest))
    after_flat = (2.0**bits + 1) / (most + 1) / (readers * slowest)
    return 1 / (1 / alone + 1 / after_flat)


def duration_text(days: float) -> str:
    """Return a duration in days as text for people: years, days or hours."""
    if days >= 2 * YEAR_DAYS:
        return f"{days / YEAR_DAYS:.0f} years"
    hours = max(1, round(days * 24))
    return f"{days:.0f} days" if days >= 2 else f"{hours} hour{'s' * (hours > 1)}"
