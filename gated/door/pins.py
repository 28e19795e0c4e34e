"""Where the electricity comes from: the Raspberry Pi's pins, or mock pins that write down what they do."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpiozero import DigitalInputDevice, DigitalOutputDevice, GPIODevice
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPin

from gated.config import CueSettings, Settings
from gated.errors import LatchError, StateError

OUTPUTS = ("ready", "open", "refused", "fault", "red", "green", "blue", "buzzer", "vibration")


def pin_factory(settings: Settings) -> Any:
    """The gpiozero factory that the settings name. Raises `LatchError` when this machine has no such pins."""
    if settings.door.pins == "mock":
        return traced_factory(traced_lines(settings), settings.door.trace)
    try:
        return steady_factory()
    except (ImportError, OSError, GPIOZeroError) as error:
        raise LatchError(
            f'this machine has no GPIO that can be used ({error}); on a desk set [door] pins = "mock", '
            "on a Raspberry Pi install python3-lgpio and join the group gpio"
        ) from error


def claim_input(factory: Any, pin: int, *, pull_up: bool = True) -> Any:
    """An input that is active while its loop is closed: to ground, or with `pull_up` false to high."""
    with _claiming(pin):
        return DigitalInputDevice(pin, pull_up=pull_up, pin_factory=factory)


def claim_output(factory: Any, pin: int, *, active_high: bool = True, is_on: bool = False) -> Any:
    """An output that is so from the first instant."""
    with _claiming(pin):
        return DigitalOutputDevice(pin, active_high=active_high, initial_value=is_on, pin_factory=factory)


def claim_row(factory: Any, pin: int) -> Any:
    """A pin that floats, and is pulled low now and then."""
    with _claiming(pin):
        return GPIODevice(pin, pin_factory=factory)


def is_mock(device: Any) -> bool:
    """Whether what was claimed is none of copper."""
    return isinstance(device.pin, MockPin)


@contextmanager
def _claiming(pin: int) -> Iterator[None]:
    try:
        yield
    except GPIOZeroError as error:
        raise LatchError(
            f"pin {pin} cannot be claimed ({error}); check the settings' pins, and what else uses them"
        ) from error


def output_pins(cues: CueSettings) -> dict[str, int]:
    """The lamps, buzzer and pad that are fitted, and their BCM numbers."""
    return {line: pin for line in OUTPUTS if (pin := getattr(cues, f"{line}_pin")) is not None}


def traced_lines(settings: Settings) -> dict[int, tuple[str, bool]]:
    """The outputs that a trace tells of: "lock", "second.lock" and the cues'; each with whether it is active high."""
    lines = {settings.door.lock_pin: ("lock", settings.door.lock_active_high)}
    if settings.second_door is not None:
        lines[settings.second_door.lock_pin] = ("second.lock", settings.second_door.lock_active_high)
    return lines | {pin: (line, True) for line, pin in output_pins(settings.cues).items()}


def steady_factory() -> Any:
    """The Pi's pins through lgpio, with outputs that start at the level asked for.

    gpiozero's own lgpio pin claims an output at level 0 and then writes the level: an active-low relay is driven
    for an instant at every start (gpiozero pull request 1177, open in 2.0.1.post3).
    """
    # On import lgpio makes a FIFO in this folder and moves there; where we were started may not be writable.
    os.environ.setdefault("LG_WD", os.environ.get("RUNTIME_DIRECTORY", tempfile.gettempdir()).split(":")[0])
    import lgpio
    from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin

    class SteadyPin(LGPIOPin):  # type: ignore[misc]
        def output_with_state(self, state: bool) -> None:
            lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))

    class SteadyFactory(LGPIOFactory):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pin_class = SteadyPin

    return SteadyFactory()


def traced_factory(lines: dict[int, tuple[str, bool]], trace: str = "") -> MockFactory:
    """Mock pins; each change of an output among `lines` (number to name and active-high) is appended to the trace.

    A line of the trace is `{"t": monotonic seconds, "line": name, "on": energised}`. Raises `StateError` when the trace
    cannot be written.
    """
    write = _tracer(Path(trace)) if trace else lambda line, on: None

    class TracedPin(MockPin):  # type: ignore[misc]
        """Level and direction change together, and an input leaves the coil to the external resistor: off."""

        def output_with_state(self, state: bool) -> None:
            self._function = "output"
            self._state = bool(state)
            self._note()

        def _set_function(self, value: str) -> None:
            was_output = self._function == "output"
            super()._set_function(value)
            if was_output and value == "input":
                self._note()

        def _change_state(self, value: bool) -> bool:
            changed = bool(super()._change_state(value))
            if changed and self._function == "output":
                self._note()
            return changed

        def _note(self) -> None:
            if self._number in lines:
                line, active_high = lines[self._number]
                write(line, self._function == "output" and self._state == active_high)

    return MockFactory(pin_class=TracedPin)


def _tracer(path: Path) -> Callable[[str, bool], None]:
    """Append to the trace; each line is one write, so that a killed process leaves only whole ones."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(f"{path}: the trace of the mock pins cannot be written ({error.strerror})") from error

    def write(line: str, on: bool) -> None:
        os.write(fd, json.dumps({"t": time.monotonic(), "line": line, "on": on}).encode() + b"\n")

    return write
