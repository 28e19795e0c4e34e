"""The wires, on mock pins: the contract in both polarities, and what only a mock can show."""

import sys
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from gated.config import DoorSettings
from gated.door.hardware import Wiring
from gated.door.pins import traced_factory
from gated.errors import LatchError

sys.path.append(str(Path(__file__).parents[1]))
from contracts.door import DoorContract

LOCK, CONTACT, REX = 17, 22, 23


@pytest.fixture(params=[(True, False), (True, True), (False, False), (False, True)], ids=str)
def settings(request):
    """Active-high and active-low relay boards, contacts to ground and driven ones."""
    active_high, closed_is_high = request.param
    return DoorSettings(
        pins="mock",
        lock_active_high=active_high,
        contact_pin=CONTACT,
        rex_pin=REX,
        contact_closed_is_high=closed_is_high,
    )


@pytest.fixture
def factory(settings):
    factory = traced_factory({LOCK: ("lock", settings.lock_active_high)})
    yield factory
    factory.close()


@pytest.fixture
def edges():
    return []


@pytest.fixture
def wiring(settings, factory, edges):
    wiring = Wiring(settings, factory, lambda: edges.append(1))
    yield wiring
    wiring.close()


@pytest.fixture
def coil(settings, factory):
    def energised():
        pin = factory.pin(LOCK)
        return pin.function == "output" and pin.state == settings.lock_active_high

    return energised


@pytest.fixture
def outside(wiring):
    return wiring.drive


class TestMockDoor(DoorContract):
    """The same promises that a real door keeps."""


def test_a_cut_wire_reads_as_an_open_leaf_and_a_button_that_is_not_pressed(settings, wiring, factory):
    for line in (CONTACT, REX):
        pin = factory.pin(line)
        (pin.drive_high if pin.pull == "up" else pin.drive_low)()  # nothing but the pull is left
    assert wiring.is_open
    assert not wiring.is_pressed


def test_what_is_not_fitted_is_never_active():
    wiring = Wiring(DoorSettings(pins="mock"), MockFactory(), lambda: None)
    assert not wiring.is_open
    assert not wiring.is_pressed
    with pytest.raises(LatchError):
        wiring.drive("contact", True)
    wiring.close()


def test_a_pin_that_is_in_use_is_a_clear_error():
    factory = MockFactory()
    first = Wiring(DoorSettings(pins="mock"), factory, lambda: None)
    with pytest.raises(LatchError, match="cannot be claimed"):
        Wiring(DoorSettings(pins="mock"), factory, lambda: None)
    first.close()
