"""Tests `gated doctor`: every wire, with only a latch, beside a brain, and without either."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from gated.access.lockdown import begin_lockdown
from gated.cli import main
from gated.doctor.finding import SIGNS
from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat, ReleaseLock, Welcome
from gated.runtime.channel import Channel

NOWHERE = {"dir": "nowhere"}
"""A models folder that does not exist: quick, and red."""


@pytest.fixture
def desk(gate):
    """Return a gate without models, because these tests need none."""
    (gate.folder / "frames").mkdir()
    gate.write(models=NOWHERE)
    return gate


@pytest.fixture
def latch(desk, wait_for):
    process = desk.start("latch")
    wait_for((desk.state / "latch.sock").exists)
    return process


def lines(told):
    return {line["name"]: line for line in told["lines"]}


def lights(told):
    assert all(finding["next_step"] for finding in told["findings"] if finding["light"] != "green")
    return {finding["part"]: finding["light"] for finding in told["findings"]}


async def dial(gate, hello):
    channel = Channel[FromLatch](*await asyncio.open_unix_connection(gate.state / "latch.sock"), FromLatch)
    channel.send(hello)
    assert await channel.receive(10) == Welcome()
    return channel


def test_without_a_latch_the_doctor_reports_it_and_shows_no_state(desk):
    told = desk.json("doctor")
    assert told["latch"] is False
    assert {line["state"] for line in told["lines"]} == {"unknown"}
    assert lights(told)["latch"] == "amber"


def test_the_doctor_changes_nothing(desk):
    desk.json("doctor")
    assert not desk.state.exists()
    assert not desk.trace_file.exists()  # no pin was claimed, not even a mock pin


def test_the_doctor_shows_the_lines_of_the_latch_and_claims_no_pin(desk, latch):
    before = desk.trace()
    told = desk.json("doctor")
    assert told["latch"] is True
    found = lines(told)
    assert (found["main.lock"]["state"], found["main.lock"]["pin"]) == ("secured", 17)
    assert (found["main.contact"]["state"], found["main.contact"]["direction"]) == ("closed", "in")
    assert found["main.rex"]["state"] == "not pressed"
    assert "2 s" in found["main.lock"]["effect"]
    assert lights(told)["latch"] == "green"
    assert lights(told)["brain"] == "amber"
    assert desk.trace() == before


async def test_the_doctor_reports_the_actual_state(desk, latch, wait_for):
    world = await dial(desk, Hello(observer=True))
    world.send(DriveLine("contact", True))
    await asyncio.to_thread(
        wait_for, lambda: lines(desk.json("doctor"))["main.contact"]["state"] == "open", every_s=0.1
    )
    told = desk.json("doctor")
    assert lights(told)["main.contact"] == "amber"
    assert lines(told)["main.lock"]["state"] == "the leaf is open"


async def test_the_doctor_beside_a_brain_disturbs_nothing(desk, latch, wait_for):
    brain = await dial(desk, Hello())
    brain.send(ReleaseLock("visit", 30, time.monotonic()))
    await asyncio.to_thread(wait_for, desk.lock_is_on)
    looking = asyncio.create_task(asyncio.to_thread(desk.json, "doctor"))
    while not looking.done():
        brain.send(LatchHeartbeat())
        await asyncio.sleep(0.2)
    told = looking.result()
    assert lights(told)["brain"] == "green"
    assert lines(told)["main.lock"]["state"] == "released"
    assert desk.lock_is_on()


def test_both_doors_readers_and_cues_are_listed(desk):
    desk.write(
        door={"fire_pin": 24, "fire_reset_pin": 25, "wiegand_pins": [12, 13]},
        second_door={"lock_pin": 11, "rex_pin": 10},
        readers={"keypad_rows": [0, 1, 2, 3], "keypad_columns": [4, 5, 6]},
        cues={"ready_pin": 16, "buzzer_pin": 18},
    )
    found = lines(desk.json("doctor"))
    assert len(found) == 1 + 4 + 2 + 2 + 7 + 2
    assert found["main.fire"]["effect"] == "releases every door until the key is turned"
    assert all(line["wiring"] and line["effect"] and line["state"] == "unknown" for line in found.values())
    assert {line["direction"] for line in found.values()} == {"in", "out"}


def test_a_red_finding_gives_exit_code_one_and_no_red_gives_zero(desk, shared):
    assert lights(desk.json("doctor", check=1))["models"] == "red"
    desk.write(models={"dir": str(shared / "models")})
    told = desk.json("doctor", check=0)
    assert told["ok"]
    assert "red" not in lights(told).values()
    assert lights(told)["models"] == "green"


def test_a_gate_with_real_pins_that_does_not_run_is_red(desk):
    desk.write(door={"pins": "gpio"}, camera={"kind": "picamera2", "path": ""})
    found = lights(desk.json("doctor", check=1))
    assert {found[part] for part in ("latch", "brain", "models", "credential kinds")} == {"red"}
    assert found["wiring"] == "green"


def test_the_doctor_reports_a_lockdown(desk, latch):
    begin_lockdown(desk.state, "the office", datetime.now(UTC))
    told = desk.json("doctor")
    assert lights(told)["lockdown"] == "amber"


def test_every_requested_part_is_checked(desk):
    desk.write(readers={"devices": ["/dev/input/by-id/none"], "pass_key": "site.pub"})
    found = lights(desk.json("doctor"))
    assert {
        "latch", "brain", "pins", "models", "camera", "reader /dev/input/by-id/none", "pass key", "prompts", "screen",
        "clock", "state folder", "journal", "credential kinds",
    } <= set(found)  # fmt: skip
    assert found["reader /dev/input/by-id/none"] == found["pass key"] == "red"


def test_people_get_words_and_signs_programs_get_json_and_nobody_a_traceback(desk):
    done = CliRunner().invoke(main, ["--config", str(desk.config), "doctor"])
    assert done.exit_code == 1
    for light, sign in SIGNS.items():
        assert f"{sign} {light}" in done.output
    assert "\x1b" not in done.output  # a pipe gets no colour and loses no information
    assert "main.rex" in done.output
    assert "->" in done.output


def test_wrong_settings_are_a_usage_error(gate):
    gate.config.write_text("[smell]\n")
    assert "unknown key" in gate.run("doctor", check=2).stderr


def test_a_running_gate_without_vision_shows_which_credentials_work(desk, wait_for):
    """The whole gate without models: cards and PINs work, faces do not, and the doctor says so."""
    desk.write(door={"wiegand_pins": [12, 13]}, cues={"screen_port": 0})
    desk.start("run")
    wait_for(lambda: "on duty" in desk.log())
    found = lights(wait_for(lambda: desk.json("doctor")))
    assert found["brain"] == found["credential: card"] == found["journal"] == "green"
    assert found["credential: face"] == "amber"
    assert "credential kinds" not in found
