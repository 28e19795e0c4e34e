"""The parts that a simulation can break, each alone: the electrical effect of each fault."""

import sys
from pathlib import Path

import pytest

from gated.config import DoorSettings
from tests.fakes.faults import DELAY_S, Verb
from tests.fakes.parts import EPOCH_S, SimulatedDoor, card_reader, wall_clock
from tests.fakes.timeline import Timeline

sys.path[:0] = [str(Path(__file__).parents[1])]
pytest.register_assert_rewrite("contracts.door")

from contracts.door import DoorContract  # noqa: E402


@pytest.fixture
def timeline():
    return Timeline(seed=4)


@pytest.fixture
def door(timeline):
    door = SimulatedDoor(timeline)
    yield door
    door.close()


class TestContract(DoorContract):
    """The wires of a simulated door keep the contract of every door's wires."""

    @pytest.fixture
    def edges(self):
        return []

    @pytest.fixture
    def simulated(self, edges, monkeypatch):
        monkeypatch.setattr("tests.fakes.parts.DoorWiring", counted_wiring(edges))
        return SimulatedDoor(Timeline(seed=4))

    @pytest.fixture
    def wiring(self, simulated):
        yield simulated.wiring
        simulated.close()

    @pytest.fixture
    def is_released(self, simulated):
        return lambda: simulated.is_driven

    @pytest.fixture
    def outside(self, simulated):
        def act(line, active):
            if line == "contact":
                simulated.leaf_is_open = active
            else:
                simulated.button_is_pressed = active
            simulated.wire()

        return act


def counted_wiring(edges):
    """The product's wiring, with its edges counted."""
    from gated.door.door_hardware import DoorWiring

    return lambda settings, factory, _: DoorWiring(settings, factory, lambda: edges.append(1))


def test_the_wires_give_the_true_states(door):
    door.leaf_is_open = door.button_is_pressed = True
    door.wire()
    assert door.wiring.lines["contact"]
    assert door.wiring.lines["rex"]


def test_a_cut_wire_reads_as_an_open_leaf_and_a_released_button(door):
    door.button_is_pressed = True
    for part in (door.contact, door.button):
        part.inflict(Verb.OFF)
    door.wire()
    assert door.wiring.lines["contact"]
    assert not door.wiring.lines["rex"]


@pytest.mark.parametrize("active_high", [True, False])
def test_the_coil_follows_the_polarity_of_the_relay_board(timeline, active_high):
    settings = DoorSettings(pins="mock", lock_active_high=active_high, contact_pin=22, rex_pin=23, debounce_s=0)
    door = SimulatedDoor(timeline, settings)
    for on in (True, False):
        door.wiring.release(on)
        assert door.is_driven == door.coil.read() == on
    door.close()
    assert not door.is_driven


def test_a_failed_coil_does_not_change_the_gates_output(door):
    door.wiring.release(True)
    door.coil.inflict(Verb.WRONG)
    assert door.is_driven
    assert not door.coil.read()


def test_a_dead_clock_gives_1970_and_a_wrong_one_is_years_ahead(timeline):
    clock = wall_clock(timeline)
    assert clock.read() == EPOCH_S + 1000.0
    clock.inflict(Verb.OFF)
    assert clock.read() == 0.0
    clock.inflict(Verb.WRONG)
    assert clock.read() > EPOCH_S + 300_000_000


def test_a_clock_can_go_backwards(timeline):
    clock = wall_clock(timeline)
    clock.inflict(Verb.INTERMITTENT)
    readings = []
    for _ in range(50):
        timeline.advance(1.0)
        readings.append(clock.read())
    assert readings != sorted(readings)


def test_a_faulty_reader_gives_cards_that_are_not_there(timeline):
    card = ["4711"]
    reader = card_reader(timeline, lambda: card[0])
    assert reader.read() == "4711"
    reader.inflict(Verb.WRONG)
    assert reader.read() == "1174"
    reader.inflict(Verb.GARBAGE)
    assert len({reader.read() for _ in range(20)}) > 10
    reader.inflict(Verb.DELAYED)
    card[0] = None
    timeline.advance(DELAY_S / 2)
    assert reader.read() == "4711"
    timeline.advance(DELAY_S)
    assert reader.read() is None
