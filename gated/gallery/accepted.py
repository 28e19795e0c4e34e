"""The result of accepting a person's record at this gate, and its journal events. Other gates receive these events."""

from collections.abc import Iterator

from msgspec import Struct

from gated.events import ConsentHeld, Event, PersonEnrolled, RecordAccepted
from gated.gallery.register import Register
from gated.people.store import RECOGNISE
from gated.types import SubjectId


class AcceptedRecord(Struct, frozen=True):
    """One quarantined record that somebody accepted as harmless."""

    subject: SubjectId
    enrolled: PersonEnrolled | None = None
    """Set if the accepted face was captured at this gate. The face belongs to the person from now on."""
    is_consent_held: bool = False
    """Whether only the office reports the person's consents beyond recognition. These consents stay on hold."""

    def facts(self, operator: str = "") -> Iterator[Event]:
        """Yield the journal events. `operator`: the person at the office who accepted the record; empty at the gate."""
        yield RecordAccepted(self.subject, operator)
        if self.enrolled is not None:
            yield self.enrolled
        if self.is_consent_held:
            yield ConsentHeld(self.subject)


def made_here(register: Register, subject: SubjectId) -> AcceptedRecord:
    """Return the result for a face that was captured at this gate and has just become valid. The
    caller is `changing`.
    """
    notices = [each.notice_version for each in register.person(subject).consents if each.purpose == RECOGNISE]
    opened = register.face_of(subject)
    if not notices or not opened:
        return AcceptedRecord(subject)
    enrolled = PersonEnrolled(subject, len(opened), notices[0], opened[0][1])
    return AcceptedRecord(subject, enrolled, register.is_consent_disputed(subject))
