"""The budgets of PINs and cards at the office: how long a stranger must guess at the gates, by what each gate told.

A gate says in its status how many wrong PINs and unknown cards it looks at. One that has not said it is reckoned with
the most that a gate's settings allow, so that what is said here is never too good.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import structs

from gated import names
from gated.config import ReaderSettings
from gated.office.gates import Gate
from gated.office.kept import KeptPerson
from gated.office.verifiers import first_bytes
from gated.pin.budget import YEAR_DAYS, Budget, Caps, budget, card_days, short_card_days
from gated.pin.flat import flat_of
from gated.pin.making import MADE_DIGITS
from gated.sync.messages import Guessing

LOOSEST = Guessing(2, 4, by_household=False, pins_day=1000, household_day=1000, cards_hour=1000, cards_day=10_000,
                   short_cards_day=10_000)  # fmt: skip
"""The most that the settings of a gate allow (`config.wiring`): both doors with keys, and a few readers."""
LONG_BITS, KNOWN_BITS = 32, 16
"""Of a card's number at a reader of 34 bits; of 26 bits what is left where the first of its two numbers is known."""


@dataclass(frozen=True, slots=True)
class GateBudget:
    """Of one gate. In days, on average; None: there is nothing to guess."""

    gate: str
    is_told: bool
    """Whether it has said what it allows."""
    pins: Budget
    short_cards: float | None
    """At readers of 26 bits."""
    known_cards: float | None
    """The same for whoever knows the first number of the cards, as one knows who has seen one."""
    long_cards: float | None
    """At readers of 34 bits."""


@dataclass(frozen=True, slots=True)
class SiteBudget:
    """Of a site."""

    gates: tuple[GateBudget, ...]
    by_household: float | None
    """Days for whoever guesses PINs at the worst of the gates, if all asked for flat numbers."""
    pins: int
    cards: int

    @property
    def untold(self) -> list[str]:
        """The gates that have not said what they allow."""
        return [each.gate for each in self.gates if not each.is_told]

    @property
    def days(self) -> float | None:
        """Days for whoever guesses PINs at the worst of the gates."""
        found = self.worst(lambda each: each.pins.days)
        return None if found is None else found[0]

    @property
    def is_short(self) -> bool:
        """Whether that is below a year."""
        return self.days is not None and self.days < YEAR_DAYS

    def worst(self, of: Callable[[GateBudget], float | None]) -> tuple[float, str] | None:
        """The fewest days at one gate, and which; None where nothing can be guessed at any."""
        found = [(days, each.gate) for each in self.gates if (days := of(each)) is not None]
        return min(found, default=None)

    def together(self, of: Callable[[GateBudget], float | None]) -> float | None:
        """Days for whoever goes from gate to gate."""
        found = [days for each in self.gates if (days := of(each)) is not None]
        return 1 / sum(1 / days for days in found) if found else None


def site_budget(people: Iterable[KeptPerson], gates: Iterable[Gate]) -> SiteBudget:
    """The budgets of these people's PINs and cards at these gates; where there are none, at one as it comes."""
    everybody = list(people)
    pins, others = _pins(everybody)
    said = [(gate.gate, None if gate.status is None else gate.status.guessing) for gate in gates]
    told = said or [("a gate", as_it_comes())]
    cards = _Cards.count(everybody)
    found = tuple(_gate(name, caps, pins, others, cards) for name, caps in told)
    flats = [_of_pins(pins, others, structs.replace(caps or LOOSEST, by_household=True)) for _, caps in told]
    by_household = min((each.days for each in flats if each.days is not None), default=None)
    return SiteBudget(found, by_household, pins.total() + others, cards.total)


def as_it_comes() -> Guessing:
    """A gate with one keypad and one reader whose installer has changed nothing."""
    own = ReaderSettings()
    return Guessing(1, 1, by_household=False, pins_day=own.attempts_day, household_day=own.household_day,
                    cards_hour=own.cards_hour, cards_day=own.cards_day, short_cards_day=own.short_cards_day,
                    pin_digits=own.pin_digits)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cards:
    """The counts of a site's cards that its budgets need; they are the same at every gate."""

    total: int
    most_of_household: int
    most_alike: int
    """The most cards that have the same first number at a reader of 26 bits."""

    @classmethod
    def count(cls, people: Sequence[KeptPerson]) -> "_Cards":
        homes = Counter(names.plain(who.household) for who in people for _ in who.cards)
        alike = Counter(byte for who in people for byte in first_bytes(who))
        return cls(homes.total(), max(homes.values(), default=0), max(alike.values(), default=0))


def _gate(name: str, said: Guessing | None, pins: Counter[str], others: int, cards: _Cards) -> GateBudget:
    caps = LOOSEST if said is None else said
    most, day, readers = cards.most_of_household, caps.short_cards_day, caps.readers
    return GateBudget(
        name,
        said is not None,
        _of_pins(pins, others, caps),
        short_card_days(cards.total, most, day, readers),
        short_card_days(cards.most_alike, most, day, readers, KNOWN_BITS),
        card_days(cards.total, LONG_BITS, caps.cards_hour, caps.cards_day, readers),
    )


def _of_pins(pins: Counter[str], others: int, caps: Guessing) -> Budget:
    if not caps.keypads:
        return Budget(pins.total() + others, MADE_DIGITS, None, None)
    limits = Caps(caps.pins_day, caps.household_day, caps.by_household, caps.keypads)
    return budget(pins.values(), others, min(caps.pin_digits or MADE_DIGITS, MADE_DIGITS), limits)


def _pins(people: Iterable[KeptPerson]) -> tuple[Counter[str], int]:
    """How many PINs each household with a flat number has, duress PINs too, and how many others have."""
    homes, others = Counter[str](), 0
    for who in people:
        count = who.has_pin + who.has_duress_pin
        if flat_of(who.household):
            homes[names.plain(who.household)] += count
        else:
            others += count
    return homes, others
