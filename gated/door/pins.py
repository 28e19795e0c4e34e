"""Where the electricity comes from: the Raspberry Pi's pins, or mock pins that write down what they do."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPin

from gated.config import DoorSettings
from gated.errors import LatchError, StateError


def pin_factory(settings: DoorSettings) -> Any:
    """The gpiozero factory that the settings name. Raises `LatchError` when this machine has no such pins."""
    if settings.pins == "mock":
        return traced_factory({settings.lock_pin: ("lock", settings.lock_active_high)}, settings.trace)
    try:
        return steady_factory()
    except (ImportError, OSError, GPIOZeroError) as error:
        raise LatchError(
            f'this machine has no GPIO that can be used ({error}); on a desk set [door] pins = "mock", '
            "on a Raspberry Pi install python3-lgpio and join the group gpio"
        ) from error


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
