"""An observer beside the brain gets the state of the latch, and changes nothing."""

import asyncio
import contextlib
import signal
import time

import pytest

from gated.door.latch_messages import (
    EventReport,
    FromLatch,
    Goodbye,
    Hello,
    LatchHeartbeat,
    LatchState,
    PlayPattern,
    Refused,
    ReleaseLock,
    SetLockdown,
    Welcome,
)
from gated.door.latch_observer import read_latch_state
from gated.errors import LatchError, WireError
from gated.events import DoorSecured
from gated.runtime.channel import Channel


async def dial(gate, hello):
    channel = Channel[FromLatch](*await asyncio.open_unix_connection(gate.state / "latch.sock"), FromLatch)
    channel.send(hello)
    assert await channel.receive(10) == Welcome()
    return channel


async def test_an_observer_gets_the_state_without_a_brain(gate, latch):
    seen = await read_latch_state(gate.state / "latch.sock")
    lines = {"main.contact": False, "main.rex": False}
    assert seen == LatchState("secured", {"main": "secured"}, lines, is_on_fire=False, has_brain=False)


async def test_an_observer_gets_the_state_beside_a_brain_and_does_not_displace_it(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
        for _ in range(3):
            seen = await read_latch_state(gate.state / "latch.sock")
            assert (seen.state, seen.has_brain) == ("released", True)
        assert brain.door.is_linked
        assert brain.links == [(True, "")]
        assert gate.lock_is_on()
        brain.door.drive("contact", True)
        await until(lambda: brain.door.state == "open")


@pytest.mark.parametrize(
    "command",
    [
        ReleaseLock("visit", 20, 0.0),
        ReleaseLock("", 20, 0.0, cause="schedule"),
        SetLockdown(True),
        SetLockdown(False),
        PlayPattern("buzzer", (1.0,)),
        Hello(),
        Hello(observer=True),
    ],
)
async def test_a_command_of_an_observer_is_refused_and_ends_its_connection(gate, latch, command):
    if isinstance(command, ReleaseLock):
        command = ReleaseLock(command.visit, command.lease_s, time.monotonic(), cause=command.cause)
    channel = await dial(gate, Hello(observer=True))
    channel.send(command)
    assert isinstance(await channel.receive(10), Refused)
    with pytest.raises(EOFError):
        await channel.receive(10)
    assert not any(line["on"] for line in gate.trace())
    assert not (await read_latch_state(gate.state / "latch.sock")).has_brain


async def test_an_observer_cannot_release_while_a_brain_is_connected(gate, latch, link):
    async with link() as brain:
        channel = await dial(gate, Hello(observer=True))
        channel.send(ReleaseLock("visit", 20, time.monotonic()))
        assert isinstance(await channel.receive(10), Refused)
        seen = await read_latch_state(gate.state / "latch.sock")
        assert (seen.state, brain.door.is_linked, brain.events) == ("secured", True, [])


async def test_an_observer_cannot_end_a_lockdown(gate, latch, link, until):
    async with link() as brain:
        brain.door.lockdown(True)
        channel = await dial(gate, Hello(observer=True))
        channel.send(SetLockdown(False))
        assert isinstance(await channel.receive(10), Refused)
        brain.release()
        await until(lambda: brain.events)
        assert brain.events[0].why == "lockdown"
    assert not any(line["on"] for line in gate.trace())


async def test_the_heartbeats_of_an_observer_keep_no_lease_alive(gate, latch, until):
    brain, watcher = await dial(gate, Hello()), await dial(gate, Hello(observer=True))
    brain.send(ReleaseLock("visit", 30, time.monotonic()))
    await until(gate.lock_is_on)
    async with asyncio.timeout(15):
        while gate.lock_is_on():  # the brain is silent; only the observer sends heartbeats
            watcher.send(LatchHeartbeat())
            assert isinstance(await watcher.receive(10), LatchState)
            await asyncio.sleep(0.2)
    assert not (await read_latch_state(gate.state / "latch.sock")).has_brain


@pytest.mark.parametrize("says_goodbye", [True, False])
async def test_the_end_of_an_observer_ends_no_release(gate, latch, link, until, says_goodbye):
    async with link() as brain:
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
        watcher = await dial(gate, Hello(observer=True))
        if says_goodbye:
            watcher.send(Goodbye())
            with pytest.raises(EOFError):
                await watcher.receive(10)
        await watcher.close()
        assert (await read_latch_state(gate.state / "latch.sock")).state == "released"
        assert (gate.lock_is_on(), brain.door.is_linked) == (True, True)


async def test_events_kept_for_the_next_brain_are_not_sent_to_an_observer(gate, latch, link, until):
    brain = await dial(gate, Hello())
    brain.send(ReleaseLock("visit", 20, time.monotonic()))
    await until(gate.lock_is_on)
    await brain.close()
    await until(lambda: not gate.lock_is_on())
    watcher = await dial(gate, Hello(observer=True))
    watcher.send(LatchHeartbeat())
    assert isinstance(await watcher.receive(10), LatchState)
    async with link() as later:
        await later.receives(DoorSecured("disconnect"))
        watcher.send(LatchHeartbeat())
        assert not isinstance(await watcher.receive(10), EventReport)


async def test_cards_are_not_sent_to_an_observer(gate, link, until, wait_for):
    gate.write(door={"wiegand_pins": [12, 13]})
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    async with link() as brain:
        watcher = await dial(gate, Hello(observer=True))
        brain.door.drive("wiegand:" + "01" * 13, True)
        await until(lambda: brain.cards)
        watcher.send(LatchHeartbeat())
        assert isinstance(await watcher.receive(10), LatchState)


async def test_an_observer_does_not_keep_a_desk_latch_alive(gate, wait_for):
    latch = gate.start("latch", "--exit-when-idle", "1")
    wait_for((gate.state / "latch.sock").exists)
    watcher = await dial(gate, Hello(observer=True))
    async with asyncio.timeout(30):
        while latch.poll() is None:
            with contextlib.suppress(EOFError, WireError):  # the latch ended between two heartbeats
                watcher.send(LatchHeartbeat())
                await watcher.receive(5)
            await asyncio.sleep(0.2)


async def test_without_a_latch_observe_raises(gate):
    with pytest.raises(LatchError, match="no latch runs"):
        await read_latch_state(gate.state / "latch.sock")


async def test_observing_a_stopped_latch_raises_that_it_does_not_answer(gate, latch):
    latch.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(LatchError, match="does not answer"):
            await read_latch_state(gate.state / "latch.sock")
    finally:
        latch.send_signal(signal.SIGCONT)


async def test_a_refusal_carries_its_reason(tmp_path):
    async def refuse(reader, writer):
        channel = Channel(reader, writer, FromLatch)
        channel.send(Refused("user 7 may not command this latch"))
        await channel.close()

    server = await asyncio.start_unix_server(refuse, tmp_path / "latch.sock")
    with pytest.raises(LatchError, match="user 7"):
        await read_latch_state(tmp_path / "latch.sock")
    server.close()
