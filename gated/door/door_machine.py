"""The state machine of one door. It is pure: `(door, input, now) -> (door, events)`.

The lock is released only while a lease runs or a fire release is active. There are three kinds of leases. Grant leases
(one per person) and the schedule lease end when their brain disconnects. The exit lease needs no brain and ignores a
lockdown. A fire release needs no brain and overrides everything. It lasts until a person resets it by hand while the
fire input is inactive.

Leases run in parallel, and no lease shortens another. So the lock stays released until the longest lease ends, at most
`MAX_LEASE_S` after the last grant. An opening of the leaf uses the lease that would end first. That lease ends when the
leaf closes, also if its time is already over. So one passage uses one grant, and the grant of the next person stays
valid. When no lease is left, the lock is secured at once.
"""

from msgspec import structs
from msgspec.structs import replace

from gated.door.door_state import (
    LEAVING,
    NO_LEASE,
    NOT_YET,
    Cause,
    Door,
    DoorInput,
    EndLeases,
    Lease,
    LineInput,
    LockdownInput,
    ReleaseRequest,
    Tick,
)
from gated.door.leaf_alarms import next_alarm, update_alarms
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
"""The longest lease. The brain cannot ask for more."""
MOST_GRANTS = 16
"""The most grant leases at one time. If there are more, the leases that end first are dropped."""
MAX_AGE_S = 1.0
"""The oldest decision that may still release. After that, the person has left or the message was delayed."""

MachineStep = tuple[Door, list[Event]]


def advance(door: Door, given: DoorInput, now: float) -> MachineStep:
    """Return the door after an input, and the new events. The caller sets the lock to `is_released` at once."""
    after, events = _apply(door, given, now)
    after, alarms = update_alarms(after, now)
    return after, [structs.replace(event, door=door.name) for event in (*events, *alarms)]


def wakes_at(door: Door) -> float:
    """Return the time of the next `Tick` that is needed, in monotonic seconds. Infinite if none is needed."""
    lease_end = door.until if door.is_released and not door.is_on_fire else NOT_YET
    return min(lease_end, next_alarm(door))


def refusal(door: Door, given: ReleaseRequest, now: float) -> str | None:
    """Return the reason to refuse a release, or None. The comparisons refuse a NaN."""
    if door.is_locked_down:
        return "lockdown"
    if not 0 < given.lease_s <= MAX_LEASE_S:
        return f"a lease of {given.lease_s} s is not between 0 and {MAX_LEASE_S:.0f} s"
    if not 0 <= now - given.decided_at <= MAX_AGE_S:
        return "the decision is not fresh"
    return None


def _apply(door: Door, given: DoorInput, now: float) -> MachineStep:
    match given:
        case ReleaseRequest():
            return _release(door, given, now)
        case LineInput(name, is_active):
            return _line(door, name, is_active, now)
        case LockdownInput(is_on):
            changed = replace(door, is_locked_down=is_on, is_refusing_schedule=False)
            return _update_lock(_without_brain_leases(changed) if is_on else changed, now, cause="lockdown")
        case EndLeases(cause, exits):
            dropped = _without_brain_leases(door)
            return _update_lock(replace(dropped, exit_until=NO_LEASE) if exits else dropped, now, cause=cause)
        case Tick():
            return _update_lock(door, now)


def _without_brain_leases(door: Door) -> Door:
    return replace(door, grants=(), schedule_until=NO_LEASE)


def _release(door: Door, given: ReleaseRequest, now: float) -> MachineStep:
    why = refusal(door, given, now)
    if why is not None:
        return _refuse(door, given, why, now)
    if given.cause == "grant":
        granted = replace(_awaiting_opening(door, "grant"), grants=_with_grant(door, given, now))
        return _update_lock(granted, now, DoorReleased("grant", given.lease_s, given.visit))
    begun = [] if now < door.schedule_until else [DoorReleased("schedule", given.lease_s, given.visit)]
    free = replace(door, schedule_until=now + given.lease_s, is_refusing_schedule=False)
    return _update_lock(free, now, *begun)


def _with_grant(door: Door, given: ReleaseRequest, now: float) -> tuple[Lease, ...]:
    """Return the running grant leases and the new one. A second grant for one person only extends the first lease."""
    new = Lease(now + given.lease_s, given.holder)
    running = [lease for lease in door.grants if now < lease.until]
    own = [lease for lease in running if new.holder and lease.holder == new.holder]
    others = [lease for lease in running if lease not in own]
    return tuple(sorted([*others, max([*own, new], key=_end)], key=_end))[-MOST_GRANTS:]


def _end(lease: Lease) -> float:
    return lease.until


def _refuse(door: Door, given: ReleaseRequest, why: str, now: float) -> MachineStep:
    """Report the refusal. A schedule requests a release every few seconds, so its refusal is reported once."""
    after, events = _update_lock(door, now)
    if given.cause == "schedule":
        if door.is_refusing_schedule:
            return after, events
        after = replace(after, is_refusing_schedule=True)
    return after, [*events, ReleaseRefused(given.visit, why)]


def _line(door: Door, name: str, is_active: bool, now: float) -> MachineStep:
    if (name in door.active) == is_active:
        return _update_lock(door, now)
    moved = replace(door, active=door.active | {name} if is_active else door.active - {name})
    match name, is_active:
        case "contact", True:
            return _opened(moved, now)
        case "contact", False:
            return _closed(moved, now)
        case "rex", True:
            lease_s = min(door.wires.release_s, MAX_LEASE_S)
            leaving = replace(_awaiting_opening(moved, "rex"), exit_until=max(moved.exit_until, now + lease_s))
            return _update_lock(leaving, now, DoorReleased("rex", lease_s))
        case "fire", True if not door.is_on_fire:
            return _update_lock(replace(moved, is_on_fire=True), now, FireRelease(), DoorReleased("fire", 0.0))
        case "fire_reset", True if door.is_on_fire and "fire" not in door.active:
            return _update_lock(replace(moved, is_on_fire=False), now, FireReset(), cause="fire_reset")
        case "tamper", _:
            return _update_lock(moved, now, Tampered(is_over=not is_active))
        case "call", True:
            return _update_lock(moved, now, CallPressed())
    return _update_lock(moved, now)


def _opened(door: Door, now: float) -> MachineStep:
    """Handle an opened leaf.

    Within `rex_grace_s` after the lock was secured, the last release still explains an opening.
    """
    door, events = _update_lock(replace(door, awaited="", passing=_first_lease(door, now)), now)
    is_authorised = door.is_released or now - door.secured_at <= door.wires.rex_grace_s
    forced = [] if is_authorised else [DoorForcedOpen()]
    return door, [*events, DoorOpened(door.cause if is_authorised else "nothing"), *forced]


def _closed(door: Door, now: float) -> MachineStep:
    if door.wires.relock_on_close:
        door = _without(door, door.passing or _first_lease(door, now))
    return _update_lock(door, now, DoorClosed(), cause="closed")


def _first_lease(door: Door, now: float) -> Lease | None:
    """Return the running grant or exit lease that would end first, or None."""
    running = [Lease(door.exit_until, LEAVING), *door.grants]
    return min((lease for lease in running if now < lease.until), key=_end, default=None)


def _without(door: Door, used: Lease | None) -> Door:
    """Remove a used lease, also if the same person has a newer one."""
    if used is None:
        return door
    if used.holder == LEAVING:
        return replace(door, exit_until=NO_LEASE)
    own = [i for i, lease in enumerate(door.grants) if lease == used or (used.holder and lease.holder == used.holder)]
    return replace(door, grants=tuple(lease for i, lease in enumerate(door.grants) if i not in own[:1]))


def _awaiting_opening(door: Door, cause: str) -> Door:
    """Record that an opening is expected now, unless the leaf is already open."""
    return door if door.is_open else replace(door, awaited=cause)


def _update_lock(door: Door, now: float, *events: Event, cause: str = "lease") -> MachineStep:
    """Release the lock while a lease or a fire release lasts; else secure it. A NaN time secures the lock.

    `cause` is the reason in `DoorSecured` if this step secures the lock.
    """
    if not now < door.schedule_until:
        door = replace(door, schedule_until=NO_LEASE)
    if door.is_on_fire or now < door.until:
        cause_now = _release_cause(door)
        awaited = door.awaited if cause_now in _ONE_PERSON else ""
        return replace(door, is_released=True, cause=cause_now, awaited=awaited), [*events]
    if not door.is_released:
        return door, [*events]
    is_missed = cause == "lease" and door.awaited and door.wires.contact_pin is not None
    missed = [DoorDidNotOpen(door.awaited)] if is_missed else []
    return replace(door, is_released=False, secured_at=now, awaited=""), [*events, DoorSecured(cause), *missed]


_ONE_PERSON: tuple[Cause, ...] = ("grant", "rex")
"""The causes after which one person should open the leaf."""


def _release_cause(door: Door) -> Cause:
    """Return the strongest cause of the release. The caller has already cleared a `schedule_until` in the past."""
    if door.is_on_fire:
        return "fire"
    if door.schedule_until > NO_LEASE:
        return "schedule"
    return "grant" if door.granted_until >= door.exit_until else "rex"
