"""Tests trials with a person at the gate: a real lease at a real latch, on record, with no bypass of any rule."""

import asyncio
from datetime import UTC, datetime

import pytest

from gated.access.lockdown import begin_lockdown
from gated.config import Wires, load
from gated.doctor.trials import in_command, of_cycle, open_once, show_lights, speak
from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat
from gated.door.latch_observer import read_latch_state
from gated.errors import BusyError, LatchError
from gated.events import (
    DoorClosed,
    DoorDidNotOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    LineImplausible,
    ReleaseRefused,
)
from gated.runtime.channel import Channel
from gated.storage.process_lock import FileLock

RELEASED, SECURED = (0.1, DoorReleased("grant", 2.0, "doctor")), (2.1, DoorSecured("lease"))
OPENED, CLOSED = (0.9, DoorOpened("grant")), (1.9, DoorClosed())
WATCHED, UNWATCHED = Wires(contact_pin=22), Wires()


@pytest.fixture
def desk(gate, wait_for):
    """Return a gate with a serving latch and no brain."""
    gate.write(models={"dir": "nowhere"})
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    return gate


class Leaf:
    """The world at a mock door: a person who opens and shuts it."""

    def __init__(self, gate):
        self.gate = gate

    async def move(self, *, is_open):
        channel = Channel[FromLatch](*await asyncio.open_unix_connection(self.gate.state / "latch.sock"), FromLatch)
        channel.send(Hello(observer=True))
        channel.send(DriveLine("contact", is_open))
        channel.send(LatchHeartbeat())
        await channel.receive(10)
        await channel.receive(10)
        await channel.close()
        while (await read_latch_state(self.gate.state / "latch.sock")).lines["main.contact"] != is_open:
            await asyncio.sleep(0.02)

    async def pass_through(self, wait_for):
        await asyncio.to_thread(wait_for, self.gate.lock_is_on)
        await self.move(is_open=True)
        await self.move(is_open=False)


async def opened(settings, told=None):
    async with in_command(settings) as hand:
        return await open_once(hand, "main", settings.door, "Liu", (told if told is not None else []).append)


async def test_a_complete_opening_is_observed_reported_and_recorded(desk, wait_for):
    desk.write(door={"release_s": 20.0})
    settings, told = load(desk.config), []
    facts, _ = await asyncio.gather(opened(settings, told), Leaf(desk).pass_through(wait_for))
    found = of_cycle("main", facts, settings.door)
    assert found.light == "green"
    assert 0 <= found.figures["released_s"] < found.figures["opened_s"] < found.figures["closed_s"]
    assert any("open the door" in each for each in told)
    kinds = [event["kind"] for event in desk.events()]
    assert kinds[:4] == ["door_tried", "door_released", "door_opened", "door_closed"]
    assert desk.events("door_tried")[0]["by"] == "Liu"
    assert not desk.lock_is_on()
    assert "all unchanged" in str(desk.json("doctor"))


async def test_an_unopened_leaf_is_red_after_the_lease_and_the_lock_is_secured(desk):
    settings = load(desk.config)
    found = of_cycle("main", await opened(settings), settings.door)
    assert (found.light, "reported no opening" in found.result) == ("red", True)
    assert not desk.lock_is_on()


async def test_a_lockdown_applies_to_the_doctor_too(desk):
    begin_lockdown(desk.state, "the office", datetime.now(UTC))
    settings = load(desk.config)
    found = of_cycle("main", await opened(settings), settings.door)
    assert (found.light, found.result) == ("red", "the latch refuses: lockdown")
    assert not any(change["on"] for change in desk.trace() if change["line"] == "lock")
    assert desk.events("release_refused")


async def test_beside_a_running_gate_no_trial_runs(desk):
    settings = load(desk.config)
    lock = FileLock(settings.state / "run.lock", "a gate with this state folder")
    try:
        with pytest.raises(BusyError, match="stop it first"):
            await opened(settings)
    finally:
        lock.close()
    assert not any(change["on"] for change in desk.trace() if change["line"] == "lock")


async def test_without_a_latch_no_trial_runs(gate):
    gate.write(models={"dir": "nowhere"})
    with pytest.raises(LatchError, match="no latch runs"):
        await opened(load(gate.config))
    assert not gate.state.exists()  # root ran the trial, and root's file would lock out the gate's user


async def test_a_door_with_a_connected_brain_is_not_tried(desk):
    settings = load(desk.config)
    channel = Channel[FromLatch](*await asyncio.open_unix_connection(desk.state / "latch.sock"), FromLatch)
    channel.send(Hello())

    async def beats():
        while True:
            channel.send(LatchHeartbeat())
            await asyncio.sleep(0.3)

    beating = asyncio.create_task(beats())
    try:
        with pytest.raises(LatchError, match="another one commands it"):
            await opened(settings)
    finally:
        beating.cancel()
        await channel.close()


async def test_an_interrupted_trial_leaves_a_secured_lock(desk, wait_for):
    desk.write(door={"release_s": 20.0})
    settings = load(desk.config)
    trying = asyncio.create_task(opened(settings))
    await asyncio.to_thread(wait_for, desk.lock_is_on)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    await asyncio.to_thread(wait_for, lambda: not desk.lock_is_on())
    assert desk.events("door_secured")[-1]["cause"] == "stop"


async def test_earlier_events_of_the_latch_are_journalled_and_not_part_of_the_trial(desk, wait_for):
    leaf = Leaf(desk)
    desk.write(door={"release_s": 20.0})
    await leaf.move(is_open=True)  # at this moment no brain serves
    await leaf.move(is_open=False)
    settings = load(desk.config)
    facts, _ = await asyncio.gather(opened(settings), leaf.pass_through(wait_for))
    assert [type(event).__name__ for _, event in facts].count("DoorOpened") == 1
    assert len(desk.events("door_opened")) == len(desk.events("door_closed")) == 2


async def test_every_fitted_lamp_is_tried(gate, wait_for):
    gate.write(models={"dir": "nowhere"}, cues={"ready_pin": 16, "buzzer_pin": 18})
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    settings, told = load(gate.config), []
    async with in_command(settings) as hand:
        assert await show_lights(hand, settings, told.append) == ["ready", "buzzer"]
    assert told == ["ready (pin 16)", "buzzer (pin 18)"]


async def test_a_missing_loudspeaker_is_reported_as_missing(gate):
    gate.write(cues={"sound": "alsa", "sound_device": "nowhere"})
    assert not await speak(load(gate.config))


@pytest.mark.parametrize(
    ("facts", "wires", "light", "word"),
    [
        ([RELEASED, OPENED, CLOSED, SECURED], WATCHED, "green", "open after 0.9 s"),
        ([RELEASED, SECURED], UNWATCHED, "green", "no door contact is fitted"),
        ([], WATCHED, "red", "did not release"),
        ([(0.1, ReleaseRefused("doctor", "lockdown"))], WATCHED, "red", "refuses: lockdown"),
        ([RELEASED], UNWATCHED, "red", "not secured"),
        ([RELEASED, SECURED, (2.1, DoorDidNotOpen("grant"))], WATCHED, "red", "no opening"),
        ([RELEASED, OPENED, SECURED], WATCHED, "red", "no closing"),
        ([RELEASED, (0.2, LineImplausible("lock", "no power")), SECURED], UNWATCHED, "red", "no power"),
    ],
)
def test_observations_of_a_trial_are_judged(facts, wires, light, word):
    found = of_cycle("main", facts, wires)
    assert (found.light, word in found.result, bool(found.next_step)) == (light, True, light == "red")
