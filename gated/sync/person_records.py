"""Convert a person record into this gate's own types. Used by `batch`.

An invalid value gives no access. Invalid cards and roles are logged.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gated import names
from gated.config.reading import is_day
from gated.errors import CredentialError
from gated.gallery.person_data import PersonData
from gated.people.access_rule import RESIDENT, AccessRule, plain_role, rule_at
from gated.people.credential import Credential, new_id, unpack_readings
from gated.people.face_mark import FaceMark
from gated.people.pin_verifiers import Recipe
from gated.people.plain_text import UNPRINTABLE
from gated.people.preferences import Preferences, valid_preferences
from gated.people.store import Consent, Person, Status
from gated.protocol.limits import DIGEST_BYTES
from gated.protocol.wire_records import (
    PersonRecord,
    WireAccessRule,
    WireCard,
    WireConsent,
    WireMark,
    WirePreferences,
)
from gated.storage.vault import READING_BYTES
from gated.types import CredentialKind, SubjectId

log = logging.getLogger(__name__)

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NEVER = datetime.fromtimestamp(0, UTC)
NO_ACCESS = AccessRule(valid_until=NEVER)


def is_readable(record: PersonRecord) -> bool:
    """Return whether a record has a readable card number or PIN. Only an office that is too old sends one."""
    return bool(record.pin or record.duress_pin or any(card.number for card in record.cards))


def dossier_of(record: PersonRecord, status: Status) -> PersonData:
    """Return the dossier of a person record.

    From a readable record no card and no PIN is taken, and the stored ones stay. An invalid role gives no access; the
    person's own access rules still count.
    """
    subject = SubjectId(record.subject)
    rules, role = access_rules_of(record.rights), RESIDENT
    try:
        role = plain_role(record.role)
    except CredentialError:
        log.warning("the role of %s is invalid and gives no access", subject)
        rules = rules or (NO_ACCESS,)
    consents = tuple(_consents(record.consents))
    at = _time(record.added_at) or NEVER
    person = Person(
        subject, printable(record.name), printable(names.tidy(record.household)), status, at, consents, role
    )
    preferences = preferences_of(record.wishes)
    mark = mark_of(record.mark)
    if is_readable(record):
        return PersonData(person, rules, preferences=preferences, keeps_credentials=True, mark=mark)
    return PersonData(person, rules, tuple(_cards(record)), tuple(_pins(record)), preferences, mark=mark)


def access_rules_of(unlocks: Sequence[WireAccessRule]) -> tuple[AccessRule, ...]:
    """Return access rules. A rule with an invalid time becomes a rule that never applies.

    It is not dropped, because a person without any rule may pass at all hours.
    """
    return tuple(
        rule_at(unlock.door and names.plain(unlock.door), unlock.schedule and names.plain(unlock.schedule), *window)
        if (window := _window(unlock.valid_from, unlock.valid_until)) is not None
        else NO_ACCESS
        for unlock in unlocks
    )


def mark_of(mark: WireMark | None) -> FaceMark | None:
    """Return a person's mark, or None. A mark whose end is not a valid time has no end."""
    return None if mark is None else FaceMark(mark.kind, None if mark.until is None else _time(mark.until))


def days_of(days: Sequence[str]) -> tuple[str, ...]:
    """Return the valid days of a calendar, YYYY-MM-DD, sorted. Omits invalid ones."""
    return tuple(sorted({day for day in days if DAY.fullmatch(day) and is_day(day)}))


def preferences_of(preferences: WirePreferences) -> Preferences:
    """Return a person's preferences; the defaults if a value is out of range."""
    return valid_preferences(Preferences(preferences.release_s, preferences.search_s, preferences.first))


def printable(text: str) -> str:
    """Return the text without characters that could mislead a terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in UNPRINTABLE else c for c in text)


def _cards(record: PersonRecord) -> Iterator[Credential]:
    for card in record.cards:
        window = _window(card.valid_from, card.valid_until)
        is_one = len(card.digest) == DIGEST_BYTES and card.readings and not len(card.readings) % READING_BYTES
        if window is None or not is_one:
            log.warning("a card of %s has an invalid digest or time, and is ignored", record.subject)
        else:
            yield _card(card, window)


def _card(card: WireCard, window: tuple[datetime | None, datetime | None]) -> Credential:
    return Credential(
        card.id,
        CredentialKind.CARD,
        None,
        card.digest,
        label=printable(card.label),
        valid_from=window[0],
        valid_until=window[1],
        uses_left=card.uses,
        readings=unpack_readings(card.readings),
    )


def _pins(record: PersonRecord) -> Iterator[Credential]:
    subject = SubjectId(record.subject)
    for pin in record.pins:
        yield Credential(new_id(), CredentialKind.PIN, subject, pin.verifier, str(Recipe(pin.salt)))


def _consents(consents: Sequence[WireConsent]) -> Iterator[Consent]:
    for consent in consents:
        at = _time(consent.at)
        if at is not None:
            yield Consent(consent.purpose, consent.reference, consent.notice, at)


def _window(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None] | None:
    """Return both ends of a window, None for an open end; None if an end is not a valid time."""
    ends = (None if start is None else _time(start), None if end is None else _time(end))
    return None if (start is None, end is None) != (ends[0] is None, ends[1] is None) else ends


def _time(text: str) -> datetime | None:
    """Return an aware time; None if the text is not one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.utcoffset() is not None else None
