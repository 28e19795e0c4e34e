"""An unsuitable machine is reported with a remedy before any change to it."""

import sys
from datetime import UTC, datetime

import pytest

from gated.config import load_own, parse
from gated.door.mock_pins import HeldLines
from gated.door.pin_source import claim_output, pin_factory
from gated.provision import machine_check

BASE = {"site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock", "rex_pin": 23, "lock_pin": 17}}


NO_CAMERA = {"camera": {"kind": "replay", "path": "nowhere"}}
"""For tests that look only at pins: another test's stand-in may replace the Pi's camera."""


@pytest.mark.parametrize(("name", "bits"), [("armv7l", 32), ("aarch64", 32), ("x86_64", 32), ("riscv64", 64)])
def test_a_32_bit_system_is_refused_with_the_image_to_write(name, bits):
    finding = machine_check.processor(name, bits)
    assert finding.light == "red"
    assert "Raspberry Pi OS Lite (64-bit)" in finding.next_step


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_a_64_bit_system_is_well(name):
    assert machine_check.processor(name, 64).light == "green"


def test_a_full_disk_is_refused_before_anything_is_written(full_disk):
    finding = machine_check.free_space(full_disk / "var/lib/gated")
    assert finding.light == "red"
    assert "free some space" in finding.next_step


def test_a_clock_of_before_this_was_written_is_refused():
    finding = machine_check.clock(datetime(1970, 1, 1, tzinfo=UTC), is_kept=False)
    assert (finding.light, "1970-01-01" in finding.result) == ("red", True)
    assert "timedatectl" in finding.next_step


def test_a_clock_without_a_source_is_reported_and_no_obstacle():
    assert machine_check.clock(datetime(2030, 1, 1, tzinfo=UTC), is_kept=False).light == "amber"
    assert machine_check.clock(datetime(2030, 1, 1, tzinfo=UTC), is_kept=True).light == "green"


def test_a_missing_camera_is_named_with_what_to_look_at(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    settings = parse({**BASE, "state_dir": str(tmp_path), "camera": {"kind": "picamera2"}}, tmp_path)
    camera, pins = machine_check.parts(settings)
    assert camera.light == "red"
    assert "picamera2" in camera.result
    assert "ribbon" in camera.next_step
    assert pins.light == "green"


@pytest.fixture
def others(tmp_path):
    """Yield another program that holds lines of this gate."""
    held = HeldLines(tmp_path / "latch.lines")
    yield held
    held.close()


def test_an_occupied_pin_is_named_and_how_to_find_who_has_it(tmp_path, picture, others):
    others.claim(17)
    settings = parse({**BASE, "state_dir": str(tmp_path), "camera": {"kind": "replay", "path": str(picture)}}, tmp_path)
    camera, pins = machine_check.parts(settings)
    assert camera.light == "green"
    assert pins.light == "red"
    assert "pin 17 cannot be claimed" in pins.result
    assert "gpioinfo" in pins.next_step


def test_an_occupied_pin_that_the_gate_can_do_without_is_amber_and_named(tmp_path, picture, others):
    others.claim(5)
    camera = {"kind": "replay", "path": str(picture)}
    settings = parse({**BASE, "state_dir": str(tmp_path), "camera": camera, "cues": {"ready_pin": 5}}, tmp_path)
    _, pins = machine_check.parts(settings)
    assert pins.light == "amber"
    assert "without lamps" in pins.result
    assert "pin 5 cannot be claimed" in pins.result


def test_every_pin_that_was_tried_is_given_back_to_the_latch_that_starts_next(gate, picture, wait_for):
    """Tries the pins in a process that goes on, as provisioning does, and then starts the latch."""
    gate.write(
        camera={"kind": "replay", "path": str(picture)},
        door={"fire_pin": 24, "wiegand_pins": [12, 13]},
        cues={"ready_pin": 5},
        readers={"keypad_rows": [19, 20, 21, 7], "keypad_columns": [9, 10, 2]},
    )
    assert [finding.light for finding in machine_check.parts(load_own(gate.config))] == ["green", "green"]
    latch = gate.start("latch")
    wait_for(lambda: (gate.state / "latch.sock").exists() or latch.poll() is not None)
    assert latch.poll() is None, gate.log("latch")
    assert "cannot be claimed" not in gate.log("latch")


def test_trying_the_pins_leaves_no_trace_and_no_lock_with_power(tmp_path, picture):
    trace = tmp_path / "trace.jsonl"
    door = {**BASE["door"], "trace": str(trace)}
    settings = parse(
        {**BASE, "state_dir": str(tmp_path), "door": door, "camera": {"kind": "replay", "path": str(picture)}}, tmp_path
    )
    assert [finding.light for finding in machine_check.parts(settings)] == ["green", "green"]
    assert not trace.exists()


def test_a_desk_has_no_finding_about_the_power_supply(root, tmp_path):
    found = {finding.part for finding in machine_check.findings_before(tmp_path, root)}
    assert found == {"processor", "memory", "disk", "clock"}


def test_on_a_pi_power_and_heat_are_checked(root, tmp_path):
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    found = {finding.part for finding in machine_check.findings_before(tmp_path, root)}
    assert {"power", "temperature"} < found


@pytest.mark.parametrize(("key", "light"), [("lock_pin", "red"), ("rex_pin", "red"), ("contact_pin", "amber")])
def test_a_busy_line_of_the_lock_or_the_exit_button_is_red_and_any_other_amber(tmp_path, monkeypatch, key, light):
    monkeypatch.setattr(machine_check, "busy_lines", lambda settings: {f"door.{key}": "pin 5 is in use by spi0 CS0"})
    door = {"pins": "gpio", "rex_pin": 23, "contact_pin": 22}
    settings = parse({**BASE, **NO_CAMERA, "door": door}, tmp_path)
    (pins,) = [each for each in machine_check.parts_seen(settings) if each.part == "pins"]
    assert (pins.light, pins.result) == (light, f"door.{key}: pin 5 is in use by spi0 CS0")


def test_mock_lines_that_another_latch_holds_are_found_and_nothing_is_left_behind(tmp_path):
    settings = parse({**BASE, **NO_CAMERA, "state_dir": str(tmp_path / "state"),
                      "door": {"pins": "mock", "rex_pin": 23, "trace": str(tmp_path / "trace")}}, tmp_path)  # fmt: skip
    (free,) = [each for each in machine_check.parts_seen(settings) if each.part == "pins"]
    assert free.light == "green"
    assert list(tmp_path.iterdir()) == []
    factory = pin_factory(settings)
    claim_output(factory, settings.door.lock_pin)
    (busy,) = [each for each in machine_check.parts_seen(settings) if each.part == "pins"]
    factory.close()
    assert busy.light == "red"
