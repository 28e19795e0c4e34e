"""The source of all pins: the Raspberry Pi's GPIO pins, or mock pins that record their changes in a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gpiozero import DigitalInputDevice, DigitalOutputDevice, GPIODevice
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockPin

from gated.config import CueSettings, Settings
from gated.door.gpio_errors import chip_trouble, line_trouble
from gated.door.mock_pins import HeldLines, traced_factory
from gated.door.output_table import OUTPUTS


def pin_factory(settings: Settings, *, makes_files: bool = True) -> Any:
    """Return the gpiozero factory that the settings name. The factory holds its lines until it is closed.

    Without `makes_files` mock pins write no trace, and lock their lines only if the lock file exists already.
    Raises `LatchError` if this machine has no such pins, `StateError` if the trace of mock pins cannot be written.
    """
    if settings.door.pins == "mock":
        held = HeldLines(settings.latch_socket.with_suffix(".lines"), makes_file=makes_files)
        return traced_factory(traced_lines(settings), settings.door.trace if makes_files else "", held)
    with _reaching_chip():
        from gated.door.gpio_chip import SteadyFactory

        return SteadyFactory()


def chip_number() -> int:
    """Return the number of the header's GPIO chip. Raises `LatchError` when no chip can be used."""
    with _reaching_chip():
        from gated.door.gpio_chip import find_chip

        return find_chip()


@contextmanager
def _reaching_chip() -> Iterator[None]:
    try:
        yield
    except (ImportError, OSError, GPIOZeroError) as error:
        raise chip_trouble(str(error)) from error


def claim_input(factory: Any, pin: int, *, pull_up: bool = True) -> Any:
    """Claim an input. It is active while its loop is closed: to ground, or to high if `pull_up` is false.

    Raises `LatchError` when the pin cannot be claimed.
    """
    with _claiming(pin):
        return DigitalInputDevice(pin, pull_up=pull_up, pin_factory=factory)


def claim_output(factory: Any, pin: int, *, active_high: bool = True, is_on: bool = False) -> Any:
    """Claim an output that has the level of `is_on` from the first instant.

    Raises `LatchError` when the pin cannot be claimed.
    """
    with _claiming(pin):
        return DigitalOutputDevice(pin, active_high=active_high, initial_value=is_on, pin_factory=factory)


def claim_row(factory: Any, pin: int) -> Any:
    """Claim the pin of a keypad row: it floats, and the scan pulls it low in turn.

    Raises `LatchError` when the pin cannot be claimed.
    """
    with _claiming(pin):
        return GPIODevice(pin, pin_factory=factory)


def is_mock(device: Any) -> bool:
    """Return whether a claimed device has a mock pin."""
    return isinstance(device.pin, MockPin)


@contextmanager
def _claiming(pin: int) -> Iterator[None]:
    try:
        yield
    except GPIOZeroError as error:
        raise line_trouble(pin, str(error)) from error


def output_pins(cues: CueSettings) -> dict[str, int]:
    """Return the BCM pin number of each fitted lamp, buzzer and pad."""
    return {line: pin for line in OUTPUTS if (pin := getattr(cues, f"{line}_pin")) is not None}


def traced_lines(settings: Settings) -> dict[int, tuple[str, bool]]:
    """Return the traced outputs by pin number: the name ("lock", "second.lock", cue names) and whether active high."""
    lines = {settings.door.lock_pin: ("lock", settings.door.lock_active_high)}
    if settings.second_door is not None:
        lines[settings.second_door.lock_pin] = ("second.lock", settings.second_door.lock_active_high)
    return lines | {pin: (line, True) for line, pin in output_pins(settings.cues).items()}
