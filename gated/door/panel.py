"""Every pin of the gate, on one event loop: each door's machine with its wires, the readers, the lamps.

The machine decides; here inputs are brought to it and the lock is brought to what it says. A fire at any door is a fire
at every door.
"""

import contextlib
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable
from typing import Any

from gated.config import Settings, Wires
from gated.door.fire import FireFlag
from gated.door.outputs import Outputs
from gated.door.pins import pin_factory
from gated.door.readers import Keypad, Wiegand
from gated.door.state import NOT_YET, Door, Input, Release
from gated.door.wired import SHARED, WiredDoor
from gated.errors import LatchError
from gated.events import MAIN, SECOND, Event, ReleaseRefused


class Panel:
    """The doors, the readers and the lamps of one gate. Made and used on one event loop."""

    def __init__(
        self,
        settings: Settings,
        flag: FireFlag,
        report: Callable[[Event], None],
        on_card: Callable[[str, str], None],
        on_key: Callable[[str, str], None],
    ) -> None:
        """Claim every pin, each lock secured. `report(event)`, `on_card(bits, door)` and `on_key(key, door)` are called
        as things happen. Raises `LatchError` when a pin cannot be had.
        """
        self._loop, self._flag, self._report = get_running_loop(), flag, report
        self._timer: TimerHandle | None = None
        self._is_edge_known = False
        self.doors: dict[str, WiredDoor] = {}
        self._wiegand: dict[str, Wiegand] = {}
        self._keypad: Keypad | None = None
        factory = pin_factory(settings)
        try:
            for name, wires in ((MAIN, settings.door), (SECOND, settings.second_door)):
                if wires is not None:
                    self._claim(name, wires, factory, on_card)
            self.outputs = Outputs(settings.cues, factory)
            rows, columns = settings.readers.keypad_rows, settings.readers.keypad_columns
            if rows:
                self._keypad = Keypad(rows, columns, factory, lambda key: on_key(key, MAIN))
        except LatchError:
            factory.close()
            raise
        self.read()

    @property
    def lines(self) -> dict[str, bool]:
        """What is believed of every input, as "main.contact"."""
        doors = self.doors.items()
        return {f"{name}.{line}": each.readings[line].is_active for name, each in doors for line in each.readings}

    @property
    def is_on_fire(self) -> bool:
        """Whether a fire release stands."""
        return any(each.door.is_on_fire for each in self.doors.values())

    def read(self) -> None:
        """Read every input now, and again when one must be."""
        self._is_edge_known = False
        now = time.monotonic()
        for each in self.doors.values():
            each.read(now)
        for line in SHARED:
            is_active = any(each.is_active(line) for each in self.doors.values())
            for each in self.doors.values():
                each.say(line, is_active)
        self._heed_fire()
        if self._timer is not None:
            self._timer.cancel()
        due_at = min(each.due_at for each in self.doors.values())
        self._timer = self._loop.call_at(due_at, self.read) if due_at < NOT_YET else None

    def release(self, name: str, given: Release) -> None:
        """Ask one door to release; what came of it is reported."""
        if name in self.doors:
            self.doors[name].give(given)
        else:
            self._report(ReleaseRefused(given.visit, "there is no such door", name))

    def give_all(self, given: Input) -> None:
        """One step of every door's machine."""
        for each in self.doors.values():
            each.give(given)

    def drive(self, name: str, line: str, active: bool) -> None:
        """Mock pins only: play the outside world; beside the inputs "wiegand:BITS" and "key:KEY", which play once.

        Raises `LatchError` on other pins, and for what is not fitted.
        """
        kind, _, what = line.partition(":")
        if kind == "wiegand" and name in self._wiegand:
            self._wiegand[name].play(what)
        elif kind == "key" and self._keypad is not None:
            self._keypad.play(what)
        elif name in self.doors:
            self.doors[name].wiring.drive(line, active)
        else:
            raise LatchError(f"{name}.{line}: no such mock line")

    def close(self) -> None:
        """Secure what no fire holds open, and give every pin back.

        While a fire release stands the locks are left as their hardware is without us: a magnet and a reverse strike
        stay open; a fail-secure strike shuts, because no process can hold what needs its power after its own end.
        """
        if self._timer is not None:
            self._timer.cancel()
        for door in self.doors.values():
            door.close()
        for reader in self._wiegand.values():
            reader.close()
        self.outputs.close()
        if self._keypad is not None:
            self._keypad.close()

    def _claim(self, name: str, wires: Wires, factory: Any, on_card: Callable[[str, str], None]) -> None:
        """One door's lock, inputs and card reader."""
        door = Door(name, wires, secured_at=time.monotonic())
        self.doors[name] = WiredDoor(door, factory, self._edge, self._report, self._flag.is_set)
        if wires.wiegand_pins is not None:
            self._wiegand[name] = Wiegand(wires.wiegand_pins, factory, lambda bits: on_card(bits, name))

    def _heed_fire(self) -> None:
        """What a fire release needs beside the locks; it comes after them."""
        self.outputs.fire(self.is_on_fire)
        self._flag.set(self.is_on_fire)

    def _edge(self) -> None:
        """An edge, on a thread of gpiozero's: read the inputs on ours; a line that chatters asks only once."""
        if not self._is_edge_known:
            self._is_edge_known = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end of the process
                self._loop.call_soon_threadsafe(self.read)
