"""What people agreed to at a gate, while it took their face, becomes what the office notes of them.

A gate is believed about a face that it alone has taken. What it says of anybody else's is an alarm: a stolen gate could
claim that everybody agreed. Other gates go by none of it before somebody there accepts it.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from gated.office.book import consents_to
from gated.office.kept import KeptPerson
from gated.office.store import Store
from gated.soundness import is_moment
from gated.sync.messages import Consented

TAKEN = frozenset({"transfer"})
"""The purposes that a gate may tell of."""
GIVEN = "consent_given"
LONGEST = 200


def note_given(store: Store, gate: str, subject: str, purposes: Iterable[str], at: str) -> None:
    """Somebody agreed to more when their face was taken, `at` by the gate's clock. Of whom nobody has added here it is
    kept with the enrolment.
    """
    who = store.book.get(f"person/{subject}")
    if not isinstance(who, KeptPerson):
        return
    more = _news(who, gate, purposes, at)
    if not more:
        return
    if store.faces.enrolled_at(subject) == [gate]:
        store.book.put(replace(who, consents=[*who.consents, *more]))
    else:
        store.alarms.sound(gate, GIVEN, subject, at)


def with_given(store: Store, who: KeptPerson) -> KeptPerson:
    """Somebody who is to be added, with what they agreed to where their face was taken."""
    enrolments = store.faces.given(who.subject)
    if len(enrolments) != 1:
        return who
    ((gate, at, purposes),) = enrolments
    return replace(who, consents=[*who.consents, *_news(who, gate, purposes, at)])


def _news(who: KeptPerson, gate: str, purposes: Iterable[str], at: str) -> list[Consented]:
    """What of it is news, was not taken back since, and is of use: who may not be recognised agrees to nothing more."""
    paper = next((consent for consent in who.consents if consent.purpose == "recognise"), None)
    if paper is None or not is_moment(at):
        return []
    where = f" (said at {gate})"
    reference = paper.reference[: LONGEST - len(where)] + where
    new = [purpose for purpose in sorted(TAKEN & {*purposes}) if not consents_to(who, purpose)]
    held = [purpose for purpose in new if not _is_over(who.withdrawn.get(purpose), at)]
    return [Consented(purpose, reference, paper.notice, at) for purpose in held]


def _is_over(withdrawn_at: str | None, at: str) -> bool:
    """Whether it was taken back after it was given."""
    return withdrawn_at is not None and datetime.fromisoformat(at) <= datetime.fromisoformat(withdrawn_at)
