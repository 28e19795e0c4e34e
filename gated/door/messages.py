"""What the brain and the latch say to each other."""

import msgspec

from gated.events import DoorClosed, DoorOpened, DoorReleased, DoorSecured, ReleaseRefused


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The brain's first word; a latch that does not hear it in time hangs up."""

    version: int = 1


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Brain to latch, twice a second: I am here. Silence ends the connection, and with it the lease."""


class ReleaseLock(msgspec.Struct, frozen=True, tag="release_lock"):
    """Brain to latch: energise for `lease_s`. `decided_at` is in monotonic seconds, which all processes share."""

    visit: str
    lease_s: float
    decided_at: float


class DriveLine(msgspec.Struct, frozen=True, tag="drive_line"):
    """To a latch with mock pins only: play the outside world on an input line."""

    line: str
    is_active: bool


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye"):
    """Brain to latch: I end; the latch drops my lease, tells what there is to tell, and hangs up."""


FromBrain = Hello | Beat | ReleaseLock | DriveLine | Goodbye


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Latch to brain: you have the door."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Latch to brain: you do not have the door, and why."""

    why: str


class LatchState(msgspec.Struct, frozen=True, tag="latch_state"):
    """Latch to brain, the answer to every beat."""

    state: str


class Happened(msgspec.Struct, frozen=True, tag="happened"):
    """Latch to brain: a fact for the journal; `at` is seconds since 1970. Kept while no brain is there."""

    at: float
    event: DoorReleased | DoorSecured | DoorOpened | DoorClosed | ReleaseRefused


FromLatch = Welcome | Refused | LatchState | Happened
