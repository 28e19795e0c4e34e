"""What the brain and the latch say to each other."""

from typing import Literal

import msgspec

from gated.events import (
    MAIN,
    CallPressed,
    DoorClosed,
    DoorDidNotOpen,
    DoorForcedOpen,
    DoorHeldOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    FireRelease,
    FireReset,
    LineImplausible,
    LinePlausible,
    ReleaseRefused,
    Tampered,
)


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first word; a latch that does not hear it in time hangs up."""

    version: int = 1
    observer: bool = False
    """One that looks on beside the brain: it is answered its beats and may ask for nothing, but play mock lines."""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Brain to latch, twice a second: I am here. Silence ends the connection, and with it the lease."""


class ReleaseLock(msgspec.Struct, frozen=True, tag="release_lock"):
    """Brain to latch: energise for `lease_s`. `decided_at` is in monotonic seconds, which all processes share."""

    visit: str
    lease_s: float
    decided_at: float
    door: str = MAIN
    cause: Literal["grant", "schedule"] = "grant"


class SetLockdown(msgspec.Struct, frozen=True, tag="set_lockdown"):
    """Brain to latch: from now on no grant releases (REX and fire do), or again."""

    on: bool


class Play(msgspec.Struct, frozen=True, tag="play"):
    """Brain to latch: let a lamp, the buzzer or the pad do this until told otherwise.

    `pattern`: seconds on and off in turn, said again and again; one number alone is on for good, none is off.
    `repeats`: so many times and then off; 0 is for ever.
    """

    line: str
    pattern: tuple[float, ...] = ()
    repeats: int = 0


class DriveLine(msgspec.Struct, frozen=True, tag="drive_line"):
    """To a latch with mock pins only: play the outside world on an input line."""

    line: str
    is_active: bool
    door: str = MAIN


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye"):
    """Brain to latch: I end; the latch drops my lease, tells what there is to tell, and hangs up."""


FromBrain = Hello | Beat | ReleaseLock | SetLockdown | Play | DriveLine | Goodbye


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Latch to brain: you have the door."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Latch to brain: you do not have the door, and why."""

    why: str


class LatchState(msgspec.Struct, frozen=True, tag="latch_state"):
    """The latch's answer to every beat: the first door's state, each door's, and each input's."""

    state: str
    doors: dict[str, str] = {}
    lines: dict[str, bool] = {}
    """As "main.contact"; True is open, pressed, burning, tampered with."""
    is_on_fire: bool = False
    """A fire release stands; the fire input may be quiet again."""
    has_brain: bool = False
    """A brain is there: somebody can be let in."""


class CardRead(msgspec.Struct, frozen=True, tag="card_read"):
    """Latch to brain: a frame of a Wiegand reader, as "0" and "1" in the order they came. Never logged."""

    bits: str
    door: str = MAIN


class KeyPressed(msgspec.Struct, frozen=True, tag="key_pressed"):
    """Latch to brain: a key of the matrix keypad, "0" to "9", "*", "#" or "A" to "D". Never logged."""

    key: str
    door: str = MAIN


class Happened(msgspec.Struct, frozen=True, tag="happened"):
    """Latch to brain: a fact for the journal; `at` is seconds since 1970. Kept while no brain is there."""

    at: float
    event: (
        DoorReleased
        | DoorSecured
        | DoorOpened
        | DoorClosed
        | DoorHeldOpen
        | DoorForcedOpen
        | DoorDidNotOpen
        | LineImplausible
        | LinePlausible
        | Tampered
        | FireRelease
        | FireReset
        | CallPressed
        | ReleaseRefused
    )


FromLatch = Welcome | Refused | LatchState | CardRead | KeyPressed | Happened
