"""A machine that no gate can be made of is told so before anything is done to it, with the way out."""

import sys
from datetime import UTC, datetime

import pytest
from gpiozero import DigitalOutputDevice
from gpiozero.pins.mock import MockFactory

from gated.config import parse
from gated.door import panel
from gated.provision import machine

BASE = {"site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock", "rex_pin": 23, "lock_pin": 17}}


@pytest.mark.parametrize(("name", "bits"), [("armv7l", 32), ("aarch64", 32), ("x86_64", 32), ("riscv64", 64)])
def test_a_32_bit_system_is_refused_and_told_what_to_write_onto_the_card(name, bits):
    finding = machine.processor(name, bits)
    assert finding.light == "red"
    assert "Raspberry Pi OS Lite (64-bit)" in finding.next_step


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_a_64_bit_system_is_well(name):
    assert machine.processor(name, 64).light == "green"


def test_a_full_disk_is_refused_before_anything_is_written(full_disk):
    finding = machine.free_space(full_disk / "var/lib/gated")
    assert finding.light == "red"
    assert "make room" in finding.next_step


def test_a_clock_of_before_this_was_written_is_refused():
    finding = machine.clock(datetime(1970, 1, 1, tzinfo=UTC), is_kept=False)
    assert (finding.light, "1970-01-01" in finding.says) == ("red", True)
    assert "timedatectl" in finding.next_step


def test_a_clock_that_nothing_keeps_is_said_and_no_hindrance():
    assert machine.clock(datetime(2030, 1, 1, tzinfo=UTC), is_kept=False).light == "amber"
    assert machine.clock(datetime(2030, 1, 1, tzinfo=UTC), is_kept=True).light == "green"


def test_a_missing_camera_is_named_with_what_to_look_at(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    settings = parse({**BASE, "camera": {"kind": "picamera2"}}, tmp_path)
    camera, pins = machine.parts(settings)
    assert camera.light == "red"
    assert "picamera2" in camera.says
    assert "ribbon" in camera.next_step
    assert pins.light == "green"


def test_an_occupied_pin_is_named_and_how_to_find_who_has_it(tmp_path, picture, monkeypatch):
    factory = MockFactory()
    other = DigitalOutputDevice(17, pin_factory=factory)
    monkeypatch.setattr(panel, "pin_factory", lambda settings: factory)
    settings = parse({**BASE, "camera": {"kind": "replay", "path": str(picture)}}, tmp_path)
    camera, pins = machine.parts(settings)
    assert camera.light == "green"
    assert pins.light == "red"
    assert "pin 17 cannot be claimed" in pins.says
    assert "gpioinfo" in pins.next_step
    other.close()


def test_trying_the_pins_leaves_no_trace_and_no_lock_with_power(tmp_path, picture):
    trace = tmp_path / "trace.jsonl"
    door = {**BASE["door"], "trace": str(trace)}
    settings = parse({**BASE, "door": door, "camera": {"kind": "replay", "path": str(picture)}}, tmp_path)
    assert [finding.light for finding in machine.parts(settings)] == ["green", "green"]
    assert not trace.exists()


def test_a_desk_has_no_power_supply_of_a_pi_to_look_at(root, tmp_path):
    looked = {finding.part for finding in machine.looked_at(tmp_path, root)}
    assert looked == {"processor", "memory", "disk", "clock"}


def test_on_a_pi_power_and_heat_are_looked_at(root, tmp_path):
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    looked = {finding.part for finding in machine.looked_at(tmp_path, root)}
    assert {"power", "temperature"} < looked
