"""The wires of one door: its lock relay and its inputs, in the door's words: released, open, pressed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gated.config import Wires
from gated.door.pins import claim_input, claim_output, is_mock
from gated.door.state import INPUTS, LineName, opens_with_power
from gated.errors import LatchError


@dataclass(frozen=True, slots=True)
class Loop:
    """One input: a loop that is closed or open."""

    device: Any
    opens: bool
    """Whether it opens when the input becomes active; then a cut wire reads as active."""

    @property
    def is_active(self) -> bool:
        """Whether what it watches is so: the leaf open, the button pressed."""
        return bool(self.device.is_active) != self.opens

    def drive(self, active: bool) -> None:
        """Mock pins only: be the outside world."""
        is_high = self.device.pull_up != (active != self.opens)
        (self.device.pin.drive_high if is_high else self.device.pin.drive_low)()


class Wiring:
    """One door's lock and inputs."""

    def __init__(self, wires: Wires, factory: Any, on_change: Callable[[], None], *, is_released: bool = False) -> None:
        """Claim the pins, with the lock secured from the first instant, or released where a fire release stands.

        `on_change` is called from a thread of gpiozero's after any edge; read the inputs then.
        Raises `LatchError` when a pin cannot be had.
        """
        self._opens_with_power = opens_with_power(wires)
        self._lock = claim_output(
            factory,
            wires.lock_pin,
            active_high=wires.lock_active_high,
            is_on=is_released == self._opens_with_power,
        )
        self._fitted = fitted(wires)
        self._loops: dict[str, Loop] = {line: _loop(wires, line, factory) for line in self._fitted}
        for loop in self._loops.values():
            if is_mock(loop.device):
                loop.drive(False)  # a simulated gate starts shut and quiet
        self._close_feedback()
        for loop in self._loops.values():
            loop.device.when_activated = loop.device.when_deactivated = on_change

    def release(self, on: bool) -> None:
        """Let people pass, or do not: the coil gets what this kind of lock needs for it."""
        self._lock.value = on == self._opens_with_power
        self._close_feedback()

    @property
    def lines(self) -> dict[LineName, bool]:
        """What each input says that is fitted."""
        return {line: self._loops[line].is_active for line in self._fitted}

    def drive(self, line: str, active: bool) -> None:
        """Mock pins only: open the leaf ("contact"), press the button ("rex"), and so on; `LatchError` on others.

        The relay's feedback follows the coil by itself; driven, it says that until the coil changes.
        """
        loop = self._loops.get(line)
        if loop is None or not is_mock(loop.device):
            raise LatchError(f"{line}: no such mock line")
        loop.drive(active)

    def close(self) -> None:
        """Give the pins back. The coil is without power: a strike secures, a reverse strike and a magnet release."""
        self._lock.close()
        for loop in self._loops.values():
            loop.device.close()

    def _close_feedback(self) -> None:
        """A mock relay's spare contact goes with its coil."""
        feedback = self._loops.get("feedback")
        if feedback is not None and is_mock(feedback.device):
            feedback.drive(bool(self._lock.value))


def fitted(wires: Wires) -> list[LineName]:
    """The inputs that this door has."""
    return [line for line in INPUTS if getattr(wires, f"{line}_pin") is not None]


def _loop(wires: Wires, line: str, factory: Any) -> Loop:
    """Claim an input. A loop goes to ground, but for a contact that is wired to high."""
    # A leaf that opens opens its loop; the others are as they are wired, and the relay and the key close theirs.
    opens = line == "contact" or getattr(wires, f"{line}_normally_closed", False)
    is_high = line == "contact" and wires.contact_closed_is_high
    pin = getattr(wires, f"{line}_pin")
    return Loop(claim_input(factory, pin, pull_up=not is_high), opens)
