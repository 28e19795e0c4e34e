"""What a door complains of: a leaf that is held open, and a relay that does not do as it was told."""

import math

import pytest

from gated.config import Wires
from gated.door.machine import step, wakes_at
from gated.door.state import Door, Line, Release, Tick
from gated.events import DoorHeldOpen, LineImplausible, LinePlausible

WIRES = Wires(contact_pin=22, held_open_s=30.0, held_open_alarm_s=60.0)


class Story:
    """A door to which things happen, and what it told when."""

    def __init__(self, **wires):
        self.door, self.now, self.told = Door(wires=Wires(contact_pin=22, **wires)), 0.0, []

    def give(self, given):
        self.door, events = step(self.door, given, self.now)
        self.told += [(round(self.now, 3), event) for event in events]

    def until(self, now):
        """Let time pass as the latch does: wake when the machine asks for it."""
        while (at := wakes_at(self.door)) <= now:
            self.now = max(self.now, at)
            self.give(Tick())
        self.now = now

    def say(self, line, is_active):
        self.give(Line(line, is_active))

    def free(self, lease_s=10.0):
        self.give(Release("hours", lease_s, self.now, "schedule"))

    def of(self, *kinds):
        return [(at, event) for at, event in self.told if isinstance(event, kinds)]


@pytest.fixture
def story():
    return Story(held_open_s=30.0, held_open_alarm_s=60.0)


ASKED, ALARM = DoorHeldOpen(30.0), DoorHeldOpen(60.0, is_alarm=True)


def test_people_are_asked_first_and_then_it_is_an_alarm_and_then_nothing_more(story):
    story.say("contact", True)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == [(30.0, ASKED), (60.0, ALARM)]


def test_a_leaf_that_is_shut_in_time_is_no_news(story):
    story.say("contact", True)
    story.until(29.9)
    story.say("contact", False)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == []


def test_each_opening_has_its_own_time(story):
    story.say("contact", True)
    story.until(40.0)
    story.say("contact", False)
    story.until(50.0)
    story.say("contact", True)
    story.until(200.0)
    assert story.of(DoorHeldOpen) == [(30.0, ASKED), (80.0, ASKED), (110.0, ALARM)]


def test_a_fire_is_no_time_to_shut_the_door_and_after_it_the_time_begins_anew(story):
    story.say("contact", True)
    story.until(20.0)
    story.say("fire", True)
    story.until(500.0)
    assert story.of(DoorHeldOpen) == []
    story.say("fire", False)
    story.say("fire_reset", True)
    story.until(600.0)
    assert story.of(DoorHeldOpen) == [(530.0, ASKED), (560.0, ALARM)]


def test_in_hours_of_free_passage_it_may_stand_open_and_from_their_end_on_it_counts(story):
    story.say("contact", True)
    for at in range(0, 100, 5):
        story.until(float(at))
        story.free()
    story.until(300.0)
    assert story.of(DoorHeldOpen) == [(135.0, ASKED), (165.0, ALARM)]


def test_that_holds_although_somebody_is_let_in_at_the_end_of_those_hours(story):
    story.say("contact", True)
    story.free()
    story.until(9.0)
    story.give(Release("v", 20.0, story.now))
    story.until(300.0)
    assert story.of(DoorHeldOpen) == [(40.0, ASKED), (70.0, ALARM)]


def test_alarms_that_were_slept_through_are_all_told(story):
    story.say("contact", True)
    story.now = 61.0
    story.give(Tick())
    assert story.of(DoorHeldOpen) == [(61.0, DoorHeldOpen(61.0)), (61.0, DoorHeldOpen(61.0, is_alarm=True))]


@pytest.mark.parametrize(("lock", "fail"), [("strike", "secure"), ("maglock", "safe"), ("reverse_strike", "safe")])
class TestFeedback:
    """The relay's spare contact, which is closed while the coil has power."""

    @pytest.fixture
    def story(self, lock, fail):
        story = Story(lock=lock, fail=fail, feedback_pin=27)
        story.say("feedback", lock != "strike")
        story.released = lock == "strike"
        return story

    def release(self, story):
        story.give(Release("v", 8.0, story.now))

    def test_a_relay_that_follows_within_half_a_second_is_sound(self, story):
        self.release(story)
        story.until(0.4)
        story.say("feedback", story.released)
        story.until(8.4)
        story.say("feedback", not story.released)
        story.until(20.0)
        assert story.of(LineImplausible, LinePlausible) == []

    def test_one_that_does_not_is_told_once_and_again_when_it_does(self, story):
        self.release(story)
        for at in (0.6, 0.7, 5.0):
            story.until(at)
            story.give(Tick())
        ((at, odd),) = story.of(LineImplausible)
        assert at == 0.5
        assert odd.line == "lock"
        assert ("picked up" in odd.why) == story.released
        story.say("feedback", story.released)
        story.until(6.0)
        assert story.of(LinePlausible) == [(5.0, LinePlausible("lock"))]

    def test_a_welded_one_is_told_when_the_lease_is_over(self, story):
        self.release(story)
        story.say("feedback", story.released)
        story.until(60.0)
        ((at, odd),) = story.of(LineImplausible)
        assert at == 8.5
        assert ("dropped" in odd.why) == story.released


def test_without_a_spare_contact_the_relay_is_believed():
    story = Story()
    story.give(Release("v", 8.0, 0.0))
    story.until(60.0)
    assert story.of(LineImplausible) == []


def test_a_clock_that_is_no_number_alarms_nobody(story):
    story.say("contact", True)
    story.now = math.nan
    story.give(Tick())
    assert story.of(DoorHeldOpen) == []
