"""The lock relay and the inputs of one door. It converts pin levels to door states: released, open, pressed."""

from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct, structs

from gated.config import Wires
from gated.door.door_state import INPUTS, LineName, opens_with_power
from gated.door.pin_source import claim_input, claim_output, is_mock
from gated.errors import LatchError


class InputLoop(Struct, frozen=True):
    """One input: an electrical loop that is closed or open."""

    device: Any
    opens: bool
    """Whether the loop opens when the input becomes active. A cut wire then reads as active."""

    @property
    def is_active(self) -> bool:
        """Whether the input is active: the leaf open, the button pressed."""
        return bool(self.device.is_active) != self.opens

    def drive(self, active: bool) -> None:
        """Make the input active or inactive. Only for mock pins."""
        is_high = self.device.pull_up != (active != self.opens)
        (self.device.pin.drive_high if is_high else self.device.pin.drive_low)()


class DoorWiring:
    """The claimed lock and inputs of one door."""

    def __init__(self, wires: Wires, factory: Any, on_change: Callable[[], None], *, is_released: bool = False) -> None:
        """Claim the pins. The lock starts secured, or released if `is_released`, from the first instant.

        gpiozero calls `on_change` from its own thread after any edge; the caller then reads the inputs.
        Raises `LatchError` when a pin cannot be claimed.
        """
        self._factory, self._on_change = factory, on_change
        self._opens_with_power = opens_with_power(wires)
        self._loops: dict[LineName, InputLoop] = {}
        self._lock = claim_output(
            factory,
            wires.lock_pin,
            active_high=wires.lock_active_high,
            is_on=is_released == self._opens_with_power,
        )
        try:
            for line in fitted_inputs(wires):
                self.fit(wires, line)
        except LatchError:
            self.close()
            raise

    def fit(self, wires: Wires, line: LineName) -> None:
        """Claim one more input. Raises `LatchError` when its pin cannot be claimed; the input then stays missing."""
        self._loops[line] = loop = _loop(wires, line, self._factory)
        if is_mock(loop.device):
            loop.drive(False)  # a simulated gate starts with every input inactive
        self._close_feedback()
        loop.device.when_activated = loop.device.when_deactivated = self._on_change

    def unfit(self, line: LineName) -> None:
        """Give one input back."""
        loop = self._loops.pop(line, None)
        if loop is not None:
            loop.device.close()

    @property
    def is_released(self) -> bool:
        """Whether the last coil command releases the lock. Raises `LatchError` when its pin fails."""
        return bool(self._lock.value) == self._opens_with_power

    def release(self, on: bool) -> None:
        """Release or secure the lock: set the coil to the level that this kind of lock needs."""
        self._lock.value = on == self._opens_with_power
        self._close_feedback()

    @property
    def lines(self) -> dict[LineName, bool]:
        """Whether each fitted input is active. Raises `LatchError` when a pin fails."""
        return {line: self.read(line) for line in self._loops}

    def read(self, line: LineName) -> bool:
        """Return whether one input is active. Raises `LatchError` when its pin fails."""
        return self._loops[line].is_active

    def drive(self, line: str, active: bool) -> None:
        """Make an input active or inactive: "contact" opens the leaf, "rex" presses the button. Only for mock pins.

        The relay feedback follows the coil. A driven feedback keeps its level until the coil changes.
        Raises `LatchError` for real pins and for a line that is not fitted.
        """
        loop = self._loops.get(cast(LineName, line))
        if loop is None or not is_mock(loop.device):
            raise LatchError(f"{line}: no such mock line")
        loop.drive(active)

    def close(self) -> None:
        """Give the pins back. The coil then has no power: a strike secures; a reverse strike and a maglock release."""
        self._lock.close()
        for loop in self._loops.values():
            loop.device.close()

    def _close_feedback(self) -> None:
        """Set the feedback contact of a mock relay to the level of its coil."""
        feedback = self._loops.get("feedback")
        if feedback is not None and is_mock(feedback.device):
            feedback.drive(bool(self._lock.value))


def fitted_inputs(wires: Wires) -> list[LineName]:
    """Return the inputs that this door has."""
    return [line for line in INPUTS if getattr(wires, f"{line}_pin") is not None]


VITAL_INPUTS: tuple[LineName, ...] = ("rex", "fire")
"""The inputs that a door must have before its lock is driven: people must be able to leave."""


def optional_inputs(wires: Wires) -> list[LineName]:
    """Return the fitted optional inputs: they may be missing for a while. The lock needs none of them."""
    return [line for line in fitted_inputs(wires) if line not in VITAL_INPUTS]


def vital_only(wires: Wires) -> Wires:
    """Return the wires of the lock, the exit button and the fire input alone."""
    return structs.replace(wires, **{f"{line}_pin": None for line in INPUTS if line not in VITAL_INPUTS})


def _loop(wires: Wires, line: str, factory: Any) -> InputLoop:
    """Claim an input. Every loop goes to ground, except a contact that is wired to high."""
    # An opening leaf opens the contact's loop. Relay feedback and reset key close theirs. Settings decide the others.
    opens = line == "contact" or getattr(wires, f"{line}_normally_closed", False)
    is_high = line == "contact" and wires.contact_closed_is_high
    pin = getattr(wires, f"{line}_pin")
    return InputLoop(claim_input(factory, pin, pull_up=not is_high), opens)
