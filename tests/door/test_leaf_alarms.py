"""The alarms of a door: a leaf that is held open, and a relay that does not follow its coil."""

import math

import pytest

from gated.config import Wires
from gated.door.door_machine import advance, wakes_at
from gated.door.door_state import Door, LineInput, ReleaseRequest, Tick
from gated.events import DoorHeldOpen, LineImplausible, LinePlausible

WIRES = Wires(contact_pin=22, held_open_s=30.0, held_open_alarm_s=60.0)


class Story:
    """A door that gets inputs, and its events with their times."""

    def __init__(self, **wires):
        self.door, self.now, self.events = Door(wires=Wires(contact_pin=22, **wires)), 0.0, []

    def give(self, given):
        self.door, events = advance(self.door, given, self.now)
        self.events += [(round(self.now, 3), event) for event in events]

    def until(self, now):
        """Let time pass as the latch does: a tick whenever `wakes_at` is due."""
        while (at := wakes_at(self.door)) <= now:
            self.now = max(self.now, at)
            self.give(Tick())
        self.now = now

    def set_line(self, line, is_active):
        self.give(LineInput(line, is_active))

    def free(self, lease_s=10.0):
        self.give(ReleaseRequest("hours", lease_s, self.now, "schedule"))

    def of(self, *kinds):
        return [(at, event) for at, event in self.events if isinstance(event, kinds)]


@pytest.fixture
def story():
    return Story(held_open_s=30.0, held_open_alarm_s=60.0)


ASKED, ALARM = DoorHeldOpen(30.0), DoorHeldOpen(60.0, is_alarm=True)


def test_a_held_open_leaf_causes_one_request_then_one_alarm_then_nothing(story):
    story.set_line("contact", True)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == [(30.0, ASKED), (60.0, ALARM)]


def test_a_leaf_closed_in_time_is_not_reported(story):
    story.set_line("contact", True)
    story.until(29.9)
    story.set_line("contact", False)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == []


def test_each_opening_is_timed_by_itself(story):
    story.set_line("contact", True)
    story.until(40.0)
    story.set_line("contact", False)
    story.until(50.0)
    story.set_line("contact", True)
    story.until(200.0)
    assert story.of(DoorHeldOpen) == [(30.0, ASKED), (80.0, ASKED), (110.0, ALARM)]


def test_a_fire_stops_the_held_open_time_and_its_end_starts_it_anew(story):
    story.set_line("contact", True)
    story.until(20.0)
    story.set_line("fire", True)
    story.until(500.0)
    assert story.of(DoorHeldOpen) == []
    story.set_line("fire", False)
    story.set_line("fire_reset", True)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == [(530.0, ASKED), (560.0, ALARM)]


def test_held_open_is_timed_from_the_end_of_an_unlock_schedule(story):
    story.set_line("contact", True)
    for at in range(0, 100, 5):
        story.until(float(at))
        story.free()
    story.until(300.0)
    assert story.of(DoorHeldOpen) == [(135.0, ASKED), (165.0, ALARM)]


def test_a_grant_near_the_end_of_a_schedule_does_not_delay_the_held_open_time(story):
    story.set_line("contact", True)
    story.free()
    story.until(9.0)
    story.give(ReleaseRequest("v", 20.0, story.now))
    story.until(300.0)
    assert story.of(DoorHeldOpen) == [(40.0, ASKED), (70.0, ALARM)]


def test_a_late_tick_reports_every_overdue_alarm(story):
    story.set_line("contact", True)
    story.now = 61.0
    story.give(Tick())
    assert story.of(DoorHeldOpen) == [(61.0, DoorHeldOpen(61.0)), (61.0, DoorHeldOpen(61.0, is_alarm=True))]


@pytest.mark.parametrize(("lock", "fail"), [("strike", "secure"), ("maglock", "safe"), ("reverse_strike", "safe")])
class TestFeedback:
    """The relay's feedback contact. It is closed while the coil has power."""

    @pytest.fixture
    def story(self, lock, fail):
        story = Story(lock=lock, fail=fail, feedback_pin=27)
        story.set_line("feedback", lock != "strike")
        story.released = lock == "strike"
        return story

    def release(self, story):
        story.give(ReleaseRequest("v", 8.0, story.now))

    def test_a_relay_that_follows_within_half_a_second_raises_no_alarm(self, story):
        self.release(story)
        story.until(0.4)
        story.set_line("feedback", story.released)
        story.until(8.4)
        story.set_line("feedback", not story.released)
        story.until(20.0)
        assert story.of(LineImplausible, LinePlausible) == []

    def test_a_relay_that_does_not_follow_is_reported_once_and_so_is_its_recovery(self, story):
        self.release(story)
        for at in (0.6, 0.7, 5.0):
            story.until(at)
            story.give(Tick())
        ((at, odd),) = story.of(LineImplausible)
        assert at == 0.5
        assert odd.line == "lock"
        assert ("picked up" in odd.why) == story.released
        story.set_line("feedback", story.released)
        story.until(6.0)
        assert story.of(LinePlausible) == [(5.0, LinePlausible("lock"))]

    def test_a_welded_relay_is_reported_after_the_lease(self, story):
        self.release(story)
        story.set_line("feedback", story.released)
        story.until(60.0)
        ((at, odd),) = story.of(LineImplausible)
        assert at == 8.5
        assert ("dropped" in odd.why) == story.released


def test_without_a_feedback_contact_no_relay_alarm_is_raised():
    story = Story()
    story.give(ReleaseRequest("v", 8.0, 0.0))
    story.until(60.0)
    assert story.of(LineImplausible) == []


def test_a_nan_clock_raises_no_alarm(story):
    story.set_line("contact", True)
    story.now = math.nan
    story.give(Tick())
    assert story.of(DoorHeldOpen) == []
