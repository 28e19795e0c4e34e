"""Judges the wiring and what the latch and the journal report. Pure.

On a desk (mock pins) nobody depends on the gate, so red becomes amber.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from statistics import median

from gated.config import Settings, Wires, unsafe_wiring
from gated.doctor.finding import Finding, amber, green, red
from gated.door.door_state import opens_with_power
from gated.door.latch_messages import LatchState
from gated.events import AccessGranted, Degraded, Event, ReaderMisread, Started

FIRST_PULLED_LOW = 9
"""Lowest BCM pin that the Pi pulls low until a program claims it. The Pi pulls 9 to 27 low and 0 to 8 high.

Source: BCM2711 ARM Peripherals, 5.3.
"""

PROMISE_S = 0.5
"""Promised time from walking up to the open gate, in seconds."""
LATELY = 100
"""Number of newest grants that show how fast the gate is."""
MISREAD_AT_MOST = 5
"""Limits the different misreadings shown for one reader."""


def is_desk(settings: Settings) -> bool:
    """Return whether the pins are mock pins."""
    return settings.door.pins == "mock"


def faulty(settings: Settings, part: str, result: str, next_step: str) -> Finding:
    """Return a finding that is red at a gate and amber on a desk."""
    return (amber if is_desk(settings) else red)(part, result, next_step)


def lost_parts(facts: Iterable[Event | None]) -> frozenset[str]:
    """Return what a running brain has lost. `facts`: the journal's facts, newest first."""
    for fact in facts:
        if isinstance(fact, Degraded):
            return frozenset(fact.lost)
        if isinstance(fact, Started):
            break
    return frozenset()


def of_decisions(facts: Iterable[Event | None]) -> Iterator[Finding]:
    """Yield how fast the gate decided lately. `facts`: newest first. Yields nothing without a grant."""
    times_s = sorted(fact.latency_s for fact in islice((f for f in facts if isinstance(f, AccessGranted)), LATELY))
    if not times_s:
        return
    middle_s, slow_s = median(times_s), times_s[math.ceil(0.95 * len(times_s)) - 1]
    result = f"the last {len(times_s)} took {middle_s:.2f} s from frame to decision, 95 % at most {slow_s:.2f} s"
    figures = {"decisions": len(times_s), "median_s": middle_s, "p95_s": slow_s}
    if slow_s <= PROMISE_S:
        yield green("decisions", result, **figures)
    else:
        step = "stop other programs; stop the gate and run `gated doctor --measure`"
        yield amber("decisions", f"{result}; the limit is {PROMISE_S:g} s", step, **figures)


def of_readers(facts: Iterable[tuple[datetime, Event | None]], now: datetime) -> Iterator[Finding]:
    """Yield the unreadable input of readers during the last day.

    `facts`: with their times, newest first.
    """
    misread: dict[str, list[str]] = {}
    for at, fact in facts:
        if isinstance(fact, ReaderMisread) and now - at < timedelta(days=1):
            inputs = misread.setdefault(fact.reader, [])
            if fact.problem not in inputs and len(inputs) < MISREAD_AT_MOST:
                inputs.append(fact.problem)
    for reader, inputs in misread.items():
        step = (
            "run `gated readers show` while you hold a card there; then repair the wires, or run `gated readers learn`"
        )
        yield amber(f"reader {reader}", f"recent unreadable input: {'; '.join(inputs)}", step)


def of_latch(settings: Settings, seen: LatchState | None, why: str) -> Iterator[Finding]:
    """Yield whether a latch owns the pins and a brain commands it. `why`: the error that replaces `seen`."""
    if seen is None:
        yield faulty(settings, "latch", f"{why}; the state of every pin is unknown", _START_LATCH)
        yield faulty(
            settings,
            "brain",
            "the brain cannot release a lock without a latch",
            "start the latch, then run `gated run`",
        )
        return
    yield green("latch", f"serves {settings.latch_socket}")
    if seen.has_brain:
        yield green("brain", "controls the doors")
    else:
        yield faulty(
            settings,
            "brain",
            "no brain controls the doors; the exit button and the fire input work",
            "start the gate: `gated run`",
        )


_START_LATCH = "start the latch's service (on a desk `gated run` starts one); if it runs, run this as the gate's user"


def of_doors(settings: Settings, seen: LatchState | None) -> Iterator[Finding]:
    """Yield the alarms that are active now."""
    if seen is None:
        return
    if seen.is_on_fire:
        yield red("fire", "a fire release is active: every door is released", "turn the reset key when it is safe")
    for name in settings.doors:
        if seen.lines.get(f"{name}.tamper"):
            yield red(
                f"{name}.tamper", "the tamper contact is open, or its wire is cut", "check the case, then the wire"
            )
        if seen.doors.get(name) == "open":
            yield amber(f"{name}.contact", "the door is open", "close the door; if it is closed, check its contact")


def of_wiring(settings: Settings) -> Iterator[Finding]:
    """Yield what is unsafe in the wiring, or could be better."""
    unsafe = unsafe_wiring(settings.door, settings.second_door)
    for problem in unsafe:
        name, _, result = problem.partition(": ")
        yield faulty(settings, name, result.partition(";")[0], result.partition("; ")[2])
    doors = settings.doors
    if any(w.fire_pin is not None for w in doors.values()) and all(w.fire_reset_pin is None for w in doors.values()):
        yield amber("fire", "no reset key for a fire release", "connect a key switch and set fire_reset_pin")
    for name, wires in doors.items():
        yield from _of_door(name, wires)
    if is_desk(settings):
        yield amber("pins", "the pins are mock pins: no real lock moves", 'set [door] pins = "gpio" at a gate')
    elif not unsafe:
        yield green("wiring", "every door has an exit button or a waiver")


def _of_door(name: str, wires: Wires) -> Iterator[Finding]:
    if wires.rex_pin is None and wires.rex_waiver.strip():
        yield amber(
            f"{name}.rex", "no exit button, with a written waiver", "confirm that the waiver is still valid: rex_waiver"
        )
    if wires.contact_pin is None:
        result = "no door contact: the gate cannot detect a forced or held-open door"
        yield amber(f"{name}.contact", result, "connect a contact and set contact_pin")
    if opens_with_power(wires) and wires.lock_active_high != (wires.lock_pin >= FIRST_PULLED_LOW):
        level = "low" if wires.lock_pin >= FIRST_PULLED_LOW else "high"
        result = (
            f"at power-on the Pi pulls pin {wires.lock_pin} {level}, "
            "which switches this relay on until the latch starts"
        )
        yield amber(f"{name}.lock", result, "use an active-high relay on pin 9 or higher, with a pull-down resistor")


def of_help(settings: Settings) -> Iterator[Finding]:
    """Yield whether people see a telephone number when the gate cannot help them."""
    if settings.cues.phone:
        yield green("telephone", "the gate shows and speaks it where it cannot help")
    else:
        step = "set [cues] phone, then run `gated prompts make`"
        yield amber("telephone", "the gate shows no telephone number where it cannot help", step)
    if any(wires.call_pin is not None for wires in settings.doors.values()) and not settings.sync.url:
        result = "no call is answered: this gate has no office"
        yield amber("call button", result, "run `gated pair` to join an office; `gated office watch` rings there")


def nobody_in(seen: LatchState | None, is_locked_down: bool) -> str:
    """Return why nobody can be let in now; empty if people can be."""
    if seen is None:
        return "no latch runs"
    if not seen.has_brain:
        return "no brain controls the doors"
    return "a lockdown is active" if is_locked_down else ""


def of_credential_kinds(settings: Settings, broken: Collection[str], entry_problem: str) -> Iterator[Finding]:
    """Yield each credential kind of this gate, and whether it works now.

    `broken`: those of "vision", "models", "clock", "readers" (all USB readers), "pass key", "network", "server" and
    "sync" that do not work. `nobody`: the result of `nobody_in`.
    """
    blocked = {
        kind: ", ".join(f"{part} is not well" for part in needs if part in broken)
        for kind, needs in _credential_kinds(settings)
    }
    if entry_problem or all(blocked.values()):
        why = entry_problem or "; ".join(f"{kind}: {why}" for kind, why in blocked.items())
        result = f"no credential opens the gate ({', '.join(blocked)}): {why}"
        yield faulty(settings, "credential kinds", result, "follow the next step of the findings above")
        return
    for kind, why in blocked.items():
        result, step = f"not working: {why}", "follow the next step of the findings above"
        yield amber(f"credential: {kind}", result, step) if why else green(f"credential: {kind}", "works")
    if len(blocked) == 1:
        yield amber(
            "credential kinds",
            "only faces open the gate",
            "fit a card reader or a keypad: no single credential kind suits everybody",
        )


def _credential_kinds(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """Return the kinds of credential that this gate accepts, each with the parts it needs besides latch and brain."""
    readers = settings.readers
    kinds: list[tuple[str, tuple[str, ...]]] = [("face", ("models", "vision"))]
    usb = ("readers",)
    has_wired = any(wires.wiegand_pins is not None for wires in settings.doors.values())
    if has_wired or readers.devices:
        kinds.append(("card", () if has_wired else usb))
    if readers.keypad_rows or readers.devices:
        kinds.append(("PIN", () if readers.keypad_rows else usb))
    if readers.pass_key:
        kinds.append(("visitor pass", ("vision", "clock", "pass key")))
    if any(wires.call_pin is not None for wires in settings.doors.values()):
        kinds.append(("call button", ("network", "server", "sync")))
    return kinds
