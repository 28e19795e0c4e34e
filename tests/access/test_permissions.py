"""One object decides for every credential kind, so a lockdown and a revocation count for all of them alike."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gated.access.access_rules import Refusal
from gated.access.lockdown import LockdownRecord
from gated.access.permissions import Permissions
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.people.access_rule import Holder
from gated.people.credential import Credential
from gated.people.preferences import NO_PREFERENCES
from gated.people.schedule_values import CalendarDays
from gated.types import SubjectId

ANN = SubjectId("a" * 16)
CARD = Credential("c1", "card", ANN, b"digest")
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


class Ring:
    """Ann, and no schedule or day of the office."""

    def __init__(self):
        self.schedules, self.days = {}, CalendarDays()

    def holder(self, subject):
        return Holder() if subject == ANN else None

    def preferences(self, subject):
        return NO_PREFERENCES


@pytest.fixture
def permissions():
    calendar = Calendar({"day": Schedule(start="08:00", end="18:00")}, (), ZoneInfo("UTC"))
    return Permissions(Ring(), calendar, ["main"])


def answers(permissions, door="main"):
    return permissions.judge_person(ANN, door, NOON), permissions.judge_credential(CARD, door, NOON)


def test_a_face_and_a_card_of_one_person_get_the_same_answer(permissions):
    assert answers(permissions) == (None, None)
    assert answers(permissions, "cellar") == (Refusal.DOOR,) * 2
    permissions.revoke(frozenset({ANN}))
    assert answers(permissions) == (Refusal.SUSPENDED,) * 2


def test_a_lockdown_refuses_everybody_and_ends_an_unlock_schedule(permissions):
    assert permissions.is_unlocked("day", NOON)
    assert permissions.apply_lockdown(LockdownRecord("li", NOON))
    assert answers(permissions) == (Refusal.LOCKDOWN,) * 2
    assert not permissions.is_unlocked("day", NOON)
    assert not permissions.apply_lockdown(LockdownRecord("li", NOON)), "it is in force already"
    assert permissions.apply_lockdown(LockdownRecord("li", NOON, is_over=True))
    assert answers(permissions) == (None, None)


def test_a_revocation_stays_until_a_later_read_of_the_database(permissions):
    permissions.revoke(frozenset({ANN}))
    before = permissions.requested_revocations
    permissions.revoke(frozenset())
    permissions.end_revocations(before)
    assert answers(permissions) == (Refusal.SUSPENDED,) * 2
    permissions.end_revocations(permissions.requested_revocations)
    assert answers(permissions) == (None, None)


def test_a_schedule_of_the_office_applies_to_people_and_unlocks_no_door(permissions):
    permissions._ring.schedules = {"evening": Schedule(start="00:00", end="00:00")}
    permissions.refresh_calendar()
    assert permissions.calendar.allows("evening", NOON)
    assert not permissions.is_unlocked("evening", NOON)
    assert not permissions.is_unlocked("day", None)
