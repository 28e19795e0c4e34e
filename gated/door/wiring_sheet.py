"""The wiring sheet: each line of the gate with its pin, wiring, current state and effect. Pure.

It lets an installer at the gate compare the wires with the settings.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import structs

from gated.config import ReaderSettings, Settings, Wires
from gated.door.door_hardware import fitted_inputs
from gated.door.door_state import opens_with_power
from gated.door.latch_messages import LatchState
from gated.door.leaf_alarms import RELAY_S
from gated.door.optional_parts import LAMP_PART, part_of
from gated.door.output_table import OUTPUTS
from gated.door.pin_source import output_pins
from gated.events import MAIN

STATE_UNKNOWN = "unknown"
"""The state of a line when no latch answers."""
UNWATCHED = "not watched"
"""The state of an output or a reader: the latch does not report it."""

INPUT_STATES = {
    "contact": ("closed", "open"),
    "rex": ("not pressed", "pressed"),
    "fire": ("quiet", "burning"),
    "tamper": ("untouched", "tampered with"),
    "call": ("not pressed", "pressed"),
    "feedback": ("coil without power", "coil has power"),
    "fire_reset": ("not turned", "turned"),
}
"""The text for each input, inactive and active."""


class SheetLine(msgspec.Struct, frozen=True):
    """One line of the sheet. `name` is like "main.rex", `pin` is a BCM number, and the other fields are texts."""

    name: str
    pin: int
    direction: Literal["in", "out"]
    wiring: str
    state: str
    effect: str


def sheet(settings: Settings, seen: LatchState | None, own: Settings | None = None) -> list[SheetLine]:
    """Return every fitted line. `seen` is the latch's state, or None if no latch answers.

    `own` are the gate's local settings, if the office has overridden some: the latch uses the local settings only.
    """
    doors, latched = settings.doors, (own or settings).doors
    has_reset = any(wires.fire_reset_pin is not None for wires in doors.values())
    missing = {} if seen is None else seen.missing
    lines = [
        line
        for name, wires in doors.items()
        for line in _door(name, wires, latched[name].release_s, seen, has_reset=has_reset)
    ]
    lines += [*_keypad(settings.readers, settings.door.release_s, seen), *_outputs(settings, seen)]
    return [_without(line, missing) for line in lines]


def _without(line: SheetLine, missing: Mapping[str, str]) -> SheetLine:
    """Return the line, marked as missing if its part or its whole door is missing.

    All lamps are one part, so a lamp is missing only if the reason names its pin.
    """
    part = part_of(line.name)
    why = missing.get(part, "")
    if part == LAMP_PART and f"pin {line.pin} " not in why:
        why = ""
    why = why or missing.get(line.name.partition(".")[0], "")
    return structs.replace(line, state=f"missing: {why}") if why else line


def _door(name: str, wires: Wires, exit_s: float, seen: LatchState | None, *, has_reset: bool) -> Iterator[SheetLine]:
    level = "high" if wires.lock_active_high else "low"
    kind = wires.lock.replace("_", " ")
    wiring = f"{kind}, fail-{wires.fail}; relay active {level}"
    yield SheetLine(f"{name}.lock", wires.lock_pin, "out", wiring, _lock_state(name, seen), _lock_effect(wires))
    for line in fitted_inputs(wires):
        pin: int = getattr(wires, f"{line}_pin")
        effect = input_effect(line, wires, exit_s, has_reset=has_reset)
        yield SheetLine(f"{name}.{line}", pin, "in", _loop(line, wires), _input_state(name, line, seen), effect)
    for bit, pin in enumerate(wires.wiegand_pins or ()):
        wiring = f"pulled up through a level shifter; a short low is a {bit}"
        effect = f"a resident's card releases this door for {wires.release_s:g} s"
        yield SheetLine(f"{name}.wiegand_d{bit}", pin, "in", wiring, _unwatched(seen), effect)


def input_effect(line: str, wires: Wires, exit_s: float, *, has_reset: bool) -> str:
    """Describe the effect of an input that becomes active. `exit_s` is the release time of the exit button."""
    return {
        "contact": f"asks people to close the leaf after {wires.held_open_s:g} s, is an alarm after "
        f"{wires.held_open_alarm_s:g} s, and at once if the leaf was forced",
        "rex": f"releases this door for {exit_s:g} s, with or without a brain",
        "fire": f"releases every door{' until the key is turned' if has_reset else ', and no key is wired to end it'}",
        "tamper": "is an alarm at once",
        "call": "is a call: shown at the gate, reported to the office",
        "feedback": f"is an alarm when it contradicts the coil for {RELAY_S:g} s",
        "fire_reset": "ends a fire release while every fire input is quiet",
    }[line]


def _lock_effect(wires: Wires) -> str:
    kind = wires.lock.replace("_", " ")
    act = f"energises the {kind}" if opens_with_power(wires) else f"takes the power from the {kind}"
    free = f", and for as long as schedule {wires.free_passage} lasts" if wires.free_passage else ""
    return f"{act} for {wires.release_s:g} s{free}; in a power cut it {_POWER_CUT[wires.fail]}"


_POWER_CUT = {"secure": "is shut to the street", "safe": "stands open"}


def _loop(line: str, wires: Wires) -> str:
    """Describe how an input is wired."""
    if line == "contact":
        return f"normally closed, to {'high' if wires.contact_closed_is_high else 'ground'}: it opens with the leaf"
    closed = getattr(wires, f"{line}_normally_closed", False)
    return f"normally {'closed' if closed else 'open'}, to ground"


def _lock_state(name: str, seen: LatchState | None) -> str:
    if seen is None or name not in seen.doors:
        return STATE_UNKNOWN
    state = "the leaf is open" if seen.doors[name] == "open" else seen.doors[name]
    return f"{state}; a fire release is active" if seen.is_on_fire else state


def _input_state(name: str, line: str, seen: LatchState | None) -> str:
    is_active = None if seen is None else seen.lines.get(f"{name}.{line}")
    return STATE_UNKNOWN if is_active is None else INPUT_STATES[line][is_active]


def _unwatched(seen: LatchState | None) -> str:
    return STATE_UNKNOWN if seen is None else UNWATCHED


def _keypad(readers: ReaderSettings, release_s: float, seen: LatchState | None) -> Iterator[SheetLine]:
    effect = f"reads the keypad: a resident's PIN releases {MAIN} for {release_s:g} s"
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
        yield SheetLine(f"cues.{line}", pin, "out", "active high", _unwatched(seen), OUTPUTS[line].effect)
