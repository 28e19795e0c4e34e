"""The permissions of one gate: access rules, calendar, revoked people and lockdown.

Faces, credentials and unlock schedules ask the same object. So one lockdown and one set of rules apply to all. Every
answer comes from memory.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from gated.access.access_rules import FACE_ALONE, Refusal, judge_credential, judge_holder
from gated.access.lockdown import LockdownRecord
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.people.credential import Credential
from gated.people.keyring import KeyRing
from gated.people.preferences import Preferences
from gated.people.schedule_values import CalendarDays
from gated.types import CredentialKind, SubjectId


def with_office(own: Calendar, schedules: Mapping[str, Schedule], named: CalendarDays) -> Calendar:
    """Return the calendar of the settings, extended by the office's schedules and days.

    For a schedule or day that both define, the settings win.
    """
    certain = {*own.holidays, *own.workdays}
    days = frozenset(own.holidays) | (named.holidays - frozenset(own.workdays))
    makeup = frozenset(own.workdays) | (named.workdays - days)
    return replace(
        own,
        schedules={**schedules, **own.schedules},
        holidays=days,
        workdays=makeup,
        doubtful=named.doubtful - certain,
        is_doubtful=named.is_doubtful,
    )


class Permissions:
    """Decides whether a person, a credential or a schedule may open a door now. Use it in the event loop's thread."""

    def __init__(self, ring: KeyRing, calendar: Calendar, doors: Collection[str], gate: str = "") -> None:
        """`calendar` is the calendar of the settings. `doors` are the doors of this gate, and `gate` is its id."""
        self._ring, self._own, self._doors, self._gate = ring, calendar, frozenset(doors), gate
        self.calendar = calendar
        """The calendar of the settings, extended by the office's schedules and days."""
        self.is_locked_down = False
        self.requested_revocations = frozenset[str]()
        """The people whom the last `revoke` named."""
        self._revoked = frozenset[str]()

    def judge_door(self, door: str) -> Refusal | None:
        """Return why nobody may pass this door, or None."""
        if self.is_locked_down:
            return Refusal.LOCKDOWN
        return None if door in self._doors else Refusal.DOOR

    def judge_person(
        self,
        subject: SubjectId,
        door: str,
        at: datetime | None,
        kinds: frozenset[CredentialKind] = FACE_ALONE,
        *,
        has_own_threshold: bool = False,
    ) -> Refusal | None:
        """Return why a recognised person may not pass this door now, or None.

        `at` is the aware time of day, or None while it is not trusted. `kinds` are the credential kinds that this
        person has shown. `has_own_threshold`: the face reached a threshold that was calibrated for this child.
        """
        holder = self._ring.holder(subject)
        if refusal := self.judge_door(door) or self._judge_revoked(subject):
            return refusal
        if holder is None:
            return Refusal.UNKNOWN
        return judge_holder(
            holder, door, at, self.calendar, gate=self._gate, kinds=kinds, has_own_threshold=has_own_threshold
        )

    def judge_credential(
        self,
        found: Credential | None,
        door: str,
        at: datetime | None,
        kinds: frozenset[CredentialKind] = frozenset(),
    ) -> Refusal | None:
        """Return why a card or PIN does not open this door now, or None. Pass `found` = None for an unknown credential.

        `at` is the aware time of day, or None while it is not trusted. `kinds` are the other credential kinds that the
        same person has just shown at this door.
        """
        subject = None if found is None else found.subject
        if refusal := self.judge_door(door) or self._judge_revoked(subject):
            return refusal
        holder = None if subject is None else self._ring.holder(subject)
        return judge_credential(found, holder, door, at, self.calendar, gate=self._gate, kinds=kinds)

    def is_unlocked(self, schedule: str, at: datetime | None) -> bool:
        """Return whether an unlock schedule releases its door now.

        Only the calendar of the settings counts. A day set by the office unlocks no door.
        """
        return not self.is_locked_down and at is not None and self._own.allows(schedule, at)

    def preferences(self, subject: SubjectId | None) -> Preferences:
        """Return the preferences of a person; the defaults for a guest."""
        return self._ring.preferences(subject)

    def children(self, at: datetime | None) -> frozenset[SubjectId]:
        """Return the people with a mark as a child that holds at this time."""
        return frozenset(each for each, mark in self._ring.children.items() if mark.holds(at))

    def refresh_calendar(self) -> None:
        """Apply the schedules and days of the office. The settings win over them."""
        calendar = with_office(self._own, self._ring.schedules, self._ring.days)
        if calendar != self.calendar:
            self.calendar = calendar

    def apply_lockdown(self, record: LockdownRecord | None) -> bool:
        """Begin or end a lockdown as the last record says. Return whether this changed anything."""
        was_locked_down = self.is_locked_down
        self.is_locked_down = record is not None and not record.is_over
        return self.is_locked_down != was_locked_down

    def revoke(self, subjects: frozenset[str]) -> None:
        """Deny these people from now on. See `end_revocations`."""
        self.requested_revocations = subjects
        self._revoked |= subjects

    def end_revocations(self, before: frozenset[str]) -> None:
        """Stop to deny people after a successful read of the database, except the people of the last request.

        `before` is the `requested_revocations` at the start of that read. These people stay denied too.
        """
        self._revoked &= before | self.requested_revocations

    def _judge_revoked(self, subject: SubjectId | None) -> Refusal | None:
        """Return why a revoked person may not pass, or None. The database may still list such a person as active."""
        return Refusal.SUSPENDED if subject in self._revoked else None
