"""The unlock schedule opens the door only while the schedule applies and the time is trusted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gated.access.schedules import Calendar
from gated.access.unlock_schedules import LEASE_S, RENEW_S, FreePassage
from gated.config import Schedule
from gated.errors import LatchError
from gated.events import MAIN, SECOND
from gated.events import FreePassage as Fact

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
CALENDAR = Calendar({"day": Schedule(start="08:00", end="18:00")}, (), ZoneInfo("UTC"))


class Gate:
    def __init__(self, **schedules):
        self.at, self.renewed, self.told, self.has_latch = NOON, [], [], True
        self.passage = FreePassage(schedules or {MAIN: "day"}, CALENDAR, self.renew, self.told.append, lambda: self.at)

    def renew(self, door, lease_s, decided_at):
        if not self.has_latch:
            raise LatchError("no latch answers")
        self.renewed.append((door, lease_s))


@pytest.fixture
def gate():
    return Gate()


def test_it_is_renewed_while_the_schedule_holds_and_told_once(gate):
    for _ in range(3):
        gate.passage.look()
    assert gate.renewed == [(MAIN, LEASE_S)] * 3
    assert gate.told == [Fact("day")]


def test_a_lease_outlives_two_renewals_that_are_missed():
    assert LEASE_S > 2 * RENEW_S


def test_it_ends_with_the_schedule(gate):
    gate.passage.look()
    gate.at = NOON + timedelta(hours=6)
    gate.passage.look()
    assert len(gate.renewed) == 1
    assert gate.told[-1] == Fact("day", is_over=True)


@pytest.mark.parametrize("trouble", ["clock", "lockdown"])
def test_it_ends_when_the_time_is_in_doubt_and_in_lockdown(gate, trouble):
    gate.passage.look()
    if trouble == "clock":
        gate.at = None
    else:
        gate.passage.is_locked_down = True
    gate.passage.look()
    assert len(gate.renewed) == 1
    assert gate.told[-1].is_over


def test_a_schedule_that_is_gone_releases_nothing():
    gate = Gate(main="night")
    gate.passage.look()
    assert gate.renewed == gate.told == []


def test_each_door_has_its_own():
    gate = Gate(second="day")
    gate.passage.look()
    assert gate.renewed == [(SECOND, LEASE_S)]


def test_a_latch_that_is_gone_is_asked_again(gate):
    gate.has_latch = False
    gate.passage.look()
    gate.has_latch = True
    gate.passage.look()
    assert gate.renewed == [(MAIN, LEASE_S)]
