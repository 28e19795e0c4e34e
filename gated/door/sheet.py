"""The wiring sheet, pure: every line of the gate, its pin, how it is wired, how it is now, and what it would do.

Who stands at the gate with a screwdriver and who wrote the settings should read the same words.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from gated.config import ReaderSettings, Settings, Wires
from gated.door.alarms import ODD_S
from gated.door.hardware import fitted
from gated.door.messages import LatchState
from gated.door.pins import output_pins
from gated.door.state import opens_with_power
from gated.events import MAIN

UNKNOWN = "unknown"
"""No latch has told."""
UNWATCHED = "not watched"
"""Nothing tells what an output really does, nor what a reader reads."""

STATES = {
    "contact": ("closed", "open"),
    "rex": ("not pressed", "pressed"),
    "fire": ("quiet", "burning"),
    "tamper": ("untouched", "tampered with"),
    "call": ("not pressed", "pressed"),
    "feedback": ("coil without power", "coil has power"),
    "fire_reset": ("not turned", "turned"),
}
"""Every input's words, at rest and active."""

OUTPUTS = {
    "ready": "shines: the ring, the gate is there",
    "open": "shines: the tick, you can pass; flashes in a fire",
    "refused": "shines: the card, take another way in",
    "fault": "shines: the triangle, something is wrong; steady while no brain is there",
    "red": "is the red of the lamp of three colours",
    "green": "is the green of the lamp of three colours",
    "blue": "is the blue of the lamp of three colours",
    "buzzer": "sounds the rhythm of what the gate says",
    "vibration": "lets the pad on the post be felt",
}


class SheetLine(msgspec.Struct, frozen=True):
    """One line; `name` as in "main.rex", `pin` a BCM number, the rest for people."""

    name: str
    pin: int
    direction: Literal["in", "out"]
    wiring: str
    state: str
    effect: str


def sheet(settings: Settings, seen: LatchState | None, own: Settings | None = None) -> list[SheetLine]:
    """Every line that is fitted. `seen`: what a latch has told; without it no state is known.

    `own`: the gate's own settings, where the office has set others over them: the latch knows no other.
    """
    doors, latched = settings.doors, (own or settings).doors
    has_reset = any(wires.fire_reset_pin is not None for wires in doors.values())
    lines = [
        line
        for name, wires in doors.items()
        for line in _door(name, wires, latched[name].release_s, seen, has_reset=has_reset)
    ]
    return [*lines, *_keypad(settings.readers, settings.door.release_s, seen), *_outputs(settings, seen)]


def _door(name: str, wires: Wires, exit_s: float, seen: LatchState | None, *, has_reset: bool) -> Iterator[SheetLine]:
    level = "high" if wires.lock_active_high else "low"
    kind = wires.lock.replace("_", " ")
    wiring = f"{kind}, fail-{wires.fail}; relay active {level}"
    yield SheetLine(f"{name}.lock", wires.lock_pin, "out", wiring, _lock_state(name, seen), _lock_effect(wires))
    for line in fitted(wires):
        pin: int = getattr(wires, f"{line}_pin")
        effect = input_effect(line, wires, exit_s, has_reset=has_reset)
        yield SheetLine(f"{name}.{line}", pin, "in", _loop(line, wires), _input_state(name, line, seen), effect)
    for bit, pin in enumerate(wires.wiegand_pins or ()):
        wiring = f"pulled up through a level shifter; a short low is a {bit}"
        effect = f"a card that is somebody's releases this door for {wires.release_s:g} s"
        yield SheetLine(f"{name}.wiegand_d{bit}", pin, "in", wiring, _unwatched(seen), effect)


def input_effect(line: str, wires: Wires, exit_s: float, *, has_reset: bool) -> str:
    """What happens when an input becomes active. `exit_s`: so long the latch releases for who leaves."""
    return {
        "contact": f"asks people to shut the leaf after {wires.held_open_s:g} s, is an alarm after "
        f"{wires.held_open_alarm_s:g} s, and at once when the leaf was forced",
        "rex": f"releases this door for {exit_s:g} s, with or without a brain",
        "fire": f"releases every door{' until the key is turned' if has_reset else ', and no key is wired to end it'}",
        "tamper": "is an alarm at once",
        "call": "calls for somebody: shown here, told to the server",
        "feedback": f"is an alarm when it contradicts the coil for {ODD_S:g} s",
        "fire_reset": "ends a fire release while every fire input is quiet",
    }[line]


def _lock_effect(wires: Wires) -> str:
    kind = wires.lock.replace("_", " ")
    act = f"energises the {kind}" if opens_with_power(wires) else f"takes the power from the {kind}"
    free = f", and for as long as schedule {wires.free_passage} lasts" if wires.free_passage else ""
    return f"{act} for {wires.release_s:g} s{free}; in a power cut it {_POWER_CUT[wires.fail]}"


_POWER_CUT = {"secure": "is shut to the street", "safe": "stands open"}


def _loop(line: str, wires: Wires) -> str:
    """How an input is wired."""
    if line == "contact":
        return f"normally closed, to {'high' if wires.contact_closed_is_high else 'ground'}: it opens with the leaf"
    closed = getattr(wires, f"{line}_normally_closed", False)
    return f"normally {'closed' if closed else 'open'}, to ground"


def _lock_state(name: str, seen: LatchState | None) -> str:
    if seen is None or name not in seen.doors:
        return UNKNOWN
    state = "the leaf is open" if seen.doors[name] == "open" else seen.doors[name]
    return f"{state}; a fire release stands" if seen.is_on_fire else state


def _input_state(name: str, line: str, seen: LatchState | None) -> str:
    is_active = None if seen is None else seen.lines.get(f"{name}.{line}")
    return UNKNOWN if is_active is None else STATES[line][is_active]


def _unwatched(seen: LatchState | None) -> str:
    return UNKNOWN if seen is None else UNWATCHED


def _keypad(readers: ReaderSettings, release_s: float, seen: LatchState | None) -> Iterator[SheetLine]:
    effect = f"reads the keypad: a PIN that is somebody's releases {MAIN} for {release_s:g} s"
    for number, pin in enumerate(readers.keypad_rows, 1):
        yield SheetLine(
            f"keypad.row_{number}", pin, "out", "pulled low in turn, else it floats", _unwatched(seen), effect
        )
    for number, pin in enumerate(readers.keypad_columns, 1):
        yield SheetLine(
            f"keypad.column_{number}", pin, "in", "pulled up; a key closes it to its row", _unwatched(seen), effect
        )


def _outputs(settings: Settings, seen: LatchState | None) -> Iterator[SheetLine]:
    for line, pin in output_pins(settings.cues).items():
        yield SheetLine(f"cues.{line}", pin, "out", "active high", _unwatched(seen), OUTPUTS[line])
