"""Tests the figures from kernel and firmware. The program reports known figures and invents no missing ones."""

import pytest

from gated.doctor import board
from gated.doctor.board import Board, board_at, decoded, memory, power, temperature, throttling

PI = Board("Raspberry Pi 5 Model B Rev 1.0", "10000000abcdef01", True)
DESK = Board("no Raspberry Pi", "unknown", False)


def put(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_pi_shows_its_model(tmp_path):
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    put(tmp_path, "proc/device-tree/serial-number", "10000000abcdef01\0")
    assert board_at(tmp_path) == PI


def test_another_machine_has_its_own_id(tmp_path):
    put(tmp_path, "etc/machine-id", "0123456789abcdef\n")
    found = board_at(tmp_path)
    assert (found.is_pi, found.serial) == (False, "0123456789abcdef")
    assert board_at(tmp_path / "nowhere").serial == "unknown"


@pytest.mark.parametrize(
    ("bits", "light", "word"),
    [
        (0x0, "green", "no undervoltage"),
        (0x1, "red", "under 4.63 V"),
        (0x50005, "red", "throttled"),
        (0x50000, "amber", "since power-on"),
        (0x80000, "amber", "slowed by heat"),
    ],
)
def test_each_bit_of_the_firmware_has_a_text(bits, light, word):
    finding = power(PI, bits)
    assert (finding.light, word in finding.result) == (light, True)
    assert finding.figures["throttled"] == f"0x{bits:x}"


def test_a_firmware_without_an_answer_is_unknown_and_not_well():
    assert power(PI, None).light == power(DESK, None).light == "amber"
    assert "video" in power(PI, None).next_step


def test_only_the_four_known_bits_are_read():
    assert decoded(0xF0) == []


@pytest.mark.parametrize(("said", "bits"), [("throttled=0x50005", 0x50005), ("throttled=0x0", 0), ("what?", None)])
def test_the_firmware_is_read_with_its_own_program(tmp_path, monkeypatch, said, bits):
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert throttling() == bits


def test_without_the_firmware_program_the_state_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert throttling() is None


@pytest.mark.parametrize(
    ("text", "light"), [("45000\n", "green"), ("76000\n", "amber"), ("86000\n", "red"), ("x\n", "amber"), ("", "amber")]
)
def test_heat_is_reported_before_the_board_slows_down(tmp_path, text, light):
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", text)
    assert temperature(tmp_path).light == light


@pytest.mark.parametrize(("available_kb", "light"), [(900_000, "green"), (100_000, "amber"), (20_000, "red")])
def test_free_memory_must_be_enough_for_a_restart(tmp_path, available_kb, light):
    put(tmp_path, "proc/meminfo", f"MemTotal: 1000000 kB\nMemAvailable: {available_kb} kB\nOdd\nHuge: x kB\n")
    finding = memory(tmp_path)
    assert finding.light == light
    assert finding.figures["total_mb"] == 1024


def test_a_kernel_without_memory_figures_is_reported(tmp_path):
    assert memory(tmp_path).light == "amber"
    assert board.ROOT.as_posix() == "/"
