"""Which cards and PINs a gate knew: what must be changed when somebody has it who may find out how to open it."""

from dataclasses import dataclass

from gated.office.kept import KeptPerson
from gated.office.store import Store


@dataclass(frozen=True, slots=True)
class Exposed:
    """Somebody, with what the gate knew of theirs; never a number."""

    subject: str
    name: str
    household: str
    cards: list[str]
    """The ids of their cards."""
    has_pin: bool
    used_there_at: str | None
    """When they last came in there by card or PIN (UTC, ISO 8601), as its journal says."""


def exposed(store: Store, gate: str) -> list[Exposed]:
    """Everybody whose card or PIN a gate knew: those who used one there first, the newest first. Every gate of the site
    knows everybody, also those who may not pass there.
    """
    used = store.journals.used(gate)
    known = [_of(who, used.get(who.subject)) for who in store.book.live(KeptPerson)]
    found = sorted((each for each in known if each.cards or each.has_pin), key=lambda each: (each.name, each.subject))
    return sorted(found, key=lambda each: each.used_there_at or "", reverse=True)


def _of(who: KeptPerson, used_at: str | None) -> Exposed:
    cards = [card.id for card in who.cards]
    return Exposed(who.subject, who.name, who.household, cards, who.has_pin or who.has_duress_pin, used_at)
