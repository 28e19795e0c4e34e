"""The promises of a real gate, in order: relay, door, exit button, camera, person, power cut, endurance."""

import pytest
from contracts.bench import needs
from contracts.camera import CameraContract
from contracts.door import DoorContract
from contracts.endurance import EnduranceContract
from contracts.hands import HandsContract
from contracts.power import PowerContract
from contracts.relay import LeavingContract, RelayContract
from contracts.sight import SightContract

from gated.config import Wires
from gated.door.door_hardware import DoorWiring
from gated.door.pin_source import claim_row
from hw_tests.bench import close_loop


class TestRelay(RelayContract):
    """The line at the relay's input."""


@needs("lock", "probe", "contact", "leaf", "rex", "button")
class TestDoor(DoorContract):
    """The wires of a door, with pins in place of the leaf and the finger."""

    @pytest.fixture
    def edges(self):
        return []

    @pytest.fixture
    def outside(self, parts, bench, factory):
        """Drives contact and exit button. The leaf is closed at first."""
        loops = {"contact": claim_row(factory, parts.leaf_pin), "rex": bench.button}
        close_loop(loops["contact"], True)
        yield lambda line, active: close_loop(loops[line], active == (line == "rex"))
        loops["contact"].close()

    @pytest.fixture
    def wiring(self, parts, factory, outside, edges):
        wires = Wires(
            lock_pin=parts.lock_pin,
            lock_active_high=not parts.active_low,
            contact_pin=parts.contact_pin,
            rex_pin=parts.rex_pin,
        )
        wiring = DoorWiring(wires, factory, lambda: edges.append(1))
        yield wiring
        wiring.close()

    @pytest.fixture
    def is_released(self, bench):
        return bench.is_on


class TestLeaving(LeavingContract):
    """The exit button."""


@needs("camera")
class TestCamera(CameraContract):
    """The contract of every camera, on the sensor."""

    @pytest.fixture
    def camera(self, bench):
        camera = bench.camera()
        yield camera
        camera.close()


class TestSight(SightContract):
    """Properties of the real sensor and lens."""


class TestHands(HandsContract):
    """Promises that need a person."""


class TestPower(PowerContract):
    """Two halves of a power cut, each in its own run: `--phase before`, `--phase after`."""


class TestEndurance(EnduranceContract):
    """The whole gate. Last, because it can take an hour."""
