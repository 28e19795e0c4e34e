"""What a record says, in this gate's own words. What makes no sense in it lets nobody in, and is logged once."""

import logging
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gated.errors import CredentialError
from gated.gallery import dossier
from gated.gallery.dossier import Dossier
from gated.gallery.enrolment import UNPRINTABLE
from gated.gallery.entitlement import AS_EVERYBODY, RESIDENT, Credential, Preferences, Right, plain_role
from gated.gallery.people import Consent, Person, Status
from gated.gallery.vault import Vault
from gated.sync.messages import Card, Consented, Passage, PersonRecord, Wishes
from gated.types import SubjectId

log = logging.getLogger(__name__)

NEVER = datetime.fromtimestamp(0, UTC)
NO_RIGHT = Right(valid_until=NEVER)


def dossier_of(record: PersonRecord, status: Status, vault: Vault, connection: sqlite3.Connection) -> Dossier:
    """A person's record, with numbers and PINs as they are stored. Takes argon2's time for each PIN."""
    subject = SubjectId(record.subject)
    rights, role = rights_of(record.rights), RESIDENT
    try:
        role = plain_role(record.role)
    except CredentialError:
        log.warning("the role of %s is none that a gate knows; nobody is let in by it", subject)
        rights = rights or (NO_RIGHT,)
    consents = tuple(_consents(record.consents))
    at = _time(record.added_at) or NEVER
    person = Person(subject, printable(record.name), printable(record.household), status, at, consents, role)
    digits = ((record.pin, False), (record.duress_pin, True))
    return Dossier(
        person,
        rights,
        tuple(_cards(record, vault)),
        tuple(dossier.pin(connection, vault, subject, pin, is_duress=is_duress) for pin, is_duress in digits if pin),
        preferences_of(record.wishes),
    )


def rights_of(passages: Sequence[Passage]) -> tuple[Right, ...]:
    """When somebody may pass; a right with a time that is none never holds, but is one: without any, all would."""
    return tuple(
        Right(passage.door, passage.schedule, *window)
        if (window := _window(passage.valid_from, passage.valid_until)) is not None
        else NO_RIGHT
        for passage in passages
    )


def preferences_of(wishes: Wishes) -> Preferences:
    """How somebody wants the gate to behave; as for everybody where it cannot."""
    is_possible = (wishes.release_s is None or 5 <= wishes.release_s <= 30) and (
        wishes.search_s is None or 1 <= wishes.search_s <= 30
    )
    return Preferences(wishes.release_s, wishes.search_s, wishes.first) if is_possible else AS_EVERYBODY


def printable(text: str) -> str:
    """A text with nothing in it that could play tricks on a terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in UNPRINTABLE else c for c in text)


def _cards(record: PersonRecord, vault: Vault) -> Iterator[Credential]:
    for card in record.cards:
        known, window = dossier.card(vault, card.id, card.number), _window(card.valid_from, card.valid_until)
        if known is None or window is None:
            log.warning("a card of %s has a number or a time that is none; it is left out", record.subject)
        else:
            yield _carded(known, card, window)


def _carded(known: Credential, card: Card, window: tuple[datetime | None, datetime | None]) -> Credential:
    return replace(known, label=printable(card.label), valid_from=window[0], valid_until=window[1], uses_left=card.uses)


def _consents(consents: Sequence[Consented]) -> Iterator[Consent]:
    for consent in consents:
        at = _time(consent.at)
        if at is not None:
            yield Consent(consent.purpose, consent.reference, consent.notice, at)


def _window(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None] | None:
    """Both ends, open where nothing is said; None where one is no time."""
    ends = (None if start is None else _time(start), None if end is None else _time(end))
    return None if (start is None, end is None) != (ends[0] is None, ends[1] is None) else ends


def _time(text: str) -> datetime | None:
    """An aware time, or None."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.utcoffset() is not None else None
