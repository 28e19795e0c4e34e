"""What the lock does and where the leaf is: a pure machine, `(door, input, now) -> (door, events)`.

The lock is released while a lease runs or a fire release stands, and by nothing else. There are three leases: that of a
grant and that of a schedule end with the brain that asked for them; that of the exit button needs no brain, and a
lockdown does not touch it. A fire release needs nobody, beats everything, and lasts until somebody resets it by hand
while the fire input is quiet.
"""

from dataclasses import replace

from msgspec import structs

from gated.door.alarms import next_alarm, watch
from gated.door.state import NEVER, NOT_YET, Cause, Door, Drop, Input, Line, Lockdown, Release, Tick
from gated.events import (
    CallPressed,
    DoorClosed,
    DoorDidNotOpen,
    DoorForcedOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    Event,
    FireRelease,
    FireReset,
    ReleaseRefused,
    Tampered,
)

MAX_LEASE_S = 30.0
"""No lease is longer, whatever the brain says."""
MAX_AGE_S = 1.0
"""A release that was decided longer ago is not carried out: the person has gone, or the message was held up."""

Step = tuple[Door, list[Event]]


def step(door: Door, given: Input, now: float) -> Step:
    """The door after an input, and what there is to tell. The lock must follow `is_released` at once."""
    after, events = _take(door, given, now)
    after, alarms = watch(after, now)
    return after, [structs.replace(event, door=door.name) for event in (*events, *alarms)]


def wakes_at(door: Door) -> float:
    """When the machine needs its next `Tick` if nothing else happens, in monotonic seconds; infinite: never."""
    lease_end = door.until if door.is_released and not door.is_on_fire else NOT_YET
    return min(lease_end, next_alarm(door))


def refusal(door: Door, given: Release, now: float) -> str | None:
    """Why a release is not carried out, or None. Written so that a number that is none refuses."""
    if door.is_locked_down:
        return "lockdown"
    if not 0 < given.lease_s <= MAX_LEASE_S:
        return f"a lease of {given.lease_s} s is not between 0 and {MAX_LEASE_S:.0f} s"
    if not 0 <= now - given.decided_at <= MAX_AGE_S:
        return "the decision is not fresh"
    return None


def _take(door: Door, given: Input, now: float) -> Step:
    match given:
        case Release():
            return _release(door, given, now)
        case Line(name, is_active):
            return _line(door, name, is_active, now)
        case Lockdown(is_on):
            told = replace(door, is_locked_down=is_on, is_refusing_schedule=False)
            return _settle(_without_brain(told) if is_on else told, now, cause="lockdown")
        case Drop(cause, exits):
            dropped = _without_brain(door)
            return _settle(replace(dropped, exit_until=NEVER) if exits else dropped, now, cause=cause)
        case Tick():
            return _settle(door, now)


def _without_brain(door: Door) -> Door:
    return replace(door, granted_until=NEVER, free_until=NEVER)


def _release(door: Door, given: Release, now: float) -> Step:
    why = refusal(door, given, now)
    if why is not None:
        return _refuse(door, given, why, now)
    if given.cause == "grant":
        granted = replace(_expecting(door, "grant"), granted_until=now + given.lease_s)
        return _settle(granted, now, DoorReleased("grant", given.lease_s, given.visit))
    begun = [] if now < door.free_until else [DoorReleased("schedule", given.lease_s, given.visit)]
    free = replace(door, free_until=now + given.lease_s, is_refusing_schedule=False)
    return _settle(free, now, *begun)


def _refuse(door: Door, given: Release, why: str, now: float) -> Step:
    """Say why not; a schedule, which asks again every few seconds, is told once."""
    after, events = _settle(door, now)
    if given.cause == "schedule":
        if door.is_refusing_schedule:
            return after, events
        after = replace(after, is_refusing_schedule=True)
    return after, [*events, ReleaseRefused(given.visit, why)]


def _line(door: Door, name: str, is_active: bool, now: float) -> Step:
    if (name in door.active) == is_active:
        return _settle(door, now)
    moved = replace(door, active=door.active | {name} if is_active else door.active - {name})
    match name, is_active:
        case "contact", True:
            return _opened(moved, now)
        case "contact", False:
            return _closed(moved, now)
        case "rex", True:
            lease_s = min(door.wires.release_s, MAX_LEASE_S)
            leaving = replace(_expecting(moved, "rex"), exit_until=now + lease_s)
            return _settle(leaving, now, DoorReleased("rex", lease_s))
        case "fire", True if not door.is_on_fire:
            return _settle(replace(moved, is_on_fire=True), now, FireRelease(), DoorReleased("fire", 0.0))
        case "fire_reset", True if door.is_on_fire and "fire" not in door.active:
            return _settle(replace(moved, is_on_fire=False), now, FireReset(), cause="fire_reset")
        case "tamper", _:
            return _settle(moved, now, Tampered(is_over=not is_active))
        case "call", True:
            return _settle(moved, now, CallPressed())
    return _settle(moved, now)


def _opened(door: Door, now: float) -> Step:
    """The leaf opened. A little after the lock was secured it still counts as opened by what had released it."""
    door, events = _settle(replace(door, awaited=""), now)
    is_passage = door.is_released or now - door.secured_at <= door.wires.rex_grace_s
    forced = [] if is_passage else [DoorForcedOpen()]
    return door, [*events, DoorOpened(door.cause if is_passage else "nothing"), *forced]


def _closed(door: Door, now: float) -> Step:
    if door.wires.relock_on_close:
        door = replace(door, granted_until=NEVER, exit_until=NEVER)
    return _settle(door, now, DoorClosed(), cause="closed")


def _expecting(door: Door, cause: str) -> Door:
    """Somebody is about to open the leaf, if it is not open."""
    return door if door.is_open else replace(door, awaited=cause)


def _settle(door: Door, now: float, *events: Event, cause: str = "lease") -> Step:
    """Release exactly while something does; written so that a time that is no number secures the lock."""
    if not now < door.free_until:
        door = replace(door, free_until=NEVER)
    if door.is_on_fire or now < door.until:
        why = _why(door)
        return replace(door, is_released=True, cause=why, awaited=door.awaited if why in _FOR_ONE else ""), [*events]
    if not door.is_released:
        return door, [*events]
    is_missed = cause == "lease" and door.awaited and door.wires.contact_pin is not None
    missed = [DoorDidNotOpen(door.awaited)] if is_missed else []
    return replace(door, is_released=False, secured_at=now, awaited=""), [*events, DoorSecured(cause), *missed]


_FOR_ONE: tuple[Cause, ...] = ("grant", "rex")
"""Releases that are for somebody, who is expected to pass."""


def _why(door: Door) -> Cause:
    """What releases the lock, the weightiest first; `free_until` is never in the past here."""
    if door.is_on_fire:
        return "fire"
    if door.free_until > NEVER:
        return "schedule"
    return "grant" if door.granted_until >= door.exit_until else "rex"
