"""The wires of one door: lock relay, door contact, exit button."""

from collections.abc import Callable
from typing import Any

from gpiozero import DigitalInputDevice, DigitalOutputDevice
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockPin

from gated.config import DoorSettings
from gated.errors import LatchError


class Wiring:
    """The lock and the inputs, in the door's words and not the wires': energised, open, pressed."""

    def __init__(self, settings: DoorSettings, factory: Any, on_change: Callable[[], None]) -> None:
        """Claim the pins, with the lock off from the first instant.

        `on_change` is called from a thread of gpiozero's after any edge; read the inputs then.
        Raises `LatchError` when a pin cannot be had.
        """
        try:
            self._lock = DigitalOutputDevice(
                settings.lock_pin, active_high=settings.lock_active_high, initial_value=False, pin_factory=factory
            )
            # Active is a closed loop, so that a cut wire reads as an open leaf, and as a button that is not pressed.
            closed_is_high = {"contact": settings.contact_closed_is_high, "rex": False}
            pins = {"contact": settings.contact_pin, "rex": settings.rex_pin}
            self._loops = {
                line: DigitalInputDevice(
                    pin, pull_up=not closed_is_high[line], bounce_time=settings.debounce_s or None, pin_factory=factory
                )
                for line, pin in pins.items()
                if pin is not None
            }
        except GPIOZeroError as error:
            factory.close()
            raise LatchError(f"a pin cannot be claimed ({error}); check [door] and what else uses the pins") from error
        if "contact" in self._loops and isinstance(self._loops["contact"].pin, MockPin):
            self.drive("contact", False)  # a simulated gate starts shut
        for loop in self._loops.values():
            loop.when_activated = loop.when_deactivated = on_change

    def lock(self, on: bool) -> None:
        """Energise the lock, or do not."""
        self._lock.value = on

    @property
    def is_open(self) -> bool:
        """Whether the leaf is open; never, where no contact is fitted."""
        return "contact" in self._loops and not self._loops["contact"].is_active

    @property
    def is_pressed(self) -> bool:
        """Whether the exit button is pressed; never, where none is fitted."""
        return "rex" in self._loops and bool(self._loops["rex"].is_active)

    def drive(self, line: str, active: bool) -> None:
        """Mock pins only: open the leaf ("contact") or press the button ("rex"). Raises `LatchError` on others."""
        loop = self._loops.get(line)
        if loop is None or not isinstance(loop.pin, MockPin):
            raise LatchError(f"{line}: no such mock line")
        is_closed = active if line == "rex" else not active
        (loop.pin.drive_low if loop.pull_up == is_closed else loop.pin.drive_high)()

    def close(self) -> None:
        """Lock off, and the pins given back."""
        self._lock.close()
        for loop in self._loops.values():
            loop.close()
