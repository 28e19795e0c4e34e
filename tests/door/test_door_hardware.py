"""The wiring on mock pins: the contract in both polarities, and tests that need a mock."""

import sys
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from gated.config import Wires
from gated.door.door_hardware import DoorWiring
from gated.door.mock_pins import traced_factory
from gated.errors import LatchError

sys.path.append(str(Path(__file__).parents[1]))
from contracts.door import DoorContract

LOCK, CONTACT, REX = 17, 22, 23


@pytest.fixture(params=[(True, False), (True, True), (False, False), (False, True)], ids=str)
def polarity(request):
    """Active-high and active-low relay boards, contacts to ground and driven ones."""
    return request.param


@pytest.fixture
def kind():
    return {"lock": "strike", "fail": "secure"}


@pytest.fixture
def settings(polarity, kind):
    active_high, closed_is_high = polarity
    return Wires(
        lock_active_high=active_high, contact_pin=CONTACT, rex_pin=REX, contact_closed_is_high=closed_is_high, **kind
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
    wiring = DoorWiring(settings, factory, lambda: edges.append(1))
    yield wiring
    wiring.close()


@pytest.fixture
def is_released(settings, factory):
    """Whether the lock lets people pass: a strike with power on its coil, the other locks without."""

    def is_released():
        pin = factory.pin(LOCK)
        return (pin.function == "output" and pin.state == settings.lock_active_high) == (settings.lock == "strike")

    return is_released


@pytest.fixture
def outside(wiring):
    return wiring.drive


class TestStrike(DoorContract):
    """The contract that a real door keeps, too."""


class TestMagnet(DoorContract):
    fails_safe = True

    @pytest.fixture
    def kind(self):
        return {"lock": "maglock", "fail": "safe"}


class TestReverseStrike(DoorContract):
    fails_safe = True

    @pytest.fixture
    def kind(self):
        return {"lock": "reverse_strike", "fail": "safe"}


@pytest.mark.parametrize("kind", [{"lock": "strike"}, {"lock": "maglock", "fail": "safe"}], ids=str)
def test_a_start_during_a_fire_release_never_secures_the_lock(settings, factory, is_released):
    seen = []
    pin = factory.pin(LOCK)
    turn = pin.output_with_state
    pin.output_with_state = lambda state: (turn(state), seen.append(is_released()))
    wiring = DoorWiring(settings, factory, lambda: None, is_released=True)
    assert seen == [True]
    assert is_released()
    wiring.close()


def test_a_cut_wire_reads_as_an_open_leaf_and_a_button_that_is_not_pressed(settings, wiring, factory):
    for line in (CONTACT, REX):
        let_go(factory.pin(line))
    assert wiring.lines == {"contact": True, "rex": False}


def let_go(pin):
    """Cut the wire, so that only the pull resistor sets the level."""
    (pin.drive_high if pin.pull == "up" else pin.drive_low)()


PINS = {"contact": 22, "rex": 23, "fire": 24, "tamper": 5, "call": 6, "feedback": 27, "fire_reset": 25}


def every_line(is_normally_closed):
    pins = {f"{line}_pin": pin for line, pin in PINS.items()}
    return Wires(
        **pins, **{f"{line}_normally_closed": is_normally_closed for line in ("rex", "fire", "tamper", "call")}
    )


@pytest.mark.parametrize("is_normally_closed", [True, False])
class TestEveryLine:
    """Each input, wired to open its loop when active, or to close it."""

    @pytest.fixture
    def factory(self):
        return MockFactory()

    @pytest.fixture
    def wiring(self, factory, is_normally_closed):
        wiring = DoorWiring(every_line(is_normally_closed), factory, lambda: None)
        yield wiring
        wiring.close()

    def test_a_simulated_gate_starts_with_every_input_inactive(self, wiring):
        assert wiring.lines == dict.fromkeys(PINS, False)

    @pytest.mark.parametrize("line", PINS)
    def test_a_driven_line_is_active_and_no_other_line_is(self, wiring, line):
        wiring.drive(line, True)
        assert wiring.lines == {each: each == line for each in PINS}
        wiring.drive(line, False)
        assert not any(wiring.lines.values())

    def test_a_cut_wire_is_noticed_where_the_loop_is_normally_closed(self, wiring, factory, is_normally_closed):
        for pin in PINS.values():
            let_go(factory.pin(pin))
        looped = {"rex", "fire", "tamper", "call"} if is_normally_closed else set()
        assert {line for line, is_active in wiring.lines.items() if is_active} == looped | {"contact"}

    def test_closed_to_ground_is_low(self, wiring, factory, is_normally_closed):
        """The levels that an installer measures at a gate with every input inactive."""
        low = {"contact"} | ({"rex", "fire", "tamper", "call"} if is_normally_closed else set())
        assert {line for line, pin in PINS.items() if not factory.pin(pin).state} == low


@pytest.mark.parametrize(("lock", "fail"), [("strike", "secure"), ("maglock", "safe")])
def test_the_feedback_of_a_mock_relay_follows_its_coil_until_it_is_driven(lock, fail):
    wiring = DoorWiring(Wires(lock=lock, fail=fail, feedback_pin=27), MockFactory(), lambda: None)
    for on in (False, True, False):
        wiring.release(on)
        assert wiring.lines["feedback"] == (on == (lock == "strike"))
    wiring.drive("feedback", lock == "strike")
    assert wiring.lines["feedback"] == (lock == "strike")
    wiring.close()


def test_a_line_that_is_not_fitted_has_no_value():
    wiring = DoorWiring(Wires(), MockFactory(), lambda: None)
    assert wiring.lines == {}
    with pytest.raises(LatchError):
        wiring.drive("contact", True)
    wiring.close()


def test_a_pin_that_is_in_use_is_a_clear_error():
    factory = MockFactory()
    first = DoorWiring(Wires(), factory, lambda: None)
    with pytest.raises(LatchError, match="pin 17 cannot be claimed"):
        DoorWiring(Wires(), factory, lambda: None)
    first.close()
