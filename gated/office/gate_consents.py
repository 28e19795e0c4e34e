"""Turns consents given at a gate, during enrolment, into consents in the office's records.

The office believes a gate only about a face that no other gate has enrolled. Any other claim opens an alarm: a stolen
gate could claim that everybody consented. Other gates use this consent only after a person there accepts it.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from gated.office.office_person import OfficePerson
from gated.office.record_book import consents_to
from gated.office.store import Store
from gated.protocol.wire_records import WireConsent
from gated.storage.valid_rows import is_moment

REPORTABLE = frozenset({"transfer"})
"""The purposes that a gate may report."""
CONSENT_GIVEN = "consent_given"
LONGEST_REFERENCE = 200
"""Limit for the reference text of a consent, in characters."""


def apply_given_consents(store: Store, gate: str, subject: str, purposes: Iterable[str], at: str) -> None:
    """Add the further consents that a person gave during enrolment, `at` by the gate's clock.

    Does nothing for a person without a record here; their consents stay with the enrolment.
    """
    person = store.book.get(f"person/{subject}")
    if not isinstance(person, OfficePerson):
        return
    more = _missing_consents(person, gate, purposes, at)
    if not more:
        return
    if store.faces.enrolled_at(subject) == [gate]:
        store.book.put(replace(person, consents=[*person.consents, *more]))
    else:
        store.alarms.open(gate, CONSENT_GIVEN, subject, at)


def with_enrolment_consents(store: Store, person: OfficePerson) -> OfficePerson:
    """Return a new person's record with the consents given during enrolment."""
    enrolments = store.faces.enrolments(person.subject)
    if len(enrolments) != 1:
        return person
    ((gate, at, purposes),) = enrolments
    return replace(person, consents=[*person.consents, *_missing_consents(person, gate, purposes, at)])


def _missing_consents(person: OfficePerson, gate: str, purposes: Iterable[str], at: str) -> list[WireConsent]:
    """Return the reported consents that are new, usable, and not withdrawn.

    A person without consent to recognition can give no further consent.
    """
    paper = next((consent for consent in person.consents if consent.purpose == "recognise"), None)
    if paper is None or not is_moment(at):
        return []
    suffix = f" (said at {gate})"
    reference = paper.reference[: LONGEST_REFERENCE - len(suffix)] + suffix
    new = [purpose for purpose in sorted(REPORTABLE & {*purposes}) if not consents_to(person, purpose)]
    valid = [purpose for purpose in new if not _is_over(person.withdrawn.get(purpose), at)]
    return [WireConsent(purpose, reference, paper.notice, at) for purpose in valid]


def _is_over(withdrawn_at: str | None, at: str) -> bool:
    """Return whether the person withdrew the consent after giving it."""
    return withdrawn_at is not None and datetime.fromisoformat(at) <= datetime.fromisoformat(withdrawn_at)
