"""Refuses PINs that strangers try first, and reports people with a weak PIN. Used by `credential_service`.

An obvious pattern never opens. A PIN that is weak for its holder opens until the end of the grace period of the
settings. The gate knows the digits of a PIN only while a person types it. So it checks the PIN at that moment.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from gated.access.access_rules import Refusal
from gated.access.schedules import Calendar
from gated.access.use_writer import UseWriter
from gated.config import ReaderSettings
from gated.events import Event, WeakPin
from gated.people.credential import Credential
from gated.people.keyring import KeyRing
from gated.pin.rule import is_obvious
from gated.types import SubjectId


class WeakPins:
    """The weak PINs of one gate. It reports each one once."""

    def __init__(
        self, settings: ReaderSettings, ring: KeyRing, report: Callable[[Event], None], writer: UseWriter
    ) -> None:
        self._until, self._least_digits = settings.weak_pins_until, settings.pin_digits
        self._ring, self._report, self._writer = ring, report, writer
        self._reported: set[tuple[SubjectId, bytes]] = set()

    def judge(self, digits: str, found: Credential | None, at: datetime | None, calendar: Calendar) -> Refusal | None:
        """Return why this PIN opens nothing, or None. It is an obvious pattern, or it is weak and its grace period is
        over.
        """
        if is_obvious(digits):
            return Refusal.WEAK
        if not self._until or found is None or not self._ring.is_weak(digits, found.subject, self._least_digits):
            return None
        if at is None:
            return Refusal.CLOCK
        return Refusal.WEAK if at.astimezone(calendar.timezone).date().isoformat() >= self._until else None

    def report_if_weak(self, digits: str, found: Credential | None) -> None:
        """Report once that a person has a weak PIN, and store it.

        A duress PIN gives the same report, so the report does not reveal which PIN is weak.
        """
        if found is None or found.subject is None:
            return
        ring, subject = self._ring, found.subject
        if ring.is_known_weak(subject) or (subject, found.digest) in self._reported:
            return
        if not ring.is_weak(digits, subject, self._least_digits):
            return
        self._reported.add((subject, found.digest))
        self._report(WeakPin(subject))
        self._writer.record(lambda: ring.store.record_weak_pin(subject, datetime.now(UTC)))
