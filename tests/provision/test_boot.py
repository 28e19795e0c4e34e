"""Tests the firmware's pin levels before gated starts: every lock's pin stays at the level that leaves it unpowered."""

import pytest

from gated.config import parse
from gated.provision.boot import BEGIN, END, boot_lines, config_txt, with_lines
from gated.provision.steps import steps

BASE = {"site": {"id": "s"}, "gate": {"id": "g"}}


def settings(tmp_path, **tables):
    return parse({**BASE, **tables}, tmp_path)


def test_each_lock_is_held_at_its_idle_level(tmp_path):
    door = {"lock_pin": 5, "lock_active_high": False, "rex_pin": 23}
    lines = boot_lines(settings(tmp_path, door=door, second_door={"lock_pin": 11, "rex_pin": 12}))
    assert lines == ["dtparam=strict_gpiod", "dtparam=watchdog=on", "gpio=5=op,dh", "gpio=11=op,dl"]


def test_the_block_comes_last_and_for_every_model():
    text = with_lines("dtparam=audio=on\n[pi4]\narm_boost=1\n", ["a", "b"])
    assert text == f"dtparam=audio=on\n[pi4]\narm_boost=1\n{BEGIN}\n[all]\na\nb\n{END}\n"


def test_a_second_time_changes_nothing_and_another_time_replaces_it():
    once = with_lines("x=1\n", ["a"])
    assert with_lines(once, ["a"]) == once
    assert with_lines(once + "y=2\n", ["b"]) == f"x=1\n{BEGIN}\n[all]\nb\n{END}\ny=2\n"


def test_an_empty_file_gets_the_block_alone():
    assert with_lines("", ["a"]) == f"{BEGIN}\n[all]\na\n{END}\n"


@pytest.mark.parametrize("place", ["boot/firmware/config.txt", "boot/config.txt"])
def test_config_txt_is_found_at_the_place_of_either_release(tmp_path, place):
    assert config_txt(tmp_path) is None
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert config_txt(tmp_path) == tmp_path / place


@pytest.mark.parametrize(("pins", "is_strict"), [("gpio", True), ("mock", False)])
def test_that_a_pin_falls_back_with_its_process_is_set_where_there_are_real_pins_and_said(
    making, answers, root, pins, is_strict
):
    path = root / "boot/firmware/config.txt"
    path.parent.mkdir(parents=True)
    path.write_text("dtparam=audio=on\n")
    for step in steps(making(answers(settings={"door": {"pins": pins, "rex_pin": 23}}))):
        if step.title in ("folders", "settings") and not step.is_done():
            step.do()
        if step.title == "firmware":
            told = step.do()
    assert ("strict_gpiod is set" in told) == ("dtparam=strict_gpiod" in path.read_text()) == is_strict
