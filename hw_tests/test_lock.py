"""The relay's line on real copper: off at first, and never driven before it is asked to."""

import os

import pytest

from gated.config import DoorSettings, GateSettings, Settings, SiteSettings
from gated.door.hardware import Wiring
from gated.door.pins import pin_factory


@pytest.fixture
def gate(pin):
    """The wiring, and a reader of the point that the relay sees."""
    from gpiozero import DigitalInputDevice

    active_high = os.environ.get("GATED_HW_ACTIVE_LOW") != "1"
    settings = DoorSettings(lock_pin=pin("GATED_HW_LOCK"), lock_active_high=active_high)
    factory = pin_factory(Settings(SiteSettings("bench"), GateSettings("front"), door=settings))
    seen = []
    line = DigitalInputDevice(pin("GATED_HW_COIL"), pull_up=None, active_state=active_high, pin_factory=factory)
    line.when_activated = lambda: seen.append("on")
    wiring = Wiring(settings, factory, lambda: None)
    yield wiring, line, seen
    wiring.close()
    line.close()


def test_the_relay_is_not_driven_by_starting(gate):
    _, line, seen = gate
    assert not line.is_active
    assert seen == []


def test_the_relay_follows_and_closing_leaves_it_off(gate):
    wiring, line, _ = gate
    for on in (True, False, True):
        wiring.release(on)
        assert line.is_active == on
    wiring.close()
    assert not line.is_active
