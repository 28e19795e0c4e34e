"""Builds the record of a person for one gate.

Cards and PINs are digests under the gate's keys. Names are included only if the site chose so. Without the gate's site
key, a copy of these records is useless, because its digests cannot be compared with anything.
"""

import hmac
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from gated.errors import CredentialError
from gated.office.office_person import OfficeCard, OfficePerson
from gated.people import card_readings
from gated.people.pin_verifiers import verifier
from gated.protocol.key_messages import VerifierKeys
from gated.protocol.record_keys import fingerprint
from gated.protocol.wire_records import PersonRecord, WireCard, WirePin
from gated.storage.vault import digest_readings


@dataclass(frozen=True, slots=True)
class DigestKeys:
    """The card and PIN digest keys of one gate, 32 bytes each."""

    card: bytes
    pin: bytes

    @classmethod
    def of(cls, message: VerifierKeys) -> "DigestKeys":
        """Return the keys that a gate has sent."""
        return cls(message.card, message.pin)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint for the heartbeat. It does not reveal the keys."""
        return fingerprint(self.card, self.pin)


LABEL_CHARACTERS = 60
"""Limit for a card label as sent, in characters. Keeps a person with 20 cards and a face within one message."""
ANY = DigestKeys(bytes(32), bytes(32))
"""Placeholder keys of no gate, to compute a record's size."""


def as_sent(person: OfficePerson, keys: DigestKeys | None, *, with_names: bool) -> PersonRecord:
    """Return a person's record for a gate. Without the gate's keys it has no card and no PIN."""
    return PersonRecord(
        n=person.n,
        subject=person.subject,
        name=person.name if with_names else "",
        household=person.household,
        role=person.role,
        status=person.status,
        added_at=person.added_at,
        consents=person.consents,
        rights=person.rights,
        wishes=person.wishes,
        mark=person.mark,
        cards=[] if keys is None else list(_cards(person, keys, with_names=with_names)),
        pins=[] if keys is None else _pins(person, keys),
    )


def first_bytes(person: OfficePerson) -> Iterator[int]:
    """Yield, for each card, the first of the three bytes that a 26-bit reader reports.

    It is printed before the comma. Many cards of one delivery share it.
    """
    for card in person.cards:
        with suppress(CredentialError):
            yield from {
                bytes.fromhex(name[2:])[0] for name in card_readings.given(card.number) if name.startswith("3:")
            }


def _cards(person: OfficePerson, keys: DigestKeys, *, with_names: bool) -> Iterator[WireCard]:
    for card in person.cards:
        try:
            yield _card(card, keys, card.label[:LABEL_CHARACTERS] if with_names else "")
        except CredentialError:
            continue  # an earlier version accepted this number; it opens no gate


def _card(card: OfficeCard, keys: DigestKeys, label: str) -> WireCard:
    own = hmac.digest(keys.card, card_readings.own_name(card.number).encode(), "sha256")
    readings = b"".join(sorted(digest_readings(keys.card, card_readings.given(card.number))))
    return WireCard(card.id, "", label, card.valid_from, card.valid_until, card.uses, own, readings)


def _pins(person: OfficePerson, keys: DigestKeys) -> list[WirePin]:
    """Return the PINs sorted by verifier, so the order reveals nothing."""
    made = [WirePin(pin.salt, verifier(keys.pin, pin.result, is_duress=pin.is_duress)) for pin in person.pins]
    return sorted(made, key=lambda pin: pin.verifier)
