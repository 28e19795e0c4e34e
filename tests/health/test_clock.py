"""The time of day: trusted only while something keeps it, and never when it cannot be."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gated.events import ClockDoubted
from gated.health.clock import MOST_JUMP, SLACK, WallClock, doubt, kernel_keeps_time

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
LAST = NOON - timedelta(hours=1)


class Machine:
    """A clock that can be set, beside one that cannot."""

    def __init__(self, is_kept=True):
        self.wall, self.monotonic, self.is_kept, self.told = NOON, 1000.0, is_kept, []
        self.clock = WallClock(LAST, self.told.append, lambda: self.is_kept, lambda: self.wall, lambda: self.monotonic)

    def wait(self, seconds):
        self.wall, self.monotonic = self.wall + timedelta(seconds=seconds), self.monotonic + seconds


def test_a_clock_that_is_kept_is_believed():
    assert Machine().clock.now() == NOON


def test_a_clock_that_nothing_keeps_is_not():
    machine = Machine(is_kept=False)
    assert machine.clock.now() is None
    assert machine.told == [ClockDoubted("no time server was reached since the start, and no clock chip kept it")]


def test_once_right_it_stays_right_through_an_outage_of_the_time_server():
    machine = Machine()
    machine.clock.now()
    machine.is_kept = False
    machine.wait(86_400)
    assert machine.clock.now() == NOON + timedelta(days=1)
    assert machine.told == []


def test_a_jump_that_no_time_server_made_is_doubted_until_it_is_undone():
    machine = Machine()
    machine.clock.now()
    machine.is_kept = False
    for jump in (timedelta(days=365), timedelta(minutes=-2)):
        machine.wall += jump
        assert machine.clock.now() is None
        machine.wall -= jump
        assert machine.clock.now() == machine.wall
    assert [told.is_over for told in machine.told] == [False, True, False, True]


def test_a_time_server_may_set_it():
    machine = Machine(is_kept=False)
    machine.clock.now()
    machine.wall, machine.is_kept = NOON + timedelta(days=40), True
    assert machine.clock.now() == machine.wall
    assert machine.told[-1] == ClockDoubted("", is_over=True)


def test_a_time_before_the_last_fact_is_never_believed_whoever_keeps_it():
    machine = Machine()
    machine.wall = LAST - SLACK - timedelta(seconds=1)
    assert machine.clock.now() is None
    assert "already happened" in machine.clock.why


def test_doubt_is_reported_once():
    machine = Machine(is_kept=False)
    for _ in range(5):
        machine.clock.now()
    assert len(machine.told) == 1


@given(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)), st.booleans())
def test_whatever_the_clock_says_an_unkept_one_is_believed_only_near_where_it_was(jump, was_trusted):
    began = NOON - timedelta(seconds=1000)
    why = doubt(NOON + jump, began + jump, began if was_trusted else None, LAST, is_kept=False)
    assert (why is None) == (was_trusted and abs(jump) <= MOST_JUMP)


def test_the_kernel_can_be_asked():
    assert kernel_keeps_time() in (True, False)
