"""The door machine, state by input: nothing but a fresh, bounded lease or a standing fire release opens the lock."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.config import Wires
from gated.door.machine import MAX_AGE_S, MAX_LEASE_S, step, wakes_at
from gated.door.state import Door, Drop, Line, Lockdown, Release, Tick
from gated.events import (
    CallPressed,
    DoorClosed,
    DoorDidNotOpen,
    DoorForcedOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    FireRelease,
    FireReset,
    ReleaseRefused,
    Tampered,
)

NOW = 1000.0
WIRES = Wires(contact_pin=22, rex_pin=23, release_s=8.0, rex_grace_s=3.0, held_open_s=30.0, held_open_alarm_s=60.0)
SHUT = Door(wires=WIRES)


def after(*inputs, door=SHUT, now=NOW):
    """The door and all events after inputs at (time, input) pairs."""
    events = []
    for at, given_input in inputs:
        door, more = step(door, given_input, now + at)
        events += more
    return door, events


def release(at=0.0, lease_s=8.0):
    return Release("visit", lease_s, NOW + at)


def schedule(at=0.0, lease_s=10.0):
    return Release("office-hours", lease_s, NOW + at, "schedule")


def active(line):
    return Line(line, True)


def over(line):
    return Line(line, False)


def presses(line="rex"):
    return active(line), over(line)


# What each kind of door is, and how it came to be so.
SECURED = SHUT
GRANTED = after((0, release()))[0]
LEAVING = after((0, active("rex")))[0]
FREE = after((0, schedule()))[0]
LOCKED_DOWN = after((0, Lockdown(True)))[0]
BURNING = after((0, active("fire")))[0]
BURNT = after((0, active("fire")), (0, over("fire")))[0]
OPEN = after((0, release()), (0.5, active("contact")))[0]
STATES = {
    "secured": SECURED,
    "granted": GRANTED,
    "leaving": LEAVING,
    "free": FREE,
    "locked down": LOCKED_DOWN,
    "burning": BURNING,
    "burnt": BURNT,
    "open": OPEN,
}

TABLE = {
    #                secured granted leaving free   lockdown burning burnt  open
    "grant":        (True,   True,   True,   True,  False,   True,   True,  True),
    "schedule":     (True,   True,   True,   True,  False,   True,   True,  True),
    "rex":          (True,   True,   True,   True,  True,    True,   True,  True),
    "fire":         (True,   True,   True,   True,  True,    True,   True,  True),
    "fire_reset":   (False,  True,   True,   True,  False,   True,   False, True),
    "tamper":       (False,  True,   True,   True,  False,   True,   True,  True),
    "call":         (False,  True,   True,   True,  False,   True,   True,  True),
    "open":         (False,  True,   True,   True,  False,   True,   True,  True),
    "lockdown":     (False,  False,  True,   False, False,   True,   True,  False),
    "disconnect":   (False,  False,  True,   False, False,   True,   True,  False),
    "stop":         (False,  False,  False,  False, False,   True,   True,  False),
    "a minute":     (False,  False,  False,  False, False,   True,   True,  False),
}  # fmt: skip
INPUTS = {
    "grant": release(1.0),
    "schedule": schedule(1.0),
    "open": active("contact"),
    "lockdown": Lockdown(True),
    "disconnect": Drop("disconnect"),
    "stop": Drop("stop", exits=True),
    "a minute": Tick(),
    **{line: active(line) for line in ("rex", "fire", "fire_reset", "tamper", "call")},
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", STATES)
def test_whether_the_lock_is_released_after_each_input_in_each_state(state, name):
    at = 60.0 if name == "a minute" else 1.0
    door, _ = after((at, INPUTS[name]), door=STATES[state])
    if state == "leaving" and name == "rex":
        assert door.is_released
    assert door.is_released == TABLE[name][list(STATES).index(state)]


@pytest.mark.parametrize("state", STATES)
def test_reading_the_same_again_says_nothing(state):
    door = STATES[state]
    for line in ("contact", "rex", "fire", "tamper", "call", "fire_reset"):
        again, events = after((0.6, Line(line, line in door.active)), door=door)
        assert events == []
        assert again.is_released == door.is_released


class TestGrant:
    def test_fresh_it_releases(self):
        door, events = after((0, release()))
        assert (door.state, door.is_released) == ("released", True)
        assert events == [DoorReleased("grant", 8.0, "visit")]

    def test_the_lease_ends_by_itself_and_nobody_came(self):
        door, events = after((0, release()), (7.9, Tick()), (8.0, Tick()))
        assert door.state == "secured"
        assert events[1:] == [DoorSecured("lease"), DoorDidNotOpen("grant")]

    @pytest.mark.parametrize("age_s", [MAX_AGE_S + 0.01, 60.0, -0.5, math.nan, math.inf, -math.inf])
    def test_that_is_not_fresh_it_releases_nothing(self, age_s):
        door, events = after((0, release(at=-age_s)))
        assert not door.is_released
        assert isinstance(events[0], ReleaseRefused)

    @pytest.mark.parametrize("lease_s", [0.0, -1.0, MAX_LEASE_S + 0.1, 1e9, math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("cause", ["grant", "schedule"])
    def test_with_an_odd_lease_it_releases_nothing(self, lease_s, cause):
        door, events = after((0, Release("visit", lease_s, NOW, cause)))
        assert not door.is_released
        assert isinstance(events[0], ReleaseRefused)

    def test_a_second_one_begins_the_time_anew(self):
        door, _ = after((0, release()), (5, release(at=5)), (10, Tick()))
        assert door.is_released
        assert not after((13, Tick()), door=door)[0].is_released

    def test_a_second_one_with_a_shorter_lease_is_the_one_that_counts(self):
        door, _ = after((0, release(lease_s=30.0)), (1, release(at=1, lease_s=2.0)), (3, Tick()))
        assert not door.is_released

    def test_a_refused_one_leaves_a_running_lease_alone(self):
        door, _ = after((0, release()), (1, release(at=1, lease_s=99)))
        assert door.is_released
        assert door.granted_until == NOW + 8

    def test_a_lost_brain_ends_its_lease_and_not_the_exit(self):
        door, _ = after((0, release()), (1, Drop("disconnect")))
        assert not door.is_released
        door, _ = after((0, active("rex")), (1, release(at=1)), (2, Drop("disconnect")))
        assert door.is_released


class TestExit:
    def test_it_releases_and_needs_nobody(self):
        door, events = after((0, active("rex")), (1, active("contact")))
        assert door.is_released
        assert events == [DoorReleased("rex", 8.0), DoorOpened("rex")]

    def test_held_down_it_releases_once(self):
        door, _ = after((0, active("rex")), (5, active("rex")), (8, active("rex")))
        assert not door.is_released

    def test_its_lease_is_bounded_whatever_the_settings_say(self):
        door = Door(wires=Wires(release_s=math.inf))
        assert not after((0, active("rex")), (MAX_LEASE_S, Tick()), door=door)[0].is_released

    def test_stopping_ends_it_too(self):
        door, events = after((0, active("rex")), (1, release(at=1)), (2, Drop("stop", exits=True)))
        assert not door.is_released
        assert events[-1] == DoorSecured("stop")


class TestLeaf:
    def test_shutting_it_locks_again(self):
        door, events = after((0, release()), (1, active("contact")), (3, over("contact")))
        assert door.state == "secured"
        assert events[1:] == [DoorOpened("grant"), DoorClosed(), DoorSecured("closed")]

    def test_shutting_it_keeps_the_lease_where_that_is_wished(self):
        wires = Wires(contact_pin=22, relock_on_close=False)
        door, _ = after((0, release()), (1, active("contact")), (3, over("contact")), door=Door(wires=wires))
        assert door.state == "released"

    def test_the_lock_drops_while_it_is_still_open(self):
        door, events = after((0, release()), (1, active("contact")), (8, Tick()))
        assert (door.state, door.is_released) == ("open", False)
        assert events[-1] == DoorSecured("lease")

    @pytest.mark.parametrize(
        ("before", "says"),
        [
            ([release()], "grant"),
            ([active("rex")], "rex"),
            ([schedule()], "schedule"),
            ([active("fire")], "fire"),
            ([release(), schedule()], "schedule"),
            ([schedule(), active("fire")], "fire"),
            ([release(lease_s=20.0), active("rex")], "grant"),
            ([release(lease_s=2.0), active("rex")], "rex"),
        ],
    )
    def test_opening_says_what_had_released_it(self, before, says):
        _, events = after(*((0, each) for each in before), (1, active("contact")))
        assert events[-1] == DoorOpened(says)

    def test_opening_without_a_lease_is_forced(self):
        assert after((0, active("contact")))[1] == [DoorOpened("nothing"), DoorForcedOpen()]

    @pytest.mark.parametrize(("later_s", "is_forced"), [(0.1, False), (3.0, False), (3.1, True), (600.0, True)])
    def test_a_little_after_the_lease_it_is_still_the_one_who_leaves(self, later_s, is_forced):
        _, events = after((0, active("rex")), (8, Tick()), (8 + later_s, active("contact")))
        assert (DoorForcedOpen() in events) == is_forced
        assert (DoorOpened("rex") in events) != is_forced

    def test_open_at_our_own_start_it_was_not_forced_as_far_as_we_know(self):
        door = replace(SHUT, secured_at=NOW)
        assert after((0.02, active("contact")), door=door)[1] == [DoorOpened("nothing")]

    def test_that_opens_as_the_lease_ends_it_was_awaited(self):
        """The clock's own input comes a moment late; the leaf's comes first."""
        _, events = after((0, release()), (8.2, active("contact")))
        assert events[1:] == [DoorSecured("lease"), DoorOpened("grant")]

    def test_that_stayed_shut_is_told_at_the_end_of_the_lease_only(self):
        for cut in (Drop("disconnect"), Lockdown(True)):
            _, events = after((0, release()), (1, cut))
            assert not any(isinstance(event, DoorDidNotOpen) for event in events)
        _, events = after((0, active("rex")), (8, Tick()))
        assert events[-1] == DoorDidNotOpen("rex")

    def test_for_one_who_finds_it_open_it_need_not_open(self):
        _, events = after((0, active("rex")), (1, active("contact")), (2, release(2)), (10, Tick()))
        assert events[-1] == DoorSecured("lease")

    def test_without_a_contact_nobody_says_that_it_did_not_open(self):
        _, events = after((0, release()), (8, Tick()), door=Door(wires=Wires()))
        assert events[-1] == DoorSecured("lease")

    @pytest.mark.parametrize("longer", [schedule(7.5), active("fire")])
    def test_a_grant_that_becomes_free_passage_awaits_nobody(self, longer):
        _, events = after((0, release()), (7.5, longer), (8, Tick()), (18, Tick()), (30, Tick()))
        assert not any(isinstance(event, DoorDidNotOpen) for event in events)


class TestFreePassage:
    def test_renewed_it_goes_on_and_is_told_once(self):
        door, events = after(*((at, schedule(at)) for at in range(0, 60, 3)))
        assert door.is_released
        assert events == [DoorReleased("schedule", 10.0, "office-hours")]

    def test_not_renewed_it_ends(self):
        door, events = after((0, schedule()), (10, Tick()))
        assert not door.is_released
        assert events[-1] == DoorSecured("lease")

    def test_shutting_the_leaf_does_not_end_it(self):
        door, _ = after((0, schedule()), (1, release(1)), (2, active("contact")), (3, over("contact")))
        assert door.is_released
        assert not after((10, Tick()), door=door)[0].is_released

    def test_it_ends_with_the_brain(self):
        assert not after((0, schedule()), (1, Drop("disconnect")))[0].is_released

    def test_after_a_break_it_is_told_anew(self):
        _, events = after((0, schedule()), (10, Tick()), (11, schedule(11)))
        assert events.count(DoorReleased("schedule", 10.0, "office-hours")) == 2


class TestLockdown:
    def test_it_ends_a_running_grant(self):
        door, events = after((0, release()), (1, Lockdown(True)))
        assert not door.is_released
        assert events[-1] == DoorSecured("lockdown")

    def test_it_lets_a_running_exit_end_by_itself(self):
        assert after((0, active("rex")), (1, Lockdown(True)))[0].is_released

    def test_it_refuses_and_says_so(self):
        door, events = after((0, Lockdown(True)), (1, release(1)))
        assert not door.is_released
        assert events == [ReleaseRefused("visit", "lockdown")]

    def test_a_schedule_that_asks_again_and_again_is_told_once(self):
        _, events = after((0, Lockdown(True)), *((at, schedule(at)) for at in range(1, 30)))
        assert events == [ReleaseRefused("office-hours", "lockdown")]

    def test_people_may_leave(self):
        _, events = after((0, Lockdown(True)), (1, active("rex")))
        assert events == [DoorReleased("rex", 8.0)]

    def test_a_fire_beats_it_and_leaves_it_standing(self):
        door, _ = after((0, Lockdown(True)), (1, active("fire")))
        assert door.is_released
        door, events = after((2, over("fire")), (3, active("fire_reset")), (4, release(4)), door=door)
        assert not door.is_released
        assert events[-1] == ReleaseRefused("visit", "lockdown")

    def test_it_ends_only_when_it_is_told_to(self):
        door, _ = after((0, Lockdown(True)), (1, Drop("disconnect")), (1e6, Tick()))
        assert door.is_locked_down
        door, events = after((1e6 + 1, Lockdown(False)), (1e6 + 1, release(1e6 + 1)), door=door)
        assert events == [DoorReleased("grant", 8.0, "visit")]


class TestFire:
    def test_it_releases_at_once_and_for_good(self):
        door, events = after((0, active("fire")), (1e6, Tick()))
        assert door.is_released
        assert events == [FireRelease(), DoorReleased("fire", 0.0)]

    @pytest.mark.parametrize(
        "given_input",
        [
            Lockdown(True),
            Drop("disconnect"),
            Drop("stop", exits=True),
            Tick(),
            over("fire"),
            active("contact"),
            over("contact"),
            release(50),
        ],
    )
    def test_nothing_ends_it(self, given_input):
        door, events = after((0, release()), (0, active("contact")), (1, active("fire")), (50, given_input))
        assert door.is_released
        assert not any(isinstance(event, DoorSecured) for event in events)

    def test_a_key_turned_while_it_burns_resets_nothing_then_nor_later(self):
        door, events = after((0, active("fire")), (1, active("fire_reset")), (2, over("fire")), (3, Tick()))
        assert door.is_released
        assert FireReset() not in events

    def test_a_key_turned_when_it_is_quiet_does(self):
        door, events = after((0, active("fire")), (1, over("fire")), (2, active("fire_reset")))
        assert not door.is_released
        assert events[-2:] == [FireReset(), DoorSecured("fire_reset")]

    def test_the_key_alone_says_nothing(self):
        assert after((0, active("fire_reset")), (1, over("fire_reset")))[1] == []

    def test_a_second_alarm_before_the_reset_is_no_second_release(self):
        _, events = after((0, active("fire")), (1, over("fire")), (2, active("fire")))
        assert events.count(FireRelease()) == 1

    def test_after_the_reset_a_lease_that_still_runs_goes_on(self):
        door, _ = after((0, active("fire")), (1, over("fire")), (2, active("rex")), (3, active("fire_reset")))
        assert door.is_released
        assert not after((10, Tick()), door=door)[0].is_released


class TestOtherLines:
    def test_tampering_is_told_both_ways(self):
        assert after((0, active("tamper")), (1, over("tamper")))[1] == [Tampered(), Tampered(is_over=True)]

    def test_a_call_is_told_once_a_press(self):
        assert after((0, active("call")), (1, over("call")), (2, active("call")))[1] == [CallPressed()] * 2

    def test_facts_say_which_door(self):
        second = replace(SHUT, name="second")
        _, events = after((0, active("contact")), (1, active("tamper")), (2, active("fire")), door=second)
        assert events
        assert {event.door for event in events} == {"second"}


def test_a_clock_that_is_no_number_secures_the_lock():
    assert not step(GRANTED, Tick(), math.nan)[0].is_released


@pytest.mark.parametrize("state", STATES)
def test_it_asks_to_be_woken_before_anything_is_overdue(state):
    """Stepped only when it asks, the machine releases no longer and alarms no later than stepped all the time."""
    lazy = eager = STATES[state]
    lazy_events, eager_events, now = [], [], NOW + 0.5
    while now < NOW + 120:
        if now >= wakes_at(lazy):
            lazy, events = step(lazy, Tick(), now)
            lazy_events += [(now, type(event)) for event in events]
        eager, events = step(eager, Tick(), now)
        eager_events += [(now, type(event)) for event in events]
        now += 0.25
    assert lazy_events == eager_events
    assert lazy.is_released == eager.is_released


@pytest.mark.parametrize("state", STATES)
def test_it_does_not_ask_to_be_woken_for_ever(state):
    door, woken = STATES[state], 0
    while (at := wakes_at(door)) < math.inf:
        door, _ = step(door, Tick(), at)
        woken += 1
        assert woken < 10


floats = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=1000)
@given(
    lease_s=floats,
    decided_at=floats,
    now=floats,
    later_s=st.floats(0, 1e6),
    cause=st.sampled_from(["grant", "schedule"]),
)
def test_no_numbers_release_longer_than_the_longest_lease(lease_s, decided_at, now, later_s, cause):
    door, _ = step(SHUT, Release("v", lease_s, decided_at, cause), now)
    if door.is_released:
        assert math.isfinite(now)
        assert not step(door, Tick(), now + MAX_LEASE_S + later_s)[0].is_released
