"""The bench of a real Pi: its pins, its camera, and a person at the terminal."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.bench import Edge, Pace, Pulse, Vitals
from contracts.daemon import Daemon
from contracts.sight import FPS

from gated.camera import open_camera
from gated.config import CameraSettings
from gated.door.pin_source import claim_output, claim_row
from gated.door.wired_readers import KEYS_BY_COLUMNS
from gated.frame import Camera
from hw_tests.wiring import Wiring

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
BOOT = Path("/proc/sys/kernel/random/boot_id")
RELEASE_S = 0.5
"""Lease of the exit button on the bench: the shortest allowed."""


class CopperBench:
    """A bench from the wiring and a gpiozero factory of its own.

    lgpio returns no line to a latch before its factory is closed. `note(what, value)` records a measurement.
    """

    def __init__(self, wiring: Wiring, factory: Any, person: "Terminal", note: Callable[[str, str], None]) -> None:
        self._wiring, self._factory, self.note = wiring, factory, note
        self.person, self.folder = person, wiring.folder
        self.pace = replace(Pace(), soak_s=wiring.soak_s)
        self.lamps, self.reader, self.sound = tuple(wiring.lamps), wiring.reader, wiring.sound
        self.keys = KEYS_BY_COLUMNS.get(len(wiring.keypad[1]), "")
        tables = tables_of(wiring)
        self.latch = Daemon(self.folder, tables, "latch")
        self.gate = Daemon(self.folder, tables, "run", "--service")
        self._edges: list[Edge] = []
        self._probe = None if wiring.probe_pin is None else self._listen(wiring.probe_pin, self._edge)
        self.button = None if wiring.button_pin is None else claim_row(factory, wiring.button_pin)

    def is_on(self) -> bool:
        return bool(self._probe.pin.state) != self._wiring.active_low

    def edges(self, since: float) -> Sequence[Edge]:
        return [edge for edge in self._edges if edge.at >= since]

    async def press(self, is_pressed: bool) -> None:
        close_loop(self.button, is_pressed)

    def camera(self) -> Camera:
        return open_camera(CameraSettings(fps=FPS))

    @contextlib.asynccontextmanager
    async def pulses(self) -> AsyncIterator[list[Pulse]]:
        pulses: list[Pulse] = []
        ears = [Ear(line, pulses) for line in (0, 1)]
        lines = [self._listen(pin, ear.edge) for pin, ear in zip(self._wiring.wiegand, ears, strict=True)]
        try:
            yield pulses
        finally:
            for line in lines:
                line.close()
            pulses.sort(key=lambda pulse: pulse.at)

    def vitals(self) -> Vitals:
        output = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, check=True).stdout
        return Vitals(int(THERMAL.read_text()) / 1000, throttled_of(output))

    def boot(self) -> str:
        return BOOT.read_text().strip()

    def has_power(self) -> bool:
        return True

    def close(self) -> None:
        """End every process, leave the relay off in any case, and release every line."""
        with contextlib.ExitStack() as last:  # one failure does not stop the other callbacks
            last.callback(self._factory.close)
            last.callback(self._leave_off)
            for device in (self._probe, self.button):
                if device is not None:
                    last.callback(device.close)
            last.callback(self.latch.close)
            last.callback(self.gate.close)

    def _leave_off(self) -> None:
        if self._wiring.lock_pin is not None:
            claim_output(self._factory, self._wiring.lock_pin, active_high=not self._wiring.active_low).close()

    def _listen(self, number: int, on_edge: Any) -> Any:
        """Claim a floating pin, so that the measured line does not change. Its edges carry the kernel's times."""
        device = claim_row(self._factory, number)
        device.pin.input_with_pull("floating")
        device.pin.bounce, device.pin.edges = None, "both"
        device.pin.when_changed = on_edge  # gpiozero keeps only a weak reference
        return device

    def _edge(self, ticks: float, state: int) -> None:
        self._edges.append(Edge(ticks, bool(state) != self._wiring.active_low))


class Ear:
    """Turns the edges of one line of a card reader into pulses."""

    def __init__(self, line: int, pulses: list[Pulse]) -> None:
        self._line, self._pulses, self._fell_at = line, pulses, None

    def edge(self, ticks: float, state: int) -> None:
        """Handle a change of level. Called on a thread of gpiozero."""
        if not state:
            self._fell_at = ticks
        elif self._fell_at is not None:
            self._pulses.append(Pulse(self._line, self._fell_at, ticks - self._fell_at))
            self._fell_at = None


class Terminal:
    """A person at the terminal that started the tests. Bypasses pytest's capture."""

    def __init__(self, path: str = "/dev/tty") -> None:
        self._path = path

    def show(self, text: str) -> None:
        with Path(self._path).open("w") as screen:
            screen.write(f"\n{text}")

    async def please(self, deed: str) -> None:
        await self._answer(f"Please {deed}. Then press Enter: ")

    async def sees(self, claim: str) -> bool:
        while (answer := (await self._answer(f"Is it so: {claim}? [y/n] ")).lower()) not in ("y", "n"):
            self.show("y or n?")
        return answer == "y"

    async def number(self, question: str) -> int:
        while not (answer := await self._answer(f"{question}: ")).isdecimal():
            self.show("a number, such as 42")
        return int(answer)

    async def _answer(self, question: str) -> str:
        """Ask on a thread, because a blocked brain would lose its latch."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: str) -> str:
        self.show(question)
        with Path(self._path).open() as keyboard:
            line = keyboard.readline()
        if not line:
            raise EOFError("no answer at the terminal; leave GATED_HW_PERSON unset")
        return line.strip()


def close_loop(device: Any, is_closed: bool) -> None:
    """Act as a contact to ground: pull low, or float and leave the level to the input's own pull."""
    if is_closed:
        device.pin.output_with_state(False)
    else:
        device.pin.function = "input"


def tables_of(wiring: Wiring) -> dict[str, Any]:
    """Return the settings of the gate on this bench."""
    door = {"lock_pin": wiring.lock_pin, "lock_active_high": not wiring.active_low, "release_s": RELEASE_S}
    door |= {"rex_pin": wiring.rex_pin, "contact_pin": wiring.contact_pin, "wiegand_pins": wiring.wiegand}
    readers = {"keypad_rows": wiring.keypad[0], "keypad_columns": wiring.keypad[1]}
    return {
        "site": {"id": "bench", "clock": "trusted"},
        "gate": {"id": "front"},
        "models": {"dir": wiring.models, "set": wiring.model_set},
        "camera": {"fps": FPS},
        "door": {name: value for name, value in door.items() if value not in (None, ())},
        "readers": {name: value for name, value in readers.items() if value},
        "cues": {f"{name}_pin": pin for name, pin in wiring.lamps.items()},
    }


def throttled_of(output: str) -> int:
    """Return the bits in the output of `vcgencmd get_throttled`, as "throttled=0x50005"."""
    name, _, bits = output.strip().partition("=")
    if name != "throttled":
        raise ValueError(f"unexpected output of vcgencmd: {output!r}")
    return int(bits, 16)
