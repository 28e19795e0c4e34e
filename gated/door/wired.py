"""One door on its wires: what its inputs are believed to say goes to the machine, and what that says to the lock."""

import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable
from typing import Any

from gated.config import Wires
from gated.door.hardware import Wiring, fitted
from gated.door.inputs import CONTACT_S, Reading, oddity, read
from gated.door.machine import step, wakes_at
from gated.door.state import NOT_YET, Door, Drop, Input, Line, LineName, Tick
from gated.events import Event, LineImplausible, LinePlausible

SHARED: tuple[LineName, ...] = ("fire", "fire_reset")
"""Inputs that speak for every door."""


class WiredDoor:
    """One door: its machine, its wires, and the time at which it must be looked at again."""

    def __init__(
        self, door: Door, factory: Any, on_edge: Callable[[], None], report: Callable[[Event], None], is_fire: bool
    ) -> None:
        """Claim the pins. Raises `LatchError` when one cannot be had."""
        self.door, self._report = door, report
        self._loop = get_running_loop()
        self._timer: TimerHandle | None = None
        self.readings = {line: Reading(_settle_s(door.wires, line)) for line in fitted(door.wires)}
        self.wiring = Wiring(door.wires, factory, on_edge, is_released=is_fire)
        if is_fire:
            self.give(Line("fire", True))

    @property
    def due_at(self) -> float:
        """When its inputs must be read again, in monotonic seconds; infinite: at the next edge."""
        return min((reading.due_at for reading in self.readings.values()), default=NOT_YET)

    def read(self, now: float) -> None:
        """Look at every input, and take what is believed to the machine; what speaks for every door is the panel's."""
        for line, raw in self.wiring.lines.items():
            was = self.readings[line]
            self.readings[line] = reading = read(was, raw, now)
            if line not in SHARED:
                self.say(line, reading.is_active)
            if reading.is_odd != was.is_odd:
                odd = LineImplausible(line, oddity(reading, now), self.door.name)
                self._report(odd if reading.is_odd else LinePlausible(line, self.door.name))

    def is_active(self, line: str) -> bool:
        """What is believed of one of its own inputs; one that is not fitted is not active."""
        return line in self.readings and self.readings[line].is_active

    def say(self, line: LineName, is_active: bool) -> None:
        """What is believed of an input, to the machine, if that is news to it."""
        if (line in self.door.active) != is_active:
            self.give(Line(line, is_active))

    def give(self, given: Input) -> None:
        """One step of the machine: first the lock, then the clock, then the news."""
        before = self.door
        self.door, events = step(self.door, given, time.monotonic())
        if self.door.is_released != before.is_released:
            self.wiring.release(self.door.is_released)
        wake_at = wakes_at(self.door)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at, self.give, Tick()) if wake_at < NOT_YET else None
        for event in events:
            self._report(event)

    def close(self) -> None:
        """Secure, unless there is a fire, and give the pins back."""
        self.give(Drop("stop", exits=True))
        if self._timer is not None:
            self._timer.cancel()
        self.wiring.close()


def _settle_s(wires: Wires, line: str) -> float:
    return min(wires.debounce_s, CONTACT_S) if line == "contact" else wires.debounce_s
