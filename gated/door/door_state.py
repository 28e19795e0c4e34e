"""The state of one door, and the inputs that change it. `door_machine` and `leaf_alarms` compute with these values."""

import math
from typing import Literal

from msgspec import Struct, field

from gated.config import Wires
from gated.events import MAIN

NO_LEASE = -math.inf
"""The end of a lease that never began."""
LEAVING = "/exit"
"""The `holder` of the exit lease; no pseudonym contains a slash."""
NOT_YET = math.inf
"""The start time of a condition that is not true, and the time of an unnecessary tick."""

LineName = Literal["contact", "rex", "fire", "tamper", "call", "feedback", "fire_reset"]
INPUTS: tuple[LineName, ...] = ("contact", "rex", "fire", "tamper", "call", "feedback", "fire_reset")
"""The input lines. Active means, in this order: open, pressed, fire, tampered, pressed, coil powered, key turned."""

Cause = Literal["grant", "rex", "fire", "schedule", "nothing"]


class ReleaseRequest(Struct, frozen=True):
    """The brain asks for a release of `lease_s` seconds. It decided at `decided_at` (monotonic seconds)."""

    visit: str
    lease_s: float
    decided_at: float
    cause: Literal["grant", "schedule"] = "grant"
    holder: str = ""
    """A pseudonym of the granted person, or empty. The latch keeps one lease per person, the longest."""


class LineInput(Struct, frozen=True):
    """The debounced level of one input. The same level again changes nothing."""

    name: LineName
    is_active: bool


class LockdownInput(Struct, frozen=True):
    """Lockdown begins or ends. While it is on, every release of the brain is refused."""

    is_on: bool


class EndLeases(Struct, frozen=True):
    """The leases of the brain end now. With `exits`, the exit lease ends too."""

    cause: Literal["disconnect", "stop"]
    exits: bool = False


class Tick(Struct, frozen=True):
    """Time has passed; no input changed."""


DoorInput = ReleaseRequest | LineInput | LockdownInput | EndLeases | Tick


class Lease(Struct, frozen=True):
    """One grant's lease. It ends at `until` (monotonic seconds). `holder`: as in `ReleaseRequest`, or `LEAVING`."""

    until: float
    holder: str = ""


class Door(Struct, frozen=True):
    """The state of one door. Every `_until`, `_since` and `_at` is in monotonic seconds."""

    name: str = MAIN
    wires: Wires = field(default_factory=Wires)
    is_released: bool = False
    """Whether the lock lets people pass."""
    active: frozenset[str] = frozenset()
    """The inputs that are active now."""
    grants: tuple[Lease, ...] = ()
    """The grant leases, one per person, ordered by end."""
    exit_until: float = NO_LEASE
    """The end of the exit lease."""
    schedule_until: float = NO_LEASE
    """The end of the schedule lease."""
    is_on_fire: bool = False
    """Whether a fire release is active. It lasts until it is reset by hand."""
    is_locked_down: bool = False
    is_refusing_schedule: bool = False
    """Whether the refusal of the current schedule is already reported."""
    cause: Cause = "nothing"
    """The cause of the current release, or of the last one."""
    secured_at: float = NO_LEASE
    """When the lock was last secured. At first, the start of the latch: earlier states are unknown."""
    passing: Lease | None = None
    """The lease of the current opening. It ends when the leaf closes. None if no lease was running then."""
    awaited: str = ""
    """The cause of a release after which the leaf has not opened yet, or empty."""
    open_since: float = NOT_YET
    """When the leaf became open without a valid reason."""
    held_open_stage: int = 0
    """How much of that is reported: 0 nothing, 1 held open, 2 the alarm."""
    mismatch_since: float = NOT_YET
    """When the relay feedback began to contradict the coil command."""
    is_mismatched: bool = False
    """Whether that mismatch was already reported."""

    @property
    def state(self) -> Literal["secured", "released", "open"]:
        """The state in the terms of an access panel."""
        return "open" if self.is_open else "released" if self.is_released else "secured"

    @property
    def is_open(self) -> bool:
        """Whether the leaf is open."""
        return "contact" in self.active

    @property
    def granted_until(self) -> float:
        """The end of the longest grant lease, or `NO_LEASE`."""
        return self.grants[-1].until if self.grants else NO_LEASE

    @property
    def until(self) -> float:
        """The end of the longest lease. A fire release has no lease."""
        return max(self.granted_until, self.exit_until, self.schedule_until)

    @property
    def is_coil_on(self) -> bool:
        """Whether the coil must have power now."""
        return self.is_released == opens_with_power(self.wires)


def opens_with_power(wires: Wires) -> bool:
    """Return whether this lock releases when its coil gets power. Only a plain strike does.

    A reverse strike and a maglock hold the leaf while the coil has power.
    """
    return wires.lock == "strike"
