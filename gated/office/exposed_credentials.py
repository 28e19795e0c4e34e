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
    known = [_of(who, used.get(who.subject)) for who in store.book.live(OfficePerson)]
    found = sorted((each for each in known if each.cards or each.has_pin), key=lambda each: (each.name, each.subject))
    return sorted(found, key=lambda each: each.used_there_at or "", reverse=True)


def _of(who: OfficePerson, used_at: str | None) -> Exposed:
    cards = [card.id for card in who.cards]
    return Exposed(who.subject, who.name, who.household, cards, who.has_pin or who.has_duress_pin, used_at)
