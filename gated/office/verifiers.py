"""People as one gate is sent them: cards and PINs as digests under its own keys, and names only if the site chose so.

Whoever copies what a gate is sent, without the gate's own site key, can compare nothing with it.
"""

import hmac
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from gated.errors import CredentialError
from gated.gallery import cards
from gated.gallery.vault import readings_by
from gated.gallery.verifiers import verifier
from gated.office.kept import KeptCard, KeptPerson
from gated.sync.messages import Card, PersonRecord, Pin, Verifiers
from gated.sync.records import fingerprint


@dataclass(frozen=True, slots=True)
class GateVerifiers:
    """The keys of one gate, 32 bytes each."""

    card: bytes
    pin: bytes

    @classmethod
    def of(cls, said: Verifiers) -> "GateVerifiers":
        """Those that a gate has told."""
        return cls(said.card, said.pin)

    @property
    def fingerprint(self) -> str:
        """What the word says of them: whoever knows it cannot tell the keys."""
        return fingerprint(self.card, self.pin)


LABEL = 60
"""So much of a label is sent, so that a person of 20 cards fits into a message with a face."""
ANY = GateVerifiers(bytes(32), bytes(32))
"""Of no gate: to see what a record will be like."""


def as_sent(who: KeptPerson, keys: GateVerifiers | None, *, with_names: bool) -> PersonRecord:
    """Somebody for a gate; without its keys they have neither a card nor a PIN there."""
    return PersonRecord(
        n=who.n,
        subject=who.subject,
        name=who.name if with_names else "",
        household=who.household,
        role=who.role,
        status=who.status,
        added_at=who.added_at,
        consents=who.consents,
        rights=who.rights,
        wishes=who.wishes,
        cards=[] if keys is None else list(_cards(who, keys, with_names=with_names)),
        pins=[] if keys is None else _pins(who, keys),
    )


def first_bytes(who: KeptPerson) -> Iterator[int]:
    """Of each of somebody's cards the first of the three bytes that a reader of 26 bits tells, as printed before the
    comma. Many cards of one delivery have the same.
    """
    for card in who.cards:
        with suppress(CredentialError):
            yield from {bytes.fromhex(name[2:])[0] for name in cards.given(card.number) if name.startswith("3:")}


def _cards(who: KeptPerson, keys: GateVerifiers, *, with_names: bool) -> Iterator[Card]:
    for card in who.cards:
        try:
            yield _card(card, keys, card.label[:LABEL] if with_names else "")
        except CredentialError:
            continue  # what an earlier version took for a number; it opens nowhere


def _card(card: KeptCard, keys: GateVerifiers, label: str) -> Card:
    own = hmac.digest(keys.card, cards.own_name(card.number).encode(), "sha256")
    readings = b"".join(sorted(readings_by(keys.card, cards.given(card.number))))
    return Card(card.id, "", label, card.valid_from, card.valid_until, card.uses, own, readings)


def _pins(who: KeptPerson, keys: GateVerifiers) -> list[Pin]:
    """In the order of their verifiers, which says nothing."""
    made = [Pin(pin.salt, verifier(keys.pin, pin.result, is_duress=pin.is_duress)) for pin in who.pins]
    return sorted(made, key=lambda pin: pin.verifier)
