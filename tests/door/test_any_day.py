"""The rules of a door hold for any inputs in any order: random days, compared with a simple model.

GATED_DAYS sets the number of days (300).
"""

import math
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gated.config import Wires
from gated.door.door_machine import MAX_AGE_S, MAX_LEASE_S, advance, wakes_at
from gated.door.door_state import Door, EndLeases, LineInput, LockdownInput, ReleaseRequest, Tick
from gated.events import DoorForcedOpen, DoorHeldOpen, DoorReleased, DoorSecured, FireRelease, FireReset, ReleaseRefused

DAYS = int(os.environ.get("GATED_DAYS", "300"))
LINES = ("tamper", "call", "feedback")
ODD = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300])


class AnyDay(RuleBasedStateMachine):
    """A door, and a model of it that is simple to read: the leases, a fire, a lockdown."""

    def __init__(self):
        super().__init__()
        self.wires = Wires(
            contact_pin=22, rex_pin=23, fire_pin=24, fire_reset_pin=25, feedback_pin=27, release_s=8.0, rex_grace_s=3.0
        )
        self.door, self.now, self.events = Door(wires=self.wires), 0.0, []
        self.grants, self.asked_at = {}, -math.inf
        self.exit_until = self.schedule_until = -math.inf
        self.is_fire = self.is_burning = self.is_locked_down = False
        self.passing = "nobody"
        self.was_released = False

    @property
    def is_due(self):
        return self.is_fire or self.now < max(*self.grants.values(), self.exit_until, self.schedule_until, -math.inf)

    def give(self, given_input):
        self.was_released = self.door.is_released
        self.door, self.events = advance(self.door, given_input, self.now)

    def events_of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds):
        self.now += seconds
        self.give(Tick())

    @rule()
    def wait_as_asked(self):
        if wakes_at(self.door) < math.inf:
            self.now = max(self.now, wakes_at(self.door))
            self.give(Tick())

    @rule(
        lease_s=st.floats(-5, 40) | st.floats(0.5, 30),
        age_s=st.floats(-2, 4) | st.just(0.0),
        cause=st.sampled_from(["grant", "schedule"]),
        holder=st.sampled_from(["somebody", "neighbour", "guest"]),
    )
    def ask(self, lease_s, age_s, cause, holder):
        decided_at = self.now - age_s
        is_sound = 0 < lease_s <= MAX_LEASE_S and 0 <= self.now - decided_at <= MAX_AGE_S
        if is_sound and not self.is_locked_down:
            if cause == "grant":
                self.asked_at = self.now
                self.grants[holder] = max(self.now + lease_s, self.grants.get(holder, -math.inf))
            else:
                self.schedule_until = self.now + lease_s
        self.give(ReleaseRequest("v", lease_s, decided_at, cause, holder))
        if self.is_locked_down:
            assert not self.events_of(DoorReleased)
        if cause == "grant":
            assert bool(self.events_of(ReleaseRefused)) == (self.is_locked_down or not is_sound)

    @rule(lease_s=ODD, decided_at=ODD, cause=st.sampled_from(["grant", "schedule"]))
    def ask_with_implausible_numbers(self, lease_s, decided_at, cause):
        self.give(ReleaseRequest("v", lease_s, decided_at, cause))
        assert not self.events_of(DoorReleased)

    @rule()
    def leave(self):
        self.give(LineInput("rex", False))
        self.exit_until = self.now + 8.0
        self.give(LineInput("rex", True))
        assert DoorReleased("rex", 8.0) in self.events
        assert self.door.is_released

    @rule(is_open=st.booleans())
    def move(self, is_open):
        if is_open and not self.door.is_open:
            self.passing = self.first()
        if self.door.is_open and not is_open:
            self.use(self.passing if self.passing != "nobody" else self.first())
        was_due = self.is_due
        self.give(LineInput("contact", is_open))
        if self.events_of(DoorForcedOpen):
            assert not was_due

    def first(self):
        """Whose lease ends first; None: the exit lease."""
        leases = {holder: until for holder, until in self.grants.items() if self.now < until}
        leases |= {None: self.exit_until} if self.now < self.exit_until else {}
        return min(leases, key=lambda holder: (leases[holder], holder is not None), default="nobody")

    def use(self, first):
        self.grants.pop(first, None)
        self.exit_until = -math.inf if first is None else self.exit_until

    @rule(is_burning=st.booleans())
    def burn(self, is_burning):
        begins = is_burning and not self.is_fire
        self.is_burning, self.is_fire = is_burning, self.is_fire or is_burning
        self.give(LineInput("fire", is_burning))
        assert bool(self.events_of(FireRelease)) == begins

    @rule(is_turned=st.booleans())
    def turn_the_key(self, is_turned):
        resets = is_turned and "fire_reset" not in self.door.active and self.is_fire and not self.is_burning
        self.is_fire = self.is_fire and not resets
        self.give(LineInput("fire_reset", is_turned))
        assert bool(self.events_of(FireReset)) == resets

    @rule(is_on=st.booleans())
    def lock_down(self, is_on):
        self.is_locked_down = is_on
        if is_on:
            self.grants, self.schedule_until = {}, -math.inf
        self.give(LockdownInput(is_on))

    @rule(exits=st.booleans())
    def drop(self, exits):
        self.grants, self.schedule_until = {}, -math.inf
        self.exit_until = -math.inf if exits else self.exit_until
        self.give(EndLeases("disconnect", exits))

    @rule(line=st.sampled_from(LINES), is_active=st.booleans())
    def any_other_line(self, line, is_active):
        self.give(LineInput(line, is_active))

    @invariant()
    def released_exactly_under_a_lease_or_a_fire(self):
        assert self.door.is_released == self.is_due

    @invariant()
    def no_grant_outlives_the_last_one_by_more_than_the_longest_lease(self):
        assert self.door.granted_until <= self.asked_at + MAX_LEASE_S

    @invariant()
    def a_fire_is_never_lost_without_a_reset(self):
        assert self.door.is_on_fire == self.is_fire

    @invariant()
    def a_lockdown_ends_only_by_command(self):
        assert self.door.is_locked_down == self.is_locked_down

    @invariant()
    def the_state_has_one_name(self):
        expected = "open" if self.door.is_open else "released" if self.door.is_released else "secured"
        assert self.door.state == expected

    @invariant()
    def it_wakes_before_the_last_lease_ends(self):
        if self.door.is_released and not self.is_fire:
            assert self.now < wakes_at(self.door) <= self.door.until

    @invariant()
    def securing_is_reported_exactly_when_it_happens(self):
        if self.was_released and not self.door.is_released:
            assert len(self.events_of(DoorSecured)) == 1
        if self.door.is_released and self.was_released:
            assert not self.events_of(DoorSecured)

    @invariant()
    def held_open_is_reported_only_for_a_leaf_that_must_be_closed(self):
        if self.events_of(DoorHeldOpen):
            assert self.door.is_open
            assert not self.is_fire
            assert not self.now < self.schedule_until


AnyDay.TestCase.settings = settings(max_examples=DAYS, stateful_step_count=30, deadline=None)
TestAnyDay = AnyDay.TestCase
