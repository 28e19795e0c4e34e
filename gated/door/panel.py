"""All pins of the gate, on one event loop: the doors, the readers and the outputs.

The state machines decide; the panel passes inputs to them and carries out their output. A fire at one door releases
every door. The lock, the exit button and the fire input of a door are vital. Every other part may be missing for a
while.
"""

import contextlib
import logging
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from gated.config import ReaderSettings, Settings, Wires
from gated.door.door_hardware import optional_inputs
from gated.door.door_state import NOT_YET, Door, DoorInput, ReleaseRequest
from gated.door.fire import FireFlag
from gated.door.optional_parts import OptionalParts
from gated.door.outputs import Outputs
from gated.door.pin_source import output_pins, pin_factory
from gated.door.wired_door import SHARED, WiredDoor
from gated.door.wired_readers import MatrixKeypad, WiegandReader
from gated.errors import LatchError
from gated.events import MAIN, Event, ReleaseRefused

log = logging.getLogger(__name__)


class LatchPanel:
    """The doors, readers and outputs of one gate. It is made and used on one event loop."""

    def __init__(
        self,
        settings: Settings,
        flag: FireFlag,
        report: Callable[[Event], None],
        on_card: Callable[[str, str], None],
        on_key: Callable[[str, str], None],
        *,
        makes_files: bool = True,
    ) -> None:
        """Claim every pin, with each lock secured, or released while `flag` is set.

        Later it calls `report(event)`, `on_card(bits, door)` and `on_key(key, door)`. A part whose pins cannot be
        claimed is `missing` and tried again. `makes_files` as at `pin_factory`.
        Raises `LatchError` if no door has a working lock, exit button and fire input.
        """
        self._loop, self._flag, self._report = get_running_loop(), flag, report
        self._on_card, self._on_key = on_card, on_key
        self._timer: TimerHandle | None = None
        self._is_edge_known = False
        self.doors: dict[str, WiredDoor] = {}
        self.outputs = Outputs(lambda line, error: self._handle_failure(f"cues.{line}", error))
        self._parts = OptionalParts()
        self._wiegand: dict[str, WiegandReader] = {}
        self._keypad: MatrixKeypad | None = None
        self._factory = pin_factory(settings, makes_files=makes_files)
        try:
            self._claim_doors(settings)
            self._claim_rest(settings)
        except BaseException:
            self._factory.close()
            raise
        self.read()

    @property
    def missing(self) -> dict[str, str]:
        """The missing optional parts, each with the reason. "main" and "second" mean a whole door of two."""
        return self._parts.missing

    @property
    def lines(self) -> dict[str, bool]:
        """Whether each input is active, by names like "main.contact"."""
        doors = self.doors.items()
        return {f"{name}.{line}": each.readings[line].is_active for name, each in doors for line in each.readings}

    @property
    def is_on_fire(self) -> bool:
        """Whether a fire release is active."""
        return any(each.door.is_on_fire for each in self.doors.values())

    def read(self) -> None:
        """Read every input now, and set the timer of the next reading. A part that fails is missing from now on.

        One door of two may become missing. Raises `LatchError` when no door has its lock, exit button and fire input.
        """
        self._is_edge_known = False
        now = time.monotonic()
        self._parts.try_again(now)
        for name in list(self.doors):
            self._read_door(name, now)
        for line in SHARED:
            is_active = any(each.is_active(line) for each in self.doors.values())
            for each in self.doors.values():
                each.set_input(line, is_active)
        self._update_fire()
        if self._timer is not None:
            self._timer.cancel()
        due_at = min(each.due_at for each in self.doors.values())
        self._timer = self._loop.call_at(due_at, self.read) if due_at < NOT_YET else None

    def release(self, name: str, given: ReleaseRequest) -> None:
        """Ask one door for a release. The outcome is reported as an event."""
        if name in self.doors:
            self.doors[name].step(given)
        else:
            why = self.missing.get(name, "there is no such door")
            self._report(ReleaseRefused(given.visit, why, name))

    def step_all(self, given: DoorInput) -> None:
        """Do one step of every door's machine.

        If a lock cannot be driven, the next `read` drives it again or raises.
        """
        for name, each in self.doors.items():
            try:
                each.step(given)
            except LatchError as error:
                log.error("the lock of door %s: %s", name, error)

    def drive(self, name: str, line: str, active: bool) -> None:
        """Drive an input of mock pins, or send a card ("wiegand:BITS") or a key ("key:KEY") once.

        Raises `LatchError` on real pins, and for a line that is not fitted.
        """
        kind, _, data = line.partition(":")
        if kind == "wiegand" and name in self._wiegand:
            self._wiegand[name].play(data)
        elif kind == "key" and self._keypad is not None:
            self._keypad.play(data)
        elif name in self.doors:
            self.doors[name].wiring.drive(line, active)
        else:
            raise LatchError(f"{name}.{line}: no such mock line")

    def close(self) -> None:
        """Secure every lock unless a fire release is active, and give every pin back.

        In both cases the coils have no power afterwards. After a fire release a maglock and a reverse strike stay
        released. A fail-secure strike secures: no process can power a coil after the end of that process.
        """
        if self._timer is not None:
            self._timer.cancel()
        with ExitStack() as last:  # one close that fails stops no other; the factory releases every line
            last.callback(self._factory.close)
            if self._keypad is not None:
                last.callback(self._keypad.close)
            last.callback(self.outputs.close)
            for reader in self._wiegand.values():
                last.callback(reader.close)
            for door in self.doors.values():
                last.callback(door.close)

    def _read_door(self, name: str, now: float) -> None:
        try:
            failed = self.doors[name].read(now)
        except LatchError as error:
            if len(self.doors) == 1:
                raise
            self._handle_failure(name, error)
            return
        for line, why in failed.items():
            self._handle_failure(f"{name}.{line}", why)

    def _handle_failure(self, line: str, error: LatchError) -> None:
        """Handle the failure of an optional part, or of one door of two."""
        self._parts.handle_failure(line, error, time.monotonic())

    def _claim_doors(self, settings: Settings) -> None:
        """Claim each door's lock, exit button and fire input. One door of two may be missing; an only door may not."""
        if settings.second_door is None:
            self._fit_door(MAIN, settings.door)
            return
        now = time.monotonic()
        for name, wires in settings.doors.items():
            self._parts.claim(name, partial(self._fit_door, name, wires), now, partial(self._unfit_door, name))
        if not self.doors:
            raise LatchError(*self.missing.values())

    def _fit_door(self, name: str, wires: Wires) -> None:
        """Claim the vital pins of a door, then its optional parts."""
        begun = Door(name, wires, secured_at=time.monotonic())
        door = WiredDoor(begun, self._factory, self._edge, self._report, self._flag.is_set)
        self.doors[name] = door
        now = time.monotonic()
        for line in optional_inputs(wires):
            self._parts.claim(f"{name}.{line}", partial(door.fit, line), now, partial(door.unfit, line))
        if wires.wiegand_pins is not None:
            self._parts.claim(f"{name}.wiegand", partial(self._fit_reader, name, wires.wiegand_pins), now)

    def _claim_rest(self, settings: Settings) -> None:
        """Claim the optional parts of the whole gate: the outputs and the keypad."""
        now = time.monotonic()
        for line, pin in output_pins(settings.cues).items():
            fit = partial(self.outputs.fit, line, pin, self._factory)
            self._parts.claim(f"cues.{line}", fit, now, partial(self.outputs.unfit, line))
        if settings.readers.keypad_rows:
            self._parts.claim("keypad", partial(self._fit_keypad, settings.readers), now, self._unfit_keypad)

    def _fit_reader(self, name: str, pins: tuple[int, int]) -> None:
        self._wiegand[name] = WiegandReader(pins, self._factory, lambda bits: self._on_card(bits, name))

    def _fit_keypad(self, readers: ReaderSettings) -> None:
        rows, columns = readers.keypad_rows, readers.keypad_columns
        on_failure = partial(self._handle_failure, "keypad")
        self._keypad = MatrixKeypad(rows, columns, self._factory, lambda key: self._on_key(key, MAIN), on_failure)

    def _unfit_door(self, name: str) -> None:
        """Give a door and its parts back. The lock is secured if its pin still works."""
        self._parts.forget(f"{name}.")
        door, reader = self.doors.pop(name), self._wiegand.pop(name, None)
        with ExitStack() as last:
            if reader is not None:
                last.callback(reader.close)
            last.callback(door.close)

    def _unfit_keypad(self) -> None:
        keypad, self._keypad = self._keypad, None
        if keypad is not None:
            keypad.close()

    def _update_fire(self) -> None:
        """Update the outputs and the flag file of a fire release. The locks come first."""
        self.outputs.fire(self.is_on_fire)
        self._flag.set(self.is_on_fire)

    def _edge(self) -> None:
        """Handle an edge, on gpiozero's thread: read the inputs on the event loop. Many edges cause one reading."""
        if not self._is_edge_known:
            self._is_edge_known = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end of the process
                self._loop.call_soon_threadsafe(self.read)
