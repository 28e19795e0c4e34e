"""A door as far as we know it, and everything that can happen to it: the values that `machine` and `alarms` work on."""

import math
from dataclasses import dataclass, field
from typing import Literal

from gated.config import Wires
from gated.events import MAIN

NEVER = -math.inf
"""When a lease ended that never began."""
NOT_YET = math.inf
"""Since when something is so that is not."""

LineName = Literal["contact", "rex", "fire", "tamper", "call", "feedback", "fire_reset"]
INPUTS: tuple[LineName, ...] = ("contact", "rex", "fire", "tamper", "call", "feedback", "fire_reset")
"""Active is: open, pressed, burning, tampered with, pressed, power on the coil, turned."""

Cause = Literal["grant", "rex", "fire", "schedule", "nothing"]


@dataclass(frozen=True, slots=True)
class Release:
    """The brain asks: release for `lease_s`, if what it decided at `decided_at` (monotonic seconds) is fresh."""

    visit: str
    lease_s: float
    decided_at: float
    cause: Literal["grant", "schedule"] = "grant"


@dataclass(frozen=True, slots=True)
class Line:
    """An input, debounced, as it was read; reading the same again says nothing new."""

    name: LineName
    is_active: bool


@dataclass(frozen=True, slots=True)
class Lockdown:
    """From now on the brain releases nothing, or may again."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class Drop:
    """End the leases that the brain asked for now, or with `exits` every lease."""

    cause: Literal["disconnect", "stop"]
    exits: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Input = Release | Line | Lockdown | Drop | Tick


@dataclass(frozen=True, slots=True)
class Door:
    """One door. Every `_until`, `_since` and `_at` is in monotonic seconds."""

    name: str = MAIN
    wires: Wires = field(default_factory=Wires)
    is_released: bool = False
    """What the street sees: whether the lock lets people pass."""
    active: frozenset[str] = frozenset()
    """The inputs that are active now."""
    granted_until: float = NEVER
    exit_until: float = NEVER
    free_until: float = NEVER
    is_on_fire: bool = False
    """A fire release stands, until somebody resets it."""
    is_locked_down: bool = False
    is_refusing_schedule: bool = False
    """A schedule was refused and that was told; it asks again every few seconds."""
    cause: Cause = "nothing"
    """What releases the lock, or did last."""
    secured_at: float = NEVER
    """When the lock was secured last. The time of our own start, at first: what was before we cannot know."""
    awaited: str = ""
    """The cause of a release by which nobody has opened the leaf yet."""
    open_since: float = NOT_YET
    """Since when the leaf stands open without a reason."""
    told: int = 0
    """What was told of that: nothing, that it is held open, that this is an alarm."""
    odd_since: float = NOT_YET
    """Since when the relay's feedback contradicts what the coil was told."""
    is_odd: bool = False

    @property
    def state(self) -> Literal["secured", "released", "open"]:
        """In the words of an access panel."""
        return "open" if self.is_open else "released" if self.is_released else "secured"

    @property
    def is_open(self) -> bool:
        """Whether the leaf is open."""
        return "contact" in self.active

    @property
    def until(self) -> float:
        """When the last lease ends; a fire release has none."""
        return max(self.granted_until, self.exit_until, self.free_until)

    @property
    def is_coil_on(self) -> bool:
        """Whether the coil is to have power."""
        return self.is_released == opens_with_power(self.wires)


def opens_with_power(wires: Wires) -> bool:
    """A strike lets people pass while its coil has power; a reverse strike and a magnet hold them back by it."""
    return wires.lock == "strike"
