"""Computes how long an attacker must guess PINs and cards at the gates, from the limits that each gate reported.

A gate reports in its status how many wrong PINs and unknown cards it accepts for checking. For a gate without a report,
it assumes the loosest settings. So the result is never too optimistic.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import structs

from gated import names
from gated.config import ReaderSettings
from gated.office.gate_records import first_bytes
from gated.office.gate_store import PairedGate
from gated.office.office_person import OfficePerson
from gated.pin.budget import YEAR_DAYS, GuessLimits, GuessTime, card_days, guess_days, short_card_days
from gated.pin.flat_numbers import flat_of
from gated.pin.random_pins import MADE_DIGITS
from gated.protocol.status_messages import GuessingLimits

LOOSEST = GuessingLimits(2, 4, by_household=False, pins_day=1000, household_day=1000, cards_hour=1000, cards_day=10_000,
                   short_cards_day=10_000)  # fmt: skip
"""The loosest limits that gate settings allow (`config.wiring`): keypads at both doors, and several readers."""
LONG_BITS, KNOWN_BITS = 32, 16
"""Unknown bits of a card number: 32 at a 34-bit reader, 16 at a 26-bit reader if the first of its two numbers is known.
"""


@dataclass(frozen=True, slots=True)
class GateBudget:
    """Mean guessing times at one gate, in days. None means that the gate has no such credential to guess."""

    gate: str
    is_reported: bool
    """Whether the gate has reported its limits."""
    pins: GuessTime
    short_cards: float | None
    """Days to guess a card at 26-bit readers."""
    known_cards: float | None
    """Days to guess a card at 26-bit readers for an attacker who knows the first number, for example from seeing a
    card.
    """
    long_cards: float | None
    """Days to guess a card at 34-bit readers."""


@dataclass(frozen=True, slots=True)
class SiteBudget:
    """Mean guessing times for a whole site."""

    gates: tuple[GateBudget, ...]
    by_household: float | None
    """Days to guess a PIN at the weakest gate if every gate asked for flat numbers."""
    pins: int
    cards: int

    @property
    def untold(self) -> list[str]:
        """Return the gates that have not reported their limits."""
        return [each.gate for each in self.gates if not each.is_reported]

    @property
    def days(self) -> float | None:
        """Return the days to guess a PIN at the weakest gate; None if no PIN can be guessed."""
        found = self.worst(lambda each: each.pins.days)
        return None if found is None else found[0]

    @property
    def is_short(self) -> bool:
        """Return whether guessing a PIN takes less than a year."""
        return self.days is not None and self.days < YEAR_DAYS

    def worst(self, of: Callable[[GateBudget], float | None]) -> tuple[float, str] | None:
        """Return the fewest days at any gate, with the gate's name; None if no gate has anything to guess."""
        found = [(days, each.gate) for each in self.gates if (days := of(each)) is not None]
        return min(found, default=None)

    def together(self, of: Callable[[GateBudget], float | None]) -> float | None:
        """Return the days for an attacker who uses all gates; None if no gate has anything to guess."""
        found = [days for each in self.gates if (days := of(each)) is not None]
        return 1 / sum(1 / days for days in found) if found else None


def site_budget(people: Iterable[OfficePerson], gates: Iterable[PairedGate]) -> SiteBudget:
    """Return the budgets of these people's PINs and cards at these gates.

    Without gates, assumes one gate with default limits.
    """
    everybody = list(people)
    pins, others = _pins(everybody)
    limits = [(gate.gate, None if gate.status is None else gate.status.guessing) for gate in gates]
    reported = limits or [("a gate", as_it_comes())]
    cards = _Cards.count(everybody)
    found = tuple(_gate(name, caps, pins, others, cards) for name, caps in reported)
    flats = [_of_pins(pins, others, structs.replace(caps or LOOSEST, by_household=True)) for _, caps in reported]
    by_household = min((each.days for each in flats if each.days is not None), default=None)
    return SiteBudget(found, by_household, pins.total() + others, cards.total)


def as_it_comes() -> GuessingLimits:
    """Return the limits of a gate with one keypad, one reader and default settings."""
    own = ReaderSettings()
    return GuessingLimits(1, 1, by_household=False, pins_day=own.attempts_day, household_day=own.household_day,
                    cards_hour=own.cards_hour, cards_day=own.cards_day, short_cards_day=own.short_cards_day,
                    pin_digits=own.pin_digits)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cards:
    """Card counts of a site, the same at every gate."""

    total: int
    most_of_household: int
    most_alike: int
    """The largest number of cards with the same first number at a 26-bit reader."""

    @classmethod
    def count(cls, people: Sequence[OfficePerson]) -> "_Cards":
        """Count the cards of these people: all, of the largest household, and with the same first byte."""
        homes = Counter(names.plain(person.household) for person in people for _ in person.cards)
        alike = Counter(byte for person in people for byte in first_bytes(person))
        return cls(homes.total(), max(homes.values(), default=0), max(alike.values(), default=0))


def _gate(name: str, limits: GuessingLimits | None, pins: Counter[str], others: int, cards: _Cards) -> GateBudget:
    caps = LOOSEST if limits is None else limits
    most, day, readers = cards.most_of_household, caps.short_cards_day, caps.readers
    return GateBudget(
        name,
        limits is not None,
        _of_pins(pins, others, caps),
        short_card_days(cards.total, most, day, readers),
        short_card_days(cards.most_alike, most, day, readers, KNOWN_BITS),
        card_days(cards.total, LONG_BITS, caps.cards_hour, caps.cards_day, readers),
    )


def _of_pins(pins: Counter[str], others: int, caps: GuessingLimits) -> GuessTime:
    if not caps.keypads:
        return GuessTime(pins.total() + others, MADE_DIGITS, None, None)
    limits = GuessLimits(caps.pins_day, caps.household_day, caps.by_household, caps.keypads)
    return guess_days(pins.values(), others, min(caps.pin_digits or MADE_DIGITS, MADE_DIGITS), limits)


def _pins(people: Iterable[OfficePerson]) -> tuple[Counter[str], int]:
    """Return the PIN count of each household with a flat number, and the count of all other people.

    Duress PINs count too.
    """
    homes, others = Counter[str](), 0
    for person in people:
        count = person.has_pin + person.has_duress_pin
        if flat_of(person.household):
            homes[names.plain(person.household)] += count
        else:
            others += count
    return homes, others
