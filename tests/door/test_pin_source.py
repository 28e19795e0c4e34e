"""Mock pins: their trace, and the rule that a line has one holder."""

import json
import subprocess
import sys

import pytest

from gated.config import CueSettings, DoorSettings, GateSettings, Settings, SiteSettings, Wires
from gated.door.door_hardware import DoorWiring
from gated.door.mock_pins import traced_factory
from gated.door.outputs import Outputs
from gated.door.pin_source import claim_input, claim_output, output_pins, pin_factory
from gated.errors import LatchError, StateError


def with_door(tmp_path, **door):
    return Settings(SiteSettings("courtyard-2"), GateSettings("front"), str(tmp_path), door=DoorSettings(**door))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("active_high", [True, False])
def test_the_trace_shows_energised_for_both_polarities(tmp_path, active_high):
    settings = with_door(tmp_path, pins="mock", trace=str(tmp_path / "trace"), lock_active_high=active_high)
    wiring = DoorWiring(settings.door, pin_factory(settings), lambda: None)
    wiring.release(True)
    wiring.release(False)
    wiring.release(True)
    wiring.close()
    traced = lines(tmp_path / "trace")
    assert [line["on"] for line in traced] == [False, True, False, True, False]
    assert {line["line"] for line in traced} == {"lock"}
    assert [line["t"] for line in traced] == sorted(line["t"] for line in traced)


def test_the_trace_shows_the_coil_of_a_maglock_powered_while_secured(tmp_path):
    settings = with_door(tmp_path, pins="mock", trace=str(tmp_path / "trace"), lock="maglock", fail="safe")
    wiring = DoorWiring(settings.door, pin_factory(settings), lambda: None)
    wiring.release(True)
    wiring.release(False)
    wiring.close()
    assert [line["on"] for line in lines(tmp_path / "trace")] == [True, False, True, False]


async def test_every_output_has_its_own_name_in_the_trace(tmp_path):
    settings = Settings(
        SiteSettings("courtyard-2"),
        GateSettings("front"),
        str(tmp_path),
        door=DoorSettings(pins="mock", trace=str(tmp_path / "trace")),
        second_door=Wires(lock_pin=11),
        cues=CueSettings(fault_pin=26, buzzer_pin=18),
    )
    factory = pin_factory(settings)
    for wires in (settings.door, settings.second_door):
        DoorWiring(wires, factory, lambda: None).close()
    outputs = Outputs()
    for line, pin in output_pins(settings.cues).items():
        outputs.fit(line, pin, factory)
    outputs.play("buzzer", (1.0,))
    outputs.close()
    traced = {(line["line"], line["on"]) for line in lines(tmp_path / "trace")}
    assert traced >= {("lock", False), ("second.lock", False), ("fault", True), ("buzzer", True), ("buzzer", False)}


def test_a_trace_is_appended_to(tmp_path):
    (tmp_path / "trace").write_text('{"t": 1.0, "line": "lock", "on": true}\n')
    settings = with_door(tmp_path, pins="mock", trace=str(tmp_path / "trace"))
    DoorWiring(settings.door, pin_factory(settings), lambda: None).close()
    assert [line["on"] for line in lines(tmp_path / "trace")] == [True, False, False]


def test_an_unwritable_trace_raises(tmp_path):
    with pytest.raises(StateError, match="trace"):
        traced_factory({17: ("lock", True)}, str(tmp_path))


def test_without_gpio_the_error_names_the_next_step(tmp_path):
    with pytest.raises(LatchError, match='pins = "mock"'):
        pin_factory(with_door(tmp_path, pins="gpio"))


class TestHolders:
    """A line has one holder, in any process, until the holder's factory is closed or its process ends."""

    def test_an_open_factory_holds_the_lines_of_closed_devices(self, tmp_path):
        settings = with_door(tmp_path, pins="mock")
        first, second = pin_factory(settings), pin_factory(settings)
        claim_output(first, 17).close()
        with pytest.raises(LatchError, match=r"pin 17 cannot be claimed \(GPIO busy.*gpioinfo"):
            claim_output(second, 17)
        claim_input(second, 22).close()
        first.close()
        claim_output(second, 17).close()
        second.close()

    def test_a_refused_pin_can_be_claimed_once_it_is_free(self, tmp_path):
        settings = with_door(tmp_path, pins="mock")
        first, second = pin_factory(settings), pin_factory(settings)
        claim_output(first, 17)
        for _ in range(3):
            with pytest.raises(LatchError, match="GPIO busy"):
                claim_output(second, 17)
        first.close()
        assert claim_output(second, 17, is_on=True).value == 1
        second.close()

    def test_another_process_holds_its_lines_until_it_is_killed(self, tmp_path):
        code = f"""
import sys, time
from gated.config import DoorSettings, GateSettings, Settings, SiteSettings
from gated.door.pin_source import claim_output, pin_factory
door = DoorSettings(pins="mock")
settings = Settings(SiteSettings("courtyard-2"), GateSettings("front"), {str(tmp_path)!r}, door=door)
held = claim_output(pin_factory(settings), 17)
print("held", flush=True)
time.sleep(600)
"""
        holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        factory = pin_factory(with_door(tmp_path, pins="mock"))
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(LatchError, match="pin 17 cannot be claimed"):
                claim_output(factory, 17)
        finally:
            holder.kill()
            holder.wait()
        claim_output(factory, 17).close()
        factory.close()

    def test_two_gates_on_one_desk_have_separate_lines(self, tmp_path):
        gates = [pin_factory(with_door(tmp_path / name, pins="mock")) for name in ("front", "back")]
        for factory in gates:
            claim_output(factory, 17)
        for factory in gates:
            factory.close()

    def test_without_makes_files_nothing_is_written_and_a_held_line_is_busy(self, tmp_path):
        settings = with_door(tmp_path / "state", pins="mock", trace=str(tmp_path / "trace"))
        trial = pin_factory(settings, makes_files=False)
        claim_output(trial, 17).close()
        trial.close()
        assert list(tmp_path.iterdir()) == []
        holder = pin_factory(settings)
        claim_output(holder, 17)
        trial = pin_factory(settings, makes_files=False)
        with pytest.raises(LatchError, match="GPIO busy"):
            claim_output(trial, 17)
        trial.close()
        holder.close()

    def test_without_a_lock_file_the_lines_are_claimed_and_the_error_is_logged(self, tmp_path, caplog):
        (tmp_path / "state").write_text("a file")
        claim_output(pin_factory(with_door(tmp_path / "state", pins="mock")), 17).close()
        assert "latch.lines: the mock lines cannot be locked" in caplog.text
