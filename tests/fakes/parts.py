"""The parts of a gate that a simulation can break: door, button, card reader, clock, and the camera's frames.

The door's wires are the product's own `DoorWiring` on mock pins. Simulated are the leaf, the button and the coil.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np

from gated.config import DoorSettings
from gated.door.door_hardware import DoorWiring
from gated.door.mock_pins import traced_factory
from gated.errors import CameraError
from gated.frame import Camera, Frame
from tests.fakes.faults import Faulty, Verb
from tests.fakes.timeline import Timeline

DOOR = DoorSettings(pins="mock", contact_pin=22, rex_pin=23, debounce_s=0)
EPOCH_S = 1_800_000_000.0
"""Wall time at second 0 of a simulation: 2027-01-15."""


class SimulatedDoor:
    """A leaf, a coil and an exit button on mock pins. Each can fail."""

    def __init__(self, timeline: Timeline, settings: DoorSettings = DOOR) -> None:
        self.leaf_is_open = self.button_is_pressed = False
        """The true states. The wires may differ."""
        factory = traced_factory({})
        self.wiring = DoorWiring(settings, factory, lambda: None)
        self._pin, self._active_high = factory.pin(settings.lock_pin), settings.lock_active_high
        # A cut wire reads as an open leaf, and as a button that is not pressed.
        self.contact = _line(timeline, lambda: self.leaf_is_open, when_off=True)
        self.button = _line(timeline, lambda: self.button_is_pressed, when_off=False)
        self.coil = _line(timeline, lambda: self.is_driven, when_off=False)

    @property
    def is_driven(self) -> bool:
        """Whether the gate drives the coil to release the lock."""
        return self._pin.function == "output" and bool(self._pin.state) == self._active_high

    def wire(self) -> None:
        """Set the gate's input pins from contact and button."""
        self.wiring.drive("contact", self.contact.read())
        self.wiring.drive("rex", self.button.read())

    def close(self) -> None:
        """Switch the coil off and release the pins."""
        self.wiring.close()


def _line(timeline: Timeline, read: Callable[[], bool], *, when_off: bool) -> Faulty[bool]:
    """Return one faulty wire, on or off."""
    return Faulty(
        timeline, read, off=lambda: when_off, garbage=lambda dice: dice.random() < 0.5, wrong=lambda is_on: not is_on
    )


def card_reader(timeline: Timeline, read: Callable[[], str | None]) -> Faulty[str | None]:
    """Return a reader of the card before it, or None. No card opens this gate."""

    def garbage(dice: Random) -> str:
        return "".join(chr(dice.randrange(256)) for _ in range(dice.randrange(40)))

    return Faulty(timeline, read, off=lambda: None, garbage=garbage, wrong=lambda card: card[::-1] if card else "0")


def wall_clock(timeline: Timeline) -> Faulty[float]:
    """Return a clock of seconds since 1970. A dead one gives 0, as a Pi without network or battery does."""
    return Faulty(
        timeline,
        lambda: EPOCH_S + timeline.now,
        off=lambda: 0.0,
        garbage=lambda dice: dice.uniform(-2e9, 2e11),
        wrong=lambda at: at + 10 * 365 * 86_400,
    )


class FaultyCamera:
    """A camera that fails. Frames of a delayed or slow camera keep their times.

    A stuck one gives its old picture a new time, which is the worst case.
    """

    def __init__(self, camera: Camera, timeline: Timeline) -> None:
        self._camera, self._timeline = camera, timeline
        self._frame: Frame | None = None
        self.frames = Faulty(timeline, self._newest, off=self._dead, garbage=self._noise, wrong=upside_down)

    @property
    def name(self) -> str:
        """Name of this camera in log lines."""
        return f"faulty {self._camera.name}"

    @property
    def exhausted(self) -> bool:
        """Whether the wrapped camera is exhausted."""
        return self._camera.exhausted

    def open(self) -> None:
        """Open the wrapped camera."""
        self._camera.open()

    def frame(self, timeout_s: float) -> Frame:
        """Return the newest frame with the fault applied. Raises `CameraError` when this camera is off or fails."""
        self._frame = self._camera.frame(timeout_s)
        shown = self.frames.read()
        is_newest = self.frames.fault in (Verb.STUCK, Verb.GARBAGE, Verb.WRONG)
        return replace(shown, at=self._frame.at, number=self._frame.number) if is_newest else shown

    def close(self) -> None:
        """Close the wrapped camera."""
        self._camera.close()

    def _newest(self) -> Frame:
        if self._frame is None:
            self._frame = self._camera.frame(1.0)
        return self._frame

    def _dead(self) -> Frame:
        raise CameraError(f"{self.name}: no frame; the simulated camera is off")

    def _noise(self, dice: Random) -> Frame:
        frame, noise = self._newest(), np.random.default_rng(dice.getrandbits(32))
        return replace(
            frame,
            main=noise.integers(0, 256, frame.main.shape, np.uint8),
            lores=noise.integers(0, 256, frame.lores.shape, np.uint8),
        )


def upside_down(frame: Frame) -> Frame:
    """Return the frame rotated by 180 degrees, as from a camera that hangs from its cable: main and lores pictures."""
    height, width = frame.lores.shape[0] * 2 // 3, frame.lores.shape[1]
    planes = [frame.lores[:height], *frame.lores[height:].reshape(2, height // 2, width // 2)]
    turned = [plane[::-1, ::-1].ravel() for plane in planes]
    lores = np.concatenate(turned).reshape(-1, width)
    return replace(frame, main=np.ascontiguousarray(frame.main[::-1, ::-1]), lores=lores)
