"""What was accepted of somebody at this gate, and what the journal is told of it, so that other gates hear of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from gated.events import ConsentHeld, Event, PersonEnrolled, RecordAccepted
from gated.gallery.people import RECOGNISE
from gated.gallery.register import Register
from gated.types import SubjectId


@dataclass(frozen=True, slots=True)
class Accepted:
    """A record that was held back is no poison."""

    subject: SubjectId
    enrolled: PersonEnrolled | None = None
    """The face that waited was made here, and is theirs from now on."""
    is_consent_held: bool = False
    """Only the office says that they agreed to more than recognition."""

    def facts(self, operator: str = "") -> Iterator[Event]:
        """What the journal is told. `operator`: whoever accepted it at the office."""
        yield RecordAccepted(self.subject, operator)
        if self.enrolled is not None:
            yield self.enrolled
        if self.is_consent_held:
            yield ConsentHeld(self.subject)


def made_here(register: Register, subject: SubjectId) -> Accepted:
    """A face of this gate's own making, which has become somebody's just now; the caller is `changing`."""
    notices = [each.notice_version for each in register.person(subject).consents if each.purpose == RECOGNISE]
    opened = register.face_of(subject)
    if not notices or not opened:
        return Accepted(subject)
    enrolled = PersonEnrolled(subject, len(opened), notices[0], opened[0][1])
    return Accepted(subject, enrolled, register.is_consent_disputed(subject))
