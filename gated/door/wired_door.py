"""One door with its wires. It passes debounced inputs to the state machine, and the machine's output to the lock."""

import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable
from typing import Any

from msgspec import structs
from msgspec.structs import replace

from gated.config import Wires
from gated.door.door_hardware import VITAL_INPUTS, DoorWiring, fitted_inputs, vital_only
from gated.door.door_machine import advance, wakes_at
from gated.door.door_state import NOT_YET, Door, DoorInput, EndLeases, LineInput, LineName, Tick
from gated.door.inputs import CONTACT_S, InputState, fault, update_input
from gated.errors import LatchError
from gated.events import Event, LineImplausible, LinePlausible

SHARED: tuple[LineName, ...] = ("fire", "fire_reset")
"""The inputs that act on every door."""


class WiredDoor:
    """One door: its state, its wires, and the timer of its next step."""

    def __init__(
        self, door: Door, factory: Any, on_edge: Callable[[], None], report: Callable[[Event], None], is_fire: bool
    ) -> None:
        """Claim the lock, the exit button and the fire input. `fit` adds the optional inputs.

        `door` has all its wires. `is_fire` starts it with an active fire release.
        Raises `LatchError` when one of these pins cannot be claimed.
        """
        self._wires = door.wires
        self.door, self._report = replace(door, wires=vital_only(door.wires)), report
        self._loop = get_running_loop()
        self._timer: TimerHandle | None = None
        self.readings = {line: InputState(_debounce_s(self._wires, line)) for line in fitted_inputs(self.door.wires)}
        self.wiring = DoorWiring(self.door.wires, factory, on_edge, is_released=is_fire)
        if is_fire:
            self.step(LineInput("fire", True))

    def fit(self, line: LineName) -> None:
        """Claim one optional input. Raises `LatchError` when its pin cannot be claimed.

        The machine gets this wire only now. Earlier, it would raise alarms about a contact or feedback that is missing.
        """
        self.wiring.fit(self._wires, line)
        self.readings[line] = InputState(_debounce_s(self._wires, line))
        wires = structs.replace(self.door.wires, **{f"{line}_pin": getattr(self._wires, f"{line}_pin")})
        # The leaf's past without a contact is unknown. So, as at a start, an open leaf is not reported as forced.
        secured_at = time.monotonic() if line == "contact" else self.door.secured_at
        self.door = replace(self.door, wires=wires, secured_at=secured_at)
        self.step(Tick())

    def unfit(self, line: LineName) -> None:
        """Run without one optional input from now on."""
        self.readings.pop(line, None)
        wires = structs.replace(self.door.wires, **{f"{line}_pin": None})
        door = replace(self.door, wires=wires, active=self.door.active - {line})
        match line:
            case "contact":
                door = replace(door, open_since=NOT_YET, held_open_stage=0)
            case "feedback":
                door = replace(door, mismatch_since=NOT_YET, is_mismatched=False)
        self.door = door
        self.wiring.unfit(line)

    @property
    def due_at(self) -> float:
        """When the inputs must be read again, in monotonic seconds. Infinite: at the next edge."""
        return min((reading.due_at for reading in self.readings.values()), default=NOT_YET)

    def read(self, now: float) -> dict[LineName, LatchError]:
        """Read every input, and pass each change to the machine. The panel handles the `SHARED` inputs.

        Returns the optional inputs that failed. Raises `LatchError` when the lock or a vital input fails. If the lock
        could not be driven earlier, this drives it now.
        """
        failed: dict[LineName, LatchError] = {}
        if self.wiring.is_released != self.door.is_released:
            self.wiring.release(self.door.is_released)
        for line, was in list(self.readings.items()):
            try:
                raw = self.wiring.read(line)
            except LatchError as error:
                if line in VITAL_INPUTS:
                    raise
                failed[line] = error
                continue
            self.readings[line] = reading = update_input(was, raw, now)
            if line not in SHARED:
                self.set_input(line, reading.is_active)
            if reading.is_implausible != was.is_implausible:
                begun = LineImplausible(line, fault(reading, now), self.door.name)
                self._report(begun if reading.is_implausible else LinePlausible(line, self.door.name))
        return failed

    def is_active(self, line: str) -> bool:
        """Return the debounced value of one of the door's inputs. An input that is not fitted is inactive."""
        return line in self.readings and self.readings[line].is_active

    def set_input(self, line: LineName, is_active: bool) -> None:
        """Pass the value of an input to the machine, if it has changed."""
        if (line in self.door.active) != is_active:
            self.step(LineInput(line, is_active))

    def step(self, given: DoorInput) -> None:
        """Do one step of the machine: set the timer, then the lock, then report the events.

        Raises `LatchError` when the lock cannot be driven. The timer still runs, and the next `update_input` drives the
        lock again.
        """
        before = self.door
        self.door, events = advance(self.door, given, time.monotonic())
        wake_at = wakes_at(self.door)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at, self.step, Tick()) if wake_at < NOT_YET else None
        if self.door.is_released != before.is_released:
            self.wiring.release(self.door.is_released)
        for event in events:
            self._report(event)

    def close(self) -> None:
        """Secure the lock unless a fire release is active, and give the pins back."""
        try:
            self.step(EndLeases("stop", exits=True))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self.wiring.close()


def _debounce_s(wires: Wires, line: str) -> float:
    return min(wires.debounce_s, CONTACT_S) if line == "contact" else wires.debounce_s
