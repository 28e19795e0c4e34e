"""The door machine: nothing but a fresh, bounded lease ever energises the lock."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gated.door.machine import MAX_AGE_S, MAX_LEASE_S, Door, Drop, Exit, Leaf, Release, Tick, step
from gated.events import DoorClosed, DoorOpened, DoorReleased, DoorSecured, ReleaseRefused

NOW = 1000.0


def after(*inputs, door=None, now=NOW):
    """The door and all events after inputs at (time, input) pairs."""
    door, events = door or Door(), []
    for at, given_input in inputs:
        door, more = step(door, given_input, now + at)
        events += more
    return door, events


def release(at=NOW, lease_s=8.0):
    return Release("visit", lease_s, at)


def test_a_fresh_grant_releases():
    door, events = after((0, release()))
    assert (door.state, door.is_energised) == ("released", True)
    assert events == [DoorReleased("grant", 8.0, "visit")]


def test_the_lease_ends_by_itself():
    door, events = after((0, release()), (7.9, Tick()), (8.0, Tick()))
    assert door.state == "secured"
    assert events[-1] == DoorSecured("lease")


@pytest.mark.parametrize("age_s", [MAX_AGE_S + 0.01, 60.0, -0.5, math.nan, math.inf, -math.inf])
def test_a_decision_that_is_not_fresh_releases_nothing(age_s):
    door, events = after((0, release(at=NOW - age_s)))
    assert not door.is_energised
    assert isinstance(events[0], ReleaseRefused)


@pytest.mark.parametrize("lease_s", [0.0, -1.0, MAX_LEASE_S + 0.1, 1e9, math.nan, math.inf, -math.inf])
def test_a_lease_that_is_odd_releases_nothing(lease_s):
    door, events = after((0, release(lease_s=lease_s)))
    assert not door.is_energised
    assert isinstance(events[0], ReleaseRefused)


def test_a_second_grant_begins_the_time_anew():
    door, _ = after((0, release()), (5, release(at=NOW + 5)), (10, Tick()))
    assert door.is_energised
    assert not after((13, Tick()), door=door)[0].is_energised


def test_a_second_grant_with_a_shorter_lease_is_the_one_that_counts():
    door, _ = after((0, release(lease_s=30.0)), (1, release(at=NOW + 1, lease_s=2.0)), (3, Tick()))
    assert not door.is_energised


def test_a_refused_release_leaves_a_running_lease_alone():
    door, _ = after((0, release()), (1, release(lease_s=99)))
    assert door.is_energised
    assert door.granted_until == NOW + 8


def test_shutting_the_leaf_locks_again():
    door, events = after((0, release()), (1, Leaf(True)), (3, Leaf(False)))
    assert door.state == "secured"
    assert events[1:] == [DoorOpened("grant"), DoorClosed(), DoorSecured("closed")]


def test_shutting_the_leaf_keeps_the_lease_where_that_is_wished():
    door, _ = after((0, release()), (1, Leaf(True)), (3, Leaf(False)), door=Door(relock_on_close=False))
    assert door.state == "released"


def test_the_lock_drops_while_the_leaf_is_still_open():
    door, events = after((0, release()), (1, Leaf(True)), (8, Tick()))
    assert door.state == "open"
    assert not door.is_energised
    assert events[-1] == DoorSecured("lease")


def test_the_exit_button_releases_and_needs_nobody():
    door, events = after((0, Exit(8.0)), (1, Leaf(True)))
    assert door.is_energised
    assert events == [DoorReleased("rex", 8.0), DoorOpened("rex")]


def test_an_exit_lease_is_bounded_too():
    assert not after((0, Exit(math.inf)), (MAX_LEASE_S, Tick()))[0].is_energised


def test_a_lost_brain_ends_its_lease_and_not_the_exit():
    door, _ = after((0, release()), (1, Drop("disconnect")))
    assert not door.is_energised
    door, _ = after((0, Exit(8.0)), (1, release(at=NOW + 1)), (2, Drop("disconnect")))
    assert door.is_energised


def test_stopping_ends_every_lease():
    door, events = after((0, Exit(8.0)), (1, release(at=NOW + 1)), (2, Drop("stop", exits=True)))
    assert not door.is_energised
    assert events[-1] == DoorSecured("stop")


def test_opening_without_a_lease_is_told_as_such():
    assert after((0, Leaf(True)))[1] == [DoorOpened("nothing")]


def test_the_same_reading_twice_is_told_once():
    assert len(after((0, Leaf(True)), (0.5, Leaf(True)), (1, Leaf(True)))[1]) == 1


def test_a_clock_that_is_no_number_drops_the_lock():
    door, _ = after((0, release()))
    assert not step(door, Tick(), math.nan)[0].is_energised


floats = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=500)
@given(lease_s=floats, decided_at=floats, now=floats, later_s=st.floats(0, 1e6))
def test_no_numbers_energise_longer_than_the_longest_lease(lease_s, decided_at, now, later_s):
    door, _ = step(Door(), Release("v", lease_s, decided_at), now)
    if door.is_energised:
        assert math.isfinite(now)
        assert not step(door, Tick(), now + MAX_LEASE_S + later_s)[0].is_energised


class AnyDay(RuleBasedStateMachine):
    """Whatever happens in whatever order, the lock obeys the leases that were given."""

    def __init__(self):
        super().__init__()
        self.door, self.now, self.grant_until, self.exit_until = Door(), 0.0, -math.inf, -math.inf

    def give(self, given_input):
        self.door, self.events = step(self.door, given_input, self.now)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds):
        self.now += seconds
        self.give(Tick())

    @rule(lease_s=st.floats(-5, 40), age_s=st.floats(-2, 4))
    def grant(self, lease_s, age_s):
        decided_at = self.now - age_s
        if 0 < lease_s <= MAX_LEASE_S and 0 <= self.now - decided_at <= MAX_AGE_S:
            self.grant_until = self.now + lease_s
        self.give(Release("v", lease_s, decided_at))

    @rule()
    def leave(self):
        self.exit_until = self.now + 8.0
        self.give(Exit(8.0))

    @rule(is_open=st.booleans())
    def move(self, is_open):
        if self.door.is_open and not is_open:
            self.grant_until = self.exit_until = -math.inf
        self.give(Leaf(is_open))

    @rule(exits=st.booleans())
    def drop(self, exits):
        self.grant_until = -math.inf
        self.exit_until = -math.inf if exits else self.exit_until
        self.give(Drop("disconnect", exits))

    @invariant()
    def energised_exactly_under_a_lease(self):
        assert self.door.is_energised == (self.now < max(self.grant_until, self.exit_until))

    @invariant()
    def the_state_has_one_name(self):
        expected = "open" if self.door.is_open else "released" if self.door.is_energised else "secured"
        assert self.door.state == expected


AnyDay.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
TestAnyDay = AnyDay.TestCase
