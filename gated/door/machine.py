"""What the lock does and where the leaf is: a pure machine, `(door, input, now) -> (door, events)`.

The lock is energised while a lease runs, and there are two: one that a grant began, which ends with the brain that
asked for it, and one that the exit button began, which does not. Nothing else energises it.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from gated.events import DoorClosed, DoorOpened, DoorReleased, DoorSecured, Event, ReleaseRefused

MAX_LEASE_S = 30.0
"""No lease is longer, whatever the brain says."""
MAX_AGE_S = 1.0
"""A release that was decided longer ago is not carried out: the person has gone, or the message was held up."""

NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Release:
    """A grant: energise for `lease_s`, if the decision at `decided_at` (monotonic seconds) is fresh."""

    visit: str
    lease_s: float
    decided_at: float


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit button was pressed."""

    lease_s: float


@dataclass(frozen=True, slots=True)
class Leaf:
    """The contact says that the leaf is open or shut."""

    is_open: bool


@dataclass(frozen=True, slots=True)
class Drop:
    """End the grant's lease now, or with `exits` every lease."""

    cause: Literal["disconnect", "stop", "start"]
    exits: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Input = Release | Exit | Leaf | Drop | Tick


@dataclass(frozen=True, slots=True)
class Door:
    """The door as far as we know. `granted_until` and `exit_until` are monotonic seconds."""

    is_energised: bool = False
    is_open: bool = False
    granted_until: float = NEVER
    exit_until: float = NEVER
    relock_on_close: bool = True

    @property
    def state(self) -> Literal["secured", "released", "open"]:
        """In the words of an access panel."""
        return "open" if self.is_open else "released" if self.is_energised else "secured"

    @property
    def until(self) -> float:
        """When the lock drops if nothing else happens, in monotonic seconds."""
        return max(self.granted_until, self.exit_until)


def step(door: Door, given: Input, now: float) -> tuple[Door, list[Event]]:
    """The door after an input, and what there is to tell. The lock must follow `is_energised` at once."""
    match given:
        case Release():
            return _release(door, given, now)
        case Exit(lease_s):
            return _settle(replace(door, exit_until=now + min(lease_s, MAX_LEASE_S)), now, DoorReleased("rex", lease_s))
        case Leaf(is_open):
            return _leaf(door, is_open, now)
        case Drop(cause, exits):
            ended = replace(door, granted_until=NEVER, exit_until=NEVER if exits else door.exit_until)
            return _settle(ended, now, cause=cause)
        case Tick():
            return _settle(door, now)


def refusal(given: Release, now: float) -> str | None:
    """Why a release is not carried out, or None. Written so that a number that is none refuses."""
    if not 0 < given.lease_s <= MAX_LEASE_S:
        return f"a lease of {given.lease_s} s is not between 0 and {MAX_LEASE_S:.0f} s"
    if not 0 <= now - given.decided_at <= MAX_AGE_S:
        return "the decision is not fresh"
    return None


def _release(door: Door, given: Release, now: float) -> tuple[Door, list[Event]]:
    why = refusal(given, now)
    if why is not None:
        after, events = _settle(door, now)
        return after, [*events, ReleaseRefused(given.visit, why)]
    released = replace(door, granted_until=now + given.lease_s)
    return _settle(released, now, DoorReleased("grant", given.lease_s, given.visit))


def _leaf(door: Door, is_open: bool, now: float) -> tuple[Door, list[Event]]:
    if is_open == door.is_open:
        return _settle(door, now)
    if is_open:
        after = "nothing" if now >= door.until else "grant" if door.granted_until >= door.exit_until else "rex"
        return _settle(replace(door, is_open=True), now, DoorOpened(after))
    shut = replace(door, is_open=False)
    if door.relock_on_close:
        shut = replace(shut, granted_until=NEVER, exit_until=NEVER)
    return _settle(shut, now, DoorClosed(), cause="closed")


def _settle(door: Door, now: float, *events: Event, cause: str = "lease") -> tuple[Door, list[Event]]:
    """Energise exactly while a lease runs; written so that a time that is no number drops the lock."""
    energised = now < door.until
    secured = [DoorSecured(cause)] if door.is_energised and not energised else []
    return replace(door, is_energised=energised), [*events, *secured]
