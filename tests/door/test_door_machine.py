"""The door machine, each state with each input: only a bounded lease or a fire release releases the lock."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.config import Wires
from gated.door.door_machine import MAX_AGE_S, MAX_LEASE_S, MOST_GRANTS, advance, wakes_at
from gated.door.door_state import Door, EndLeases, LineInput, LockdownInput, ReleaseRequest, Tick
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
    """Return the door and all events after inputs, given as (time, input) pairs."""
    events = []
    for at, given_input in inputs:
        door, more = advance(door, given_input, now + at)
        events += more
    return door, events


def release(at=0.0, lease_s=8.0, holder=""):
    return ReleaseRequest("visit", lease_s, NOW + at, holder=holder)


def schedule(at=0.0, lease_s=10.0):
    return ReleaseRequest("office-hours", lease_s, NOW + at, "schedule")


def active(line):
    return LineInput(line, True)


def over(line):
    return LineInput(line, False)


def presses(line="rex"):
    return active(line), over(line)


# One door for each state, with the inputs that lead to it.
SECURED = SHUT
GRANTED = after((0, release()))[0]
LEAVING = after((0, active("rex")))[0]
FREE = after((0, schedule()))[0]
LOCKED_DOWN = after((0, LockdownInput(True)))[0]
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
    "lockdown": LockdownInput(True),
    "disconnect": EndLeases("disconnect"),
    "stop": EndLeases("stop", exits=True),
    "a minute": Tick(),
    **{line: active(line) for line in ("rex", "fire", "fire_reset", "tamper", "call")},
}


@pytest.mark.parametrize("name", INPUTS)
def test_each_input_in_each_state_releases_the_lock_or_not(name):
    at = 60.0 if name == "a minute" else 1.0
    released = {state: after((at, INPUTS[name]), door=door)[0].is_released for state, door in STATES.items()}
    assert released == dict(zip(STATES, TABLE[name], strict=True))


@pytest.mark.parametrize("state", STATES)
def test_an_unchanged_input_causes_no_event(state):
    door = STATES[state]
    for line in ("contact", "rex", "fire", "tamper", "call", "fire_reset"):
        again, events = after((0.6, LineInput(line, line in door.active)), door=door)
        assert events == []
        assert again.is_released == door.is_released


class TestGrant:
    def test_a_fresh_grant_releases(self):
        door, events = after((0, release()))
        assert (door.state, door.is_released) == ("released", True)
        assert events == [DoorReleased("grant", 8.0, "visit")]

    def test_the_lease_expires_and_the_unopened_leaf_is_reported(self):
        door, events = after((0, release()), (7.9, Tick()), (8.0, Tick()))
        assert door.state == "secured"
        assert events[1:] == [DoorSecured("lease"), DoorDidNotOpen("grant")]

    @pytest.mark.parametrize("age_s", [MAX_AGE_S + 0.01, 60.0, -0.5, math.nan, math.inf, -math.inf])
    def test_a_stale_grant_releases_nothing(self, age_s):
        door, events = after((0, release(at=-age_s)))
        assert not door.is_released
        assert isinstance(events[0], ReleaseRefused)

    @pytest.mark.parametrize("lease_s", [0.0, -1.0, MAX_LEASE_S + 0.1, 1e9, math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("cause", ["grant", "schedule"])
    def test_an_implausible_lease_releases_nothing(self, lease_s, cause):
        door, events = after((0, ReleaseRequest("visit", lease_s, NOW, cause)))
        assert not door.is_released
        assert isinstance(events[0], ReleaseRefused)

    def test_a_second_grant_starts_a_new_lease(self):
        door, _ = after((0, release()), (5, release(at=5)), (10, Tick()))
        assert door.is_released
        assert not after((13, Tick()), door=door)[0].is_released

    def test_a_shorter_second_lease_shortens_no_lease(self):
        """A slow person has 30 s. A neighbour with 2 s takes none of it away."""
        door, _ = after((0, release(lease_s=30.0)), (1, release(at=1, lease_s=2.0)), (3, Tick()), (29.9, Tick()))
        assert door.is_released
        assert not after((30, Tick()), door=door)[0].is_released

    def test_a_refused_grant_does_not_change_a_running_lease(self):
        door, _ = after((0, release()), (1, release(at=1, lease_s=99)))
        assert door.is_released
        assert door.granted_until == NOW + 8

    def test_a_lost_brain_ends_its_lease_and_not_the_exit_lease(self):
        door, _ = after((0, release()), (1, EndLeases("disconnect")))
        assert not door.is_released
        door, _ = after((0, active("rex")), (1, release(at=1)), (2, EndLeases("disconnect")))
        assert door.is_released


SLOW, NEXT = release(lease_s=30.0, holder="slow"), release(at=1, lease_s=8.0, holder="next")
PASSES = active("contact"), over("contact")
"""The leaf opens and closes, as when one person passes."""


def passing(at):
    return [(at + 0.1 * i, moved) for i, moved in enumerate(PASSES)]


class TestLeasesSideBySide:
    """The lock stays released until the longest lease ends, at most `MAX_LEASE_S` after the last grant."""

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_the_longest_lease_counts_in_any_order(self, order):
        came = [release(at=i, lease_s=(8.0, 30.0)[which]) for i, which in enumerate(order)]
        door, events = after((0, came[0]), (1, came[1]), (28, Tick()))
        assert door.is_released
        door, more = after((31, Tick()), door=door)
        assert [type(event) for event in events + more].count(DoorSecured) == 1
        assert not door.is_released

    @given(leases=st.lists(st.tuples(st.floats(0, 20), st.floats(0.5, 30)), min_size=1, max_size=40))
    def test_the_lock_is_secured_when_the_longest_of_many_leases_ends(self, leases):
        door, at, ends = SHUT, 0.0, 0.0
        for gap_s, lease_s in leases:
            at += gap_s
            door, _ = after((at, release(at=at, lease_s=lease_s)), door=door)
            ends = max(ends, NOW + at + lease_s)
            assert door.until == pytest.approx(ends)
            assert door.until <= NOW + at + MAX_LEASE_S
            assert len(door.grants) <= MOST_GRANTS
        assert not advance(door, Tick(), door.until)[0].is_released

    def test_a_passage_leaves_the_next_persons_lease_running(self):
        """The neighbour passes before the slow person, and the leaf closes in between."""
        door, events = after((0, SLOW), (1, NEXT), *passing(4), (29, Tick()))
        assert door.is_released
        assert not any(isinstance(event, DoorSecured) for event in events)
        door, events = after(*passing(29.5), door=door)
        assert events[-1] == DoorSecured("closed")

    def test_an_exit_leaves_the_grant_of_an_arriving_person_running(self):
        door, _ = after((0, SLOW), (1, active("rex")), *passing(4))
        assert door.is_released
        assert after(*passing(5), door=door)[1][-1] == DoorSecured("closed")

    def test_a_passage_by_grant_leaves_the_exit_lease_running(self):
        door, _ = after((0, release(lease_s=2.0)), (1, active("rex")), *passing(1.5))
        assert door.is_released
        assert not after((9, Tick()), door=door)[0].is_released

    def test_an_expired_exit_lease_is_not_used_up_in_place_of_a_grant(self):
        _, events = after((0, active("rex")), (8, Tick()), (20, release(at=20)), *passing(21))
        assert events[-1] == DoorSecured("closed")
        _, events = after((0, active("rex")), (2, release(at=2, lease_s=9.0)), (10, Tick()), *passing(10.2))
        assert events[-1] == DoorSecured("closed")

    def test_two_grants_of_one_person_are_one_lease(self):
        again = release(at=2, lease_s=8.0, holder="slow")
        _, events = after((0, SLOW), (2, again), *passing(4))
        assert events[-1] == DoorSecured("closed")

    def test_a_second_grant_of_one_person_shortens_nothing(self):
        door, _ = after((0, SLOW), (2, release(at=2, lease_s=8.0, holder="slow")), (29, Tick()))
        assert door.is_released

    def test_each_passage_uses_one_lease(self):
        few = [(i / 10, release(at=i / 10, holder=str(i))) for i in range(3)]
        door, _ = after(*few, *passing(1), *passing(2))
        assert door.is_released
        assert after(*passing(3), door=door)[1][-1] == DoorSecured("closed")

    @pytest.mark.parametrize("first", [NEXT, active("rex")])
    def test_a_lease_that_ends_while_its_person_passes_takes_no_other_lease_with_it(self, first):
        opens, closes = PASSES
        door, events = after((0, SLOW), (1, first), (8, opens), (9.5, Tick()), (10, closes), (29, Tick()))
        assert door.is_released
        assert not any(isinstance(event, DoorSecured) for event in events)
        assert not after((30, Tick()), door=door)[0].is_released

    def test_a_person_granted_again_in_the_doorway_has_passed_when_the_leaf_closes(self):
        opens, closes = PASSES
        again = release(at=9, lease_s=8.0, holder="next")
        door, _ = after((0, SLOW), (1, NEXT), (8, opens), (9, again), (10, closes))
        assert [lease.holder for lease in door.grants] == ["slow"]

    def test_the_second_of_two_simultaneous_guests_may_still_pass(self):
        door, _ = after((0, release()), (0, release()), *passing(1))
        assert door.is_released
        assert after(*passing(2), door=door)[1][-1] == DoorSecured("closed")

    def test_a_person_who_walks_through_an_open_leaf_has_passed_when_it_closes(self):
        opens, closes = PASSES
        _, events = after((0, opens), (5, release(at=5)), (7, closes))
        assert events[-1] == DoorSecured("closed")

    @pytest.mark.parametrize("cut", [EndLeases("disconnect"), EndLeases("stop", exits=True), LockdownInput(True)])
    def test_a_lost_brain_and_a_lockdown_end_every_grant_lease(self, cut):
        door, events = after((0, SLOW), (1, NEXT), (2, cut))
        assert not door.is_released
        assert door.until <= NOW
        assert isinstance(events[-1], DoorSecured)
        assert not after((3, LockdownInput(False)), door=door)[0].is_released

    def test_a_lost_brain_does_not_shorten_the_exit_lease(self):
        door, _ = after((0, SLOW), (1, active("rex")), (2, EndLeases("disconnect")), (8.9, Tick()))
        assert door.is_released
        assert not after((9, Tick()), door=door)[0].is_released

    def test_a_fire_ends_no_lease(self):
        door, _ = after((0, SLOW), (1, active("fire")), (2, over("fire")), (3, active("fire_reset")), (29, Tick()))
        assert door.is_released
        assert not after((30, Tick()), door=door)[0].is_released

    def test_a_second_press_never_shortens_the_exit_lease(self):
        door, _ = after((0, active("rex")), (3, over("rex")), (4, active("rex")), (11.9, Tick()))
        assert door.is_released

    def test_closing_uses_no_lease_without_relock_on_close(self):
        wires = Wires(contact_pin=22, relock_on_close=False)
        door, _ = after((0, SLOW), (1, NEXT), *passing(2), *passing(3), *passing(4), door=Door(wires=wires))
        assert door.until == NOW + 30


class TestExit:
    def test_the_exit_button_releases_without_a_brain(self):
        door, events = after((0, active("rex")), (1, active("contact")))
        assert door.is_released
        assert events == [DoorReleased("rex", 8.0), DoorOpened("rex")]

    def test_a_held_button_releases_once(self):
        door, _ = after((0, active("rex")), (5, active("rex")), (8, active("rex")))
        assert not door.is_released

    def test_the_exit_lease_is_bounded_with_any_settings(self):
        door = Door(wires=Wires(release_s=math.inf))
        assert not after((0, active("rex")), (MAX_LEASE_S, Tick()), door=door)[0].is_released

    def test_a_stop_ends_the_exit_lease(self):
        door, events = after((0, active("rex")), (1, release(at=1)), (2, EndLeases("stop", exits=True)))
        assert not door.is_released
        assert events[-1] == DoorSecured("stop")


class TestLeaf:
    def test_closing_the_leaf_secures_the_lock(self):
        door, events = after((0, release()), (1, active("contact")), (3, over("contact")))
        assert door.state == "secured"
        assert events[1:] == [DoorOpened("grant"), DoorClosed(), DoorSecured("closed")]

    def test_closing_the_leaf_keeps_the_lease_without_relock_on_close(self):
        wires = Wires(contact_pin=22, relock_on_close=False)
        door, _ = after((0, release()), (1, active("contact")), (3, over("contact")), door=Door(wires=wires))
        assert door.state == "released"

    def test_the_lock_is_secured_at_the_end_of_the_lease_while_the_leaf_is_open(self):
        door, events = after((0, release()), (1, active("contact")), (8, Tick()))
        assert (door.state, door.is_released) == ("open", False)
        assert events[-1] == DoorSecured("lease")

    @pytest.mark.parametrize(
        ("before", "cause"),
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
    def test_an_opening_names_the_cause_of_the_release(self, before, cause):
        _, events = after(*((0, each) for each in before), (1, active("contact")))
        assert events[-1] == DoorOpened(cause)

    def test_an_opening_without_a_lease_is_forced(self):
        assert after((0, active("contact")))[1] == [DoorOpened("nothing"), DoorForcedOpen()]

    @pytest.mark.parametrize(("later_s", "is_forced"), [(0.1, False), (3.0, False), (3.1, True), (600.0, True)])
    def test_an_opening_within_the_grace_after_the_lease_is_not_forced(self, later_s, is_forced):
        _, events = after((0, active("rex")), (8, Tick()), (8 + later_s, active("contact")))
        assert (DoorForcedOpen() in events) == is_forced
        assert (DoorOpened("rex") in events) != is_forced

    def test_a_leaf_that_is_open_at_the_start_is_not_forced(self):
        door = replace(SHUT, secured_at=NOW)
        assert after((0.02, active("contact")), door=door)[1] == [DoorOpened("nothing")]

    def test_an_opening_at_the_end_of_the_lease_belongs_to_the_grant(self):
        """The tick at the end of the lease is late; the contact's input comes before it."""
        _, events = after((0, release()), (8.2, active("contact")))
        assert events[1:] == [DoorSecured("lease"), DoorOpened("grant")]

    def test_an_unopened_leaf_is_reported_only_when_the_lease_expires(self):
        for cut in (EndLeases("disconnect"), LockdownInput(True)):
            _, events = after((0, release()), (1, cut))
            assert not any(isinstance(event, DoorDidNotOpen) for event in events)
        _, events = after((0, active("rex")), (8, Tick()))
        assert events[-1] == DoorDidNotOpen("rex")

    def test_a_grant_with_an_open_leaf_awaits_no_opening(self):
        _, events = after((0, active("rex")), (1, active("contact")), (2, release(2)), (10, Tick()))
        assert events[-1] == DoorSecured("lease")

    def test_without_a_contact_no_unopened_leaf_is_reported(self):
        _, events = after((0, release()), (8, Tick()), door=Door(wires=Wires()))
        assert events[-1] == DoorSecured("lease")

    @pytest.mark.parametrize("longer", [schedule(7.5), active("fire")])
    def test_a_grant_followed_by_a_longer_release_awaits_no_opening(self, longer):
        _, events = after((0, release()), (7.5, longer), (8, Tick()), (18, Tick()), (30, Tick()))
        assert not any(isinstance(event, DoorDidNotOpen) for event in events)


class TestUnlockSchedule:
    def test_a_renewed_schedule_lease_continues_and_is_reported_once(self):
        door, events = after(*((at, schedule(at)) for at in range(0, 60, 3)))
        assert door.is_released
        assert events == [DoorReleased("schedule", 10.0, "office-hours")]

    def test_a_schedule_lease_that_is_not_renewed_ends(self):
        door, events = after((0, schedule()), (10, Tick()))
        assert not door.is_released
        assert events[-1] == DoorSecured("lease")

    def test_closing_the_leaf_does_not_end_a_schedule_lease(self):
        door, _ = after((0, schedule()), (1, release(1)), (2, active("contact")), (3, over("contact")))
        assert door.is_released
        assert not after((10, Tick()), door=door)[0].is_released

    def test_a_schedule_lease_ends_with_the_brain(self):
        assert not after((0, schedule()), (1, EndLeases("disconnect")))[0].is_released

    def test_after_a_pause_a_schedule_lease_is_reported_again(self):
        _, events = after((0, schedule()), (10, Tick()), (11, schedule(11)))
        assert events.count(DoorReleased("schedule", 10.0, "office-hours")) == 2


class TestLockdown:
    def test_a_lockdown_ends_a_running_grant(self):
        door, events = after((0, release()), (1, LockdownInput(True)))
        assert not door.is_released
        assert events[-1] == DoorSecured("lockdown")

    def test_a_lockdown_does_not_end_a_running_exit_lease(self):
        assert after((0, active("rex")), (1, LockdownInput(True)))[0].is_released

    def test_a_lockdown_refuses_a_grant_with_a_reason(self):
        door, events = after((0, LockdownInput(True)), (1, release(1)))
        assert not door.is_released
        assert events == [ReleaseRefused("visit", "lockdown")]

    def test_repeated_refusals_of_a_schedule_are_reported_once(self):
        _, events = after((0, LockdownInput(True)), *((at, schedule(at)) for at in range(1, 30)))
        assert events == [ReleaseRefused("office-hours", "lockdown")]

    def test_the_exit_button_works_during_a_lockdown(self):
        _, events = after((0, LockdownInput(True)), (1, active("rex")))
        assert events == [DoorReleased("rex", 8.0)]

    def test_a_fire_overrides_a_lockdown_and_does_not_end_it(self):
        door, _ = after((0, LockdownInput(True)), (1, active("fire")))
        assert door.is_released
        door, events = after((2, over("fire")), (3, active("fire_reset")), (4, release(4)), door=door)
        assert not door.is_released
        assert events[-1] == ReleaseRefused("visit", "lockdown")

    def test_a_lockdown_ends_only_by_command(self):
        door, _ = after((0, LockdownInput(True)), (1, EndLeases("disconnect")), (1e6, Tick()))
        assert door.is_locked_down
        door, events = after((1e6 + 1, LockdownInput(False)), (1e6 + 1, release(1e6 + 1)), door=door)
        assert events == [DoorReleased("grant", 8.0, "visit")]


class TestFire:
    def test_a_fire_releases_at_once_and_until_a_reset(self):
        door, events = after((0, active("fire")), (1e6, Tick()))
        assert door.is_released
        assert events == [FireRelease(), DoorReleased("fire", 0.0)]

    @pytest.mark.parametrize(
        "given_input",
        [
            LockdownInput(True),
            EndLeases("disconnect"),
            EndLeases("stop", exits=True),
            Tick(),
            over("fire"),
            active("contact"),
            over("contact"),
            release(50),
        ],
    )
    def test_no_other_input_ends_a_fire_release(self, given_input):
        door, events = after((0, release()), (0, active("contact")), (1, active("fire")), (50, given_input))
        assert door.is_released
        assert not any(isinstance(event, DoorSecured) for event in events)

    def test_a_key_turned_during_a_fire_resets_nothing_now_or_later(self):
        door, events = after((0, active("fire")), (1, active("fire_reset")), (2, over("fire")), (3, Tick()))
        assert door.is_released
        assert FireReset() not in events

    def test_a_key_turned_after_the_fire_resets_it(self):
        door, events = after((0, active("fire")), (1, over("fire")), (2, active("fire_reset")))
        assert not door.is_released
        assert events[-2:] == [FireReset(), DoorSecured("fire_reset")]

    def test_the_key_alone_causes_no_event(self):
        assert after((0, active("fire_reset")), (1, over("fire_reset")))[1] == []

    def test_a_second_fire_signal_before_the_reset_is_not_reported_again(self):
        _, events = after((0, active("fire")), (1, over("fire")), (2, active("fire")))
        assert events.count(FireRelease()) == 1

    def test_after_the_reset_a_running_lease_continues(self):
        door, _ = after((0, active("fire")), (1, over("fire")), (2, active("rex")), (3, active("fire_reset")))
        assert door.is_released
        assert not after((10, Tick()), door=door)[0].is_released


class TestOtherLines:
    def test_the_begin_and_the_end_of_tampering_are_reported(self):
        assert after((0, active("tamper")), (1, over("tamper")))[1] == [Tampered(), Tampered(is_over=True)]

    def test_each_press_of_the_call_button_is_one_event(self):
        assert after((0, active("call")), (1, over("call")), (2, active("call")))[1] == [CallPressed()] * 2

    def test_events_name_their_door(self):
        second = replace(SHUT, name="second")
        _, events = after((0, active("contact")), (1, active("tamper")), (2, active("fire")), door=second)
        assert events
        assert {event.door for event in events} == {"second"}


def test_a_nan_clock_secures_the_lock():
    assert not advance(GRANTED, Tick(), math.nan)[0].is_released


@pytest.mark.parametrize("state", STATES)
def test_wakes_at_is_early_enough_for_every_event(state):
    """With ticks only at `wakes_at`, the machine gives the same events at the same times as with constant ticks."""
    lazy = eager = STATES[state]
    lazy_events, eager_events, now = [], [], NOW + 0.5
    while now < NOW + 120:
        if now >= wakes_at(lazy):
            lazy, events = advance(lazy, Tick(), now)
            lazy_events += [(now, type(event)) for event in events]
        eager, events = advance(eager, Tick(), now)
        eager_events += [(now, type(event)) for event in events]
        now += 0.25
    assert lazy_events == eager_events
    assert lazy.is_released == eager.is_released


@pytest.mark.parametrize("state", STATES)
def test_wakes_at_becomes_infinite(state):
    door, woken = STATES[state], 0
    while (at := wakes_at(door)) < math.inf:
        door, _ = advance(door, Tick(), at)
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
def test_no_numbers_release_longer_than_max_lease_s(lease_s, decided_at, now, later_s, cause):
    door, _ = advance(SHUT, ReleaseRequest("v", lease_s, decided_at, cause), now)
    if door.is_released:
        assert math.isfinite(now)
        assert not advance(door, Tick(), now + MAX_LEASE_S + later_s)[0].is_released
