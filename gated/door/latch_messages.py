"""The messages between the brain and the latch, in both directions."""

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
    """Brain to latch: the first message. The latch closes a connection that does not send it in time."""

    version: int = 1
    observer: bool = False
    """Whether this is an observer. It gets an answer to each heartbeat. It may drive mock lines and nothing else."""


class LatchHeartbeat(msgspec.Struct, frozen=True, tag="beat"):
    """Brain to latch: the heartbeat, twice a second. Silence ends the connection and its leases."""


class ReleaseLock(msgspec.Struct, frozen=True, tag="release_lock"):
    """Brain to latch: release the lock for `lease_s` seconds.

    `decided_at` is in monotonic seconds. All processes of one machine share this clock.
    """

    visit: str
    lease_s: float
    decided_at: float
    door: str = MAIN
    cause: Literal["grant", "schedule"] = "grant"
    holder: str = msgspec.field(name="whom", default="")
    """A pseudonym of the granted person, constant while the brain process lives. It does not reveal the person."""


class SetLockdown(msgspec.Struct, frozen=True, tag="set_lockdown"):
    """Brain to latch: begin or end a lockdown. During a lockdown only the exit button and a fire release the lock."""

    on: bool


class PlayPattern(msgspec.Struct, frozen=True, tag="play"):
    """Brain to latch: play a pattern on a lamp, the buzzer or the vibration pad, until the next `PlayPattern`.

    `pattern` alternates seconds on and seconds off, and is repeated. One number alone means always on; an empty
    pattern means off. After `repeats` repetitions the output is off; 0 repeats for ever.
    """

    line: str
    pattern: tuple[float, ...] = ()
    repeats: int = 0


class DriveLine(msgspec.Struct, frozen=True, tag="drive_line"):
    """Brain or observer to latch: drive an input line. Only for mock pins."""

    line: str
    is_active: bool
    door: str = MAIN


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye"):
    """Brain to latch: the brain ends. The latch ends its leases, sends the last events, and closes the connection."""


FromBrain = Hello | LatchHeartbeat | ReleaseLock | SetLockdown | PlayPattern | DriveLine | Goodbye


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Latch to brain: the connection is accepted."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Latch to brain: the connection is refused, with the reason."""

    why: str


class LatchState(msgspec.Struct, frozen=True, tag="latch_state"):
    """Latch to brain: the answer to each heartbeat. `state` is the first door's; `doors` and `lines` are by name."""

    state: str
    doors: dict[str, str] = {}
    lines: dict[str, bool] = {}
    """Whether each input is active, by names like "main.contact". Active is open, pressed, fire, tampered."""
    is_on_fire: bool = False
    """Whether a fire release is active. The fire input itself may be inactive again."""
    has_brain: bool = False
    """Whether a brain is connected: without a brain, nobody is granted access."""
    missing: dict[str, str] = {}
    """The optional parts whose pins cannot be used ("lamps", "keypad", "second.reader"), each with the reason."""


class CardRead(msgspec.Struct, frozen=True, tag="card_read"):
    """Latch to brain: a frame of a Wiegand reader, as "0" and "1" in the order they came. Never logged."""

    bits: str
    door: str = MAIN


class KeyPressed(msgspec.Struct, frozen=True, tag="key_pressed"):
    """Latch to brain: a key of the matrix keypad, "0" to "9", "*", "#" or "A" to "D". Never logged."""

    key: str
    door: str = MAIN


class EventReport(msgspec.Struct, frozen=True, tag="happened"):
    """Latch to brain: a door event for the journal. `at` is in seconds since 1970. Kept until a brain connects."""

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


FromLatch = Welcome | Refused | LatchState | CardRead | KeyPressed | EventReport
