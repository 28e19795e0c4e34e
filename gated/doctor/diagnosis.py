"""Judges the wiring and what the latch and the journal report. Pure.

On a desk (mock pins) nobody stands before the gate, so red becomes amber there.
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


def bad(settings: Settings, part: str, says: str, next_step: str) -> Finding:
    """Return a finding that is red at a gate and amber on a desk."""
    return (amber if is_desk(settings) else red)(part, says, next_step)


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
    says = f"the last {len(times_s)} took {middle_s:.2f} s from their frame, 95 % at most {slow_s:.2f} s"
    figures = {"decisions": len(times_s), "median_s": middle_s, "p95_s": slow_s}
    if slow_s <= PROMISE_S:
        yield green("decisions", says, **figures)
    else:
        step = "see what else runs here; stop the gate and `gated doctor --measure`"
        yield amber("decisions", f"{says}; {PROMISE_S:g} s are promised", step, **figures)


def of_readers(facts: Iterable[tuple[datetime, Event | None]], now: datetime) -> Iterator[Finding]:
    """Yield what readers sent during the last day that could not be understood.

    `facts`: with their times, newest first.
    """
    told: dict[str, list[str]] = {}
    for at, fact in facts:
        if isinstance(fact, ReaderMisread) and now - at < timedelta(days=1):
            said = told.setdefault(fact.reader, [])
            if fact.what not in said and len(said) < MISREAD_AT_MOST:
                said.append(fact.what)
    for reader, said in told.items():
        step = "`gated readers show` while a card is held there; then mend the wires, or `gated readers learn`"
        yield amber(f"reader {reader}", f"was not understood lately: {'; '.join(said)}", step)


def of_latch(settings: Settings, seen: LatchState | None, why: str) -> Iterator[Finding]:
    """Yield whether a latch owns the pins and a brain commands it. `why`: the error that replaces `seen`."""
    if seen is None:
        yield bad(settings, "latch", f"{why}; the state of every line is unknown", _START_LATCH)
        yield bad(settings, "brain", "it can release nothing without a latch", "start the latch, then `gated run`")
        return
    yield green("latch", f"serves {settings.latch_socket}")
    if seen.has_brain:
        yield green("brain", "commands the doors")
    else:
        yield bad(settings, "brain", "none commands the doors; leaving and fire work", "start the gate: `gated run`")


_START_LATCH = "start the latch's service (on a desk `gated run` starts one); if it runs, ask as the gate's user"


def of_doors(settings: Settings, seen: LatchState | None) -> Iterator[Finding]:
    """Yield the alarms that are active now."""
    if seen is None:
        return
    if seen.is_on_fire:
        yield red("fire", "a fire release stands: every door is released", "when it is safe, turn the reset key")
    for name in settings.doors:
        if seen.lines.get(f"{name}.tamper"):
            yield red(f"{name}.tamper", "is tampered with, or its loop is cut", "look at the case, then at the wire")
        if seen.doors.get(name) == "open":
            yield amber(f"{name}.contact", "the leaf stands open", "shut it; if it is shut, look at its contact")


def of_wiring(settings: Settings) -> Iterator[Finding]:
    """Yield what is unsafe in the wiring, or could be better."""
    unsafe = unsafe_wiring(settings.door, settings.second_door)
    for problem in unsafe:
        name, _, says = problem.partition(": ")
        yield bad(settings, name, says.partition(";")[0], says.partition("; ")[2])
    doors = settings.doors
    if any(w.fire_pin is not None for w in doors.values()) and all(w.fire_reset_pin is None for w in doors.values()):
        yield amber("fire", "a fire release has no key that ends it", "wire a key switch and set fire_reset_pin")
    for name, wires in doors.items():
        yield from _of_door(name, wires)
    if is_desk(settings):
        yield amber("pins", "are mock pins: no real lock moves", 'at a gate set [door] pins = "gpio"')
    elif not unsafe:
        yield green("wiring", "every door has its exit button, or a waiver")


def _of_door(name: str, wires: Wires) -> Iterator[Finding]:
    if wires.rex_pin is None and wires.rex_waiver.strip():
        yield amber(f"{name}.rex", "no exit button, by a written waiver", "see that it still holds: rex_waiver")
    if wires.contact_pin is None:
        says = "no door contact: a leaf that is forced or held open is not noticed"
        yield amber(f"{name}.contact", says, "wire a contact and set contact_pin")
    if opens_with_power(wires) and wires.lock_active_high != (wires.lock_pin >= FIRST_PULLED_LOW):
        level = "low" if wires.lock_pin >= FIRST_PULLED_LOW else "high"
        says = (
            f"at power-on the Pi pulls pin {wires.lock_pin} {level}, which is this relay's on, until the latch starts"
        )
        yield amber(f"{name}.lock", says, "use an active-high relay on a pin from 9 on, with a pull-down resistor")


def of_help(settings: Settings) -> Iterator[Finding]:
    """Yield whether people know whom to call when the gate cannot help them."""
    if settings.cues.phone:
        yield green("telephone", "is shown and said where the gate cannot help")
    else:
        step = "set [cues] phone, then `gated prompts make`"
        yield amber("telephone", "people are not told whom to call when the gate cannot help", step)
    if any(wires.call_pin is not None for wires in settings.doors.values()) and not settings.sync.url:
        says = "nobody hears it: this gate has no office"
        yield amber("call button", says, "`gated pair` joins an office, where `gated office watch` rings")


def nobody_in(seen: LatchState | None, is_locked_down: bool) -> str:
    """Return why nobody can be let in now; empty if people can be."""
    if seen is None:
        return "no latch serves"
    if not seen.has_brain:
        return "no brain commands the doors"
    return "there is a lockdown" if is_locked_down else ""


def ways_in(settings: Settings, broken: Collection[str], nobody: str) -> Iterator[Finding]:
    """Yield each kind of credential that this gate accepts, and whether it works now.

    `broken`: those of "vision", "models", "clock", "readers" (all USB readers), "pass key", "network", "server" and
    "sync" that do not work. `nobody`: the result of `nobody_in`.
    """
    blocked = {
        way: ", ".join(f"{part} is not well" for part in needs if part in broken) for way, needs in _ways(settings)
    }
    if nobody or all(blocked.values()):
        why = nobody or "; ".join(f"{way}: {why}" for way, why in blocked.items())
        says = f"nobody can be let in by {', '.join(blocked)}: {why}"
        yield bad(settings, "ways in", says, "do what is said of that above")
        return
    for way, why in blocked.items():
        says, step = f"does not work: {why}", "do what is said of that above"
        yield amber(f"way in: {way}", says, step) if why else green(f"way in: {way}", "works")
    if len(blocked) == 1:
        yield amber("ways in", "a face alone", "fit a card reader or a keypad: no single way in suits everybody")


def _ways(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """Return the kinds of credential that this gate accepts, each with the parts it needs besides latch and brain."""
    readers = settings.readers
    ways: list[tuple[str, tuple[str, ...]]] = [("face", ("models", "vision"))]
    usb = ("readers",)
    has_wired = any(wires.wiegand_pins is not None for wires in settings.doors.values())
    if has_wired or readers.devices:
        ways.append(("card", () if has_wired else usb))
    if readers.keypad_rows or readers.devices:
        ways.append(("PIN", () if readers.keypad_rows else usb))
    if readers.pass_key:
        ways.append(("visitor pass", ("vision", "clock", "pass key")))
    if any(wires.call_pin is not None for wires in settings.doors.values()):
        ways.append(("call button", ("network", "server", "sync")))
    return ways
