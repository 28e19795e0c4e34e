"""The PIN budget: after how long a stranger at the keypad is let in, on average. Pure.

A stranger tries what the rule does not forbid, each number once, as often as the gate looks. Of `space` numbers `pins`
open; drawn without putting back, the first hit comes on average after (space + 1) / (pins + 1) draws (the expectation
of the negative hypergeometric distribution). By flat number a guess is against one household, and whoever knows which
households have the most PINs tries those; each household gives the gate `household_day` guesses a day at the most, and
the door as many as its slowest pace.
"""

from collections.abc import Collection
from dataclasses import dataclass

from gated.pin.rule import LEAST

DAY_S = 86_400.0
SLOWEST_S = 180.0
"""A door at which many PINs by flat number were wrong looks at one in so long at the most (see `access.guesses`)."""
SLOWEST_CARD_S = 30.0
"""A reader at which many cards were unknown looks at one in so long at the most."""
YEAR_DAYS = 365.25
SHORT_BITS = 24
"""Of a card's number in Wiegand's format of 26 bits, which has two of parity."""
STRONG = {4: 0.639, 5: 0.80, 6: 0.783, 7: 0.768}
"""The share of all PINs of so many digits that the rule lets be; a test draws them."""
STRONG_LONG = 0.943
"""Of eight digits; of more it is more."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How many wrong PINs a gate looks at. `doors`: those with a keypad."""

    door_day: int
    household_day: int
    by_household: bool
    doors: int = 1


@dataclass(frozen=True, slots=True)
class Budget:
    """Days until a stranger at the keypads of one gate is let in, on average; None: there is nothing to guess."""

    pins: int
    digits: int
    plain_days: float | None
    """By PINs alone; None also where a flat number must come first."""
    flat_days: float | None
    """By flat number and PIN."""
    shut_out: int = 0
    """PINs that open nothing, because a flat number must come first and their household has none to type."""

    @property
    def days(self) -> float | None:
        """The quicker way."""
        return min((each for each in (self.plain_days, self.flat_days) if each is not None), default=None)

    @property
    def is_short(self) -> bool:
        """Whether it is below a year."""
        return self.days is not None and self.days < YEAR_DAYS


def space(digits: int) -> int:
    """How many PINs of so many digits there are that the rule lets be."""
    count = max(digits, LEAST)
    return round(float(10**count) * STRONG.get(count, STRONG_LONG))


def budget(households: Collection[int], others: int, digits: int, caps: Caps) -> Budget:
    """The budget of a site. `households`: how many PINs each household with a flat number has, duress PINs too.
    `others`: PINs of people without a flat number. `digits`: the least that a PIN has.
    """
    pins = sum(households) + others
    plain = None if caps.by_household or not pins else (space(digits) + 1) / (pins + 1) / (caps.door_day * caps.doors)
    by_flat = _by_flat(sorted(filter(None, households), reverse=True), digits, caps)
    return Budget(pins, digits, plain, by_flat, others if caps.by_household else 0)


def _by_flat(households: list[int], digits: int, caps: Caps) -> float | None:
    """The same where the households with the most PINs are tried, as many as the doors have time for."""
    if not households:
        return None
    doors_day = caps.doors * DAY_S / SLOWEST_S
    tried = households[: max(1, round(doors_day / caps.household_day))]
    a_day = min(doors_day, len(tried) * caps.household_day)
    return (len(tried) * space(digits) + 1) / (sum(tried) + 1) / a_day


def card_days(cards: int, bits: int, hour: int, day: int, readers: int = 1) -> float | None:
    """Days until a stranger who shows number after number to the readers of a gate is let in, on average; None where
    there is no card. `bits`: of the number, as a reader tells it. `hour`, `day`: so many unknown cards make no pause.
    """
    if not cards or not readers:
        return None
    slowest = DAY_S / SLOWEST_CARD_S
    a_day = readers * max(slowest, min(24.0 * hour, day + slowest))
    return (2.0**bits + 1) / (cards + 1) / a_day


def short_card_days(cards: int, most: int, day: int, readers: int = 1, bits: int = SHORT_BITS) -> float | None:
    """The same for cards that a reader tells by 24 bits alone. `day`: so many unknown ones, and they rest but after a
    flat number; `most`: so many has the flat that has most of them.
    """
    if not cards or not readers:
        return None
    slowest = DAY_S / SLOWEST_CARD_S
    alone = (2.0**bits + 1) / (cards + 1) / (readers * min(day, slowest))
    after_flat = (2.0**bits + 1) / (most + 1) / (readers * slowest)
    return 1 / (1 / alone + 1 / after_flat)


def in_words(days: float) -> str:
    """So long, for people: in years, days or hours."""
    if days >= 2 * YEAR_DAYS:
        return f"{days / YEAR_DAYS:.0f} years"
    hours = max(1, round(days * 24))
    return f"{days:.0f} days" if days >= 2 else f"{hours} hour{'s' * (hours > 1)}"
