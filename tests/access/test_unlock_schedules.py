"""The unlock schedule opens the door only while the schedule applies and the time is trusted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gated.access.permissions import Permissions
from gated.access.schedules import Calendar
from gated.access.unlock_schedules import RENEW_INTERVAL_S, UNLOCK_LEASE_S, UnlockSchedules
from gated.config import Schedule
from gated.errors import LatchError
from gated.events import MAIN, SECOND, ScheduledUnlock

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
CALENDAR = Calendar({"day": Schedule(start="08:00", end="18:00")}, (), ZoneInfo("UTC"))


class Gate:
    def __init__(self, **schedules):
        self.at, self.renewed, self.told, self.has_latch = NOON, [], [], True
        self.permissions = Permissions(None, CALENDAR, (MAIN, SECOND))  # no credentials are needed
        doors = schedules or {MAIN: "day"}
        self.unlock = UnlockSchedules(doors, self.permissions, self.renew, self.told.append, lambda: self.at)

    def renew(self, door, lease_s, decided_at):
        if not self.has_latch:
            raise LatchError("no latch answers")
        self.renewed.append((door, lease_s))


@pytest.fixture
def gate():
    return Gate()


def test_an_unlock_is_renewed_while_the_schedule_applies_and_reported_once(gate):
    for _ in range(3):
        gate.unlock.renew()
    assert gate.renewed == [(MAIN, UNLOCK_LEASE_S)] * 3
    assert gate.told == [ScheduledUnlock("day")]


def test_a_lease_survives_two_missed_renewals():
    assert UNLOCK_LEASE_S > 2 * RENEW_INTERVAL_S


def test_an_unlock_ends_with_its_schedule(gate):
    gate.unlock.renew()
    gate.at = NOON + timedelta(hours=6)
    gate.unlock.renew()
    assert len(gate.renewed) == 1
    assert gate.told[-1] == ScheduledUnlock("day", is_over=True)


@pytest.mark.parametrize("trouble", ["clock", "lockdown"])
def test_an_unlock_ends_with_an_untrusted_clock_and_in_a_lockdown(gate, trouble):
    gate.unlock.renew()
    if trouble == "clock":
        gate.at = None
    else:
        gate.permissions.is_locked_down = True
    gate.unlock.renew()
    assert len(gate.renewed) == 1
    assert gate.told[-1].is_over


def test_a_deleted_schedule_releases_nothing():
    gate = Gate(main="night")
    gate.unlock.renew()
    assert gate.renewed == gate.told == []


def test_each_door_has_its_own():
    gate = Gate(second="day")
    gate.unlock.renew()
    assert gate.renewed == [(SECOND, UNLOCK_LEASE_S)]


def test_a_lost_latch_gets_the_unlock_again_after_its_return(gate):
    gate.has_latch = False
    gate.unlock.renew()
    gate.has_latch = True
    gate.unlock.renew()
    assert gate.renewed == [(MAIN, UNLOCK_LEASE_S)]
