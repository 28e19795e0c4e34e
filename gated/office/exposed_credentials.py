"""Lists the cards and PINs that a gate knew. They must be changed if the gate is stolen and could be analysed."""

from dataclasses import dataclass

from gated.office.office_person import OfficePerson
from gated.office.store import Store


@dataclass(frozen=True, slots=True)
class Exposed:
    """One person and the credentials that the gate knew. Contains no card number and no PIN."""

    subject: str
    name: str
    household: str
    cards: list[str]
    """Ids of the person's cards."""
    has_pin: bool
    used_there_at: str | None
    """Last use of a card or PIN at this gate, from its journal (UTC, ISO 8601). None if never used there."""


def exposed(store: Store, gate: str) -> list[Exposed]:
    """Return all people with a card or PIN known to a gate: the most recent users of that gate first.

    Every gate of the site knows every person, even a person without access there.
    """
    used = store.journals.last_uses(gate)
    known = [_of(person, used.get(person.subject)) for person in store.book.live(OfficePerson)]
    found = sorted((each for each in known if each.cards or each.has_pin), key=lambda each: (each.name, each.subject))
    return sorted(found, key=lambda each: each.used_there_at or "", reverse=True)


def _of(person: OfficePerson, used_at: str | None) -> Exposed:
    cards = [card.id for card in person.cards]
    return Exposed(
        person.subject, person.name, person.household, cards, person.has_pin or person.has_duress_pin, used_at
    )
