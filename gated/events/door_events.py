"""Events of doors, their lines, lockdown and calls at a door."""

from gated.events.event import MAIN, Event


class DoorReleased(Event, frozen=True, tag="door_released"):
    """The lock was released. `cause`: "grant", "rex", "fire" or "schedule"."""

    cause: str
    lease_s: float
    """Seconds; 0 for a fire release, because it lasts until the reset."""
    visit: str | None = None
    door: str = MAIN


class DoorSecured(Event, frozen=True, tag="door_secured"):
    """The lock was secured.

    `cause`: "lease", "closed", "disconnect", "stop", "start", "lockdown" or "fire_reset".
    """

    cause: str
    door: str = MAIN


class DoorOpened(Event, frozen=True, tag="door_opened"):
    """The door opened. `after`: "grant", "rex", "fire", "schedule" or "nothing"."""

    after: str
    door: str = MAIN


class DoorClosed(Event, frozen=True, tag="door_closed"):
    """The door closed."""

    door: str = MAIN


class DoorHeldOpen(Event, frozen=True, tag="door_held_open"):
    """The door is open too long. The gate asks people to close it before it raises an alarm."""

    open_s: float
    is_alarm: bool = False
    door: str = MAIN


class DoorForcedOpen(Event, frozen=True, tag="door_forced_open"):
    """The door opened without a release."""

    door: str = MAIN


class DoorDidNotOpen(Event, frozen=True, tag="door_did_not_open"):
    """The lock was released, and the door stayed closed until the end of the release."""

    cause: str
    door: str = MAIN


class DoorTried(Event, frozen=True, tag="door_tried"):
    """A person who maintains the gate tests the door. The following events show the result."""

    by: str
    door: str = MAIN


class LineImplausible(Event, frozen=True, tag="line_implausible"):
    """A relay or an input has an impossible level. `line`: "lock", "contact" or the name of another input."""

    line: str
    why: str
    door: str = MAIN


class LinePlausible(Event, frozen=True, tag="line_plausible"):
    """A relay or an input has a possible level again."""

    line: str
    door: str = MAIN


class Tampered(Event, frozen=True, tag="tampered"):
    """The case or its wires were opened; `is_over`: they are closed again."""

    is_over: bool = False
    door: str = MAIN


class FireRelease(Event, frozen=True, tag="fire_release"):
    """The fire input is active. Every door stays released until a person resets it at the gate."""

    door: str = MAIN


class FireReset(Event, frozen=True, tag="fire_reset"):
    """A person ended the fire release with the reset key, and the fire input is inactive."""

    door: str = MAIN


class ReleaseRefused(Event, frozen=True, tag="release_refused"):
    """The latch refused a release: the request was too old, too long, or malformed."""

    visit: str
    why: str
    door: str = MAIN


class Lockdown(Event, frozen=True, tag="lockdown"):
    """The gate denies entry to everyone; `is_over`: no longer. Leaving and fire work as usual."""

    by: str
    is_over: bool = False


class ScheduledUnlock(Event, frozen=True, tag="free_passage"):
    """An unlock schedule keeps the door released; `is_over`: no longer."""

    schedule: str
    is_over: bool = False
    door: str = MAIN


class CallPressed(Event, frozen=True, tag="call_pressed"):
    """A person at the gate pressed the call button."""

    door: str = MAIN


class CallAnswered(Event, frozen=True, tag="call_answered"):
    """An operator at the office answered a call. `answer`: "opening", "wait" or "nobody" (nobody can come).

    `is_over` comes from gates before version 0.2: the conversation is over.
    """

    door: str = MAIN
    is_over: bool = False
    answer: str = "wait"


class CallEnded(Event, frozen=True, tag="call_ended"):
    """A call ended without an answer, or after the answer "wait".

    `outcome`: "unanswered" (no answer within the limit), "unreachable" (no link to the office) or "opened" (the door
    was released first).
    """

    outcome: str
    door: str = MAIN


DoorEvent = (
    DoorReleased
    | DoorSecured
    | DoorOpened
    | DoorClosed
    | DoorHeldOpen
    | DoorForcedOpen
    | DoorDidNotOpen
    | DoorTried
    | LineImplausible
    | LinePlausible
    | Tampered
    | FireRelease
    | FireReset
    | ReleaseRefused
    | Lockdown
    | ScheduledUnlock
    | CallPressed
    | CallAnswered
    | CallEnded
)
