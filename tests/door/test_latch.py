"""The latch as a real process: one brain, its leases, and a lock that is secured when the brain fails."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.door.latch_messages import (
    DriveLine,
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
from gated.door.latch_server import _listen
from gated.errors import LatchError
from gated.events import DoorClosed, DoorOpened, DoorReleased, DoorSecured, ReleaseRefused
from gated.runtime.channel import Channel


async def dial(gate):
    """Open a plain connection to the latch, without the product's client."""
    return Channel[FromLatch](*await asyncio.open_unix_connection(gate.state / "latch.sock"), FromLatch)


def test_the_latch_loads_no_code_that_it_never_runs():
    never = {"hashlib", "sqlite3", "numpy", "gated.storage.database", "gated.sync", "gated.gallery"}
    code = "import sys, gated.cli.daemon, gated.door.latch_server, gated.door.power;"
    code += f" print(sorted({never} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_serving_latch_looks_for_cycles_of_garbage(monkeypatch, gate):
    async def serve(*_):
        seen.append(gc.isenabled())

    seen = []
    monkeypatch.setattr("gated.door.latch_server.serve_latch", serve)
    CliRunner().invoke(main, ["--config", str(gate.config), "latch"], catch_exceptions=False)
    gc.unfreeze()
    assert seen == [True]


async def test_a_release_energises_the_lock_for_the_lease(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=0.5)
        await until(lambda: DoorSecured("lease") in brain.events)
    assert brain.events[:2] == [DoorReleased("grant", 0.5, "visit"), DoorSecured("lease")]
    on, off = [line for line in gate.trace() if line["line"] == "lock"][1:3]
    assert (on["on"], off["on"]) == (True, False)
    assert 0.45 <= off["t"] - on["t"] < 0.75  # each step is written after it is done, so the first may be late


async def test_the_lock_is_off_from_the_first_line_of_the_trace(gate, latch):
    assert gate.trace() == [{"t": gate.trace()[0]["t"], "line": "lock", "on": False}]


async def test_a_stale_release_opens_nothing_and_is_reported(gate, latch, link, until):
    async with link() as brain:
        brain.release(age_s=5)
        await until(lambda: brain.events)
    assert isinstance(brain.events[0], ReleaseRefused)
    assert not any(line["on"] for line in gate.trace())


async def test_a_neighbours_passage_does_not_end_a_slow_persons_release(gate, latch, link, until):
    """The neighbour follows with a lease of 1 s and passes first, and the leaf closes."""
    async with link() as brain:
        brain.release(lease_s=20, holder="slow")
        brain.release(lease_s=1.0, holder="neighbour")
        await until(lambda: DoorReleased("grant", 1.0, "visit") in brain.events)
        brain.door.drive("contact", True)
        await until(lambda: DoorOpened("grant") in brain.events)
        brain.door.drive("contact", False)
        await until(lambda: DoorClosed() in brain.events)
        await asyncio.sleep(1.2)
        assert gate.lock_is_on()
        assert not any(isinstance(event, DoorSecured) for event in brain.events)


async def test_two_grants_of_one_person_make_one_lease(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20, holder="somebody")
        brain.release(lease_s=20, holder="somebody")
        await until(lambda: len(brain.events) == 2)
        brain.door.drive("contact", True)
        await until(lambda: DoorOpened("grant") in brain.events)
        brain.door.drive("contact", False)
        await until(lambda: DoorSecured("closed") in brain.events)
        assert not gate.lock_is_on()


async def test_closing_the_leaf_ends_the_lease(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
        brain.door.drive("contact", True)
        await until(lambda: DoorOpened("grant") in brain.events)
        brain.door.drive("contact", False)
        await until(lambda: DoorSecured("closed") in brain.events)
        assert not gate.lock_is_on()
    assert brain.events.index(DoorClosed()) < brain.events.index(DoorSecured("closed"))


async def test_the_exit_button_releases_without_a_brain_command(gate, latch, link, until):
    async with link() as brain:
        brain.door.drive("rex", True)
        await until(lambda: DoorReleased("rex", 2.0) in brain.events)
        assert gate.lock_is_on()


async def test_after_a_goodbye_the_brain_still_receives_the_securing(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
    assert brain.events[-1] == DoorSecured("stop")
    assert not gate.lock_is_on()


async def test_a_broken_connection_secures_the_lock(gate, latch, until):
    channel = await dial(gate)
    channel.send(Hello())
    channel.send(ReleaseLock("v", 20, time.monotonic()))
    await until(gate.lock_is_on)
    await channel.close()
    await until(lambda: not gate.lock_is_on())


async def test_a_silent_brain_loses_its_lease_before_the_lease_ends(gate, latch, link, until):
    """The connection stays open, but no message arrives."""
    channel = await dial(gate)
    channel.send(Hello())
    channel.send(ReleaseLock("v", 30, time.monotonic()))
    await until(gate.lock_is_on)
    await until(lambda: not gate.lock_is_on(), 10)
    async with link() as brain:
        assert brain.door.is_linked


async def test_events_are_kept_for_the_next_brain(gate, latch, link, until):
    channel = await dial(gate)
    channel.send(Hello())
    channel.send(ReleaseLock("v", 20, time.monotonic()))
    await until(gate.lock_is_on)
    await channel.close()
    async with link() as brain:
        await until(lambda: DoorSecured("disconnect") in brain.events)


async def test_a_second_brain_is_refused_and_the_first_keeps_its_link(gate, latch, link, until):
    async with link() as brain:
        second = await dial(gate)
        second.send(Hello())
        answer = await second.receive()
        assert isinstance(answer, Refused)
        assert "another brain" in answer.why
        with pytest.raises(EOFError):
            await second.receive()
        brain.release()
        await until(gate.lock_is_on)


async def test_a_connection_without_a_hello_is_refused(gate, latch):
    channel = await dial(gate)
    channel.send(ReleaseLock("v", 20, time.monotonic()))
    assert isinstance(await channel.receive(), Refused)
    assert not gate.lock_is_on()


async def test_a_silent_connection_is_closed(gate, latch):
    channel = await dial(gate)
    with pytest.raises(EOFError):
        await asyncio.wait_for(channel.receive(), 10)


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\x00" * 64, b"\x05\x00\x00\x00hello"])
async def test_a_connection_that_sends_garbage_is_closed(gate, latch, noise, link, until):
    reader, writer = await asyncio.open_unix_connection(gate.state / "latch.sock")
    writer.write(noise)
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    async with link() as brain:
        brain.release()
        await until(gate.lock_is_on)


async def test_garbage_from_the_brain_secures_the_lock(gate, latch, until):
    reader, writer = await asyncio.open_unix_connection(gate.state / "latch.sock")
    channel = Channel[FromLatch](reader, writer, FromLatch)
    channel.send(Hello())
    channel.send(ReleaseLock("v", 20, time.monotonic()))
    await until(gate.lock_is_on)
    writer.write(b"\xff" * 64)
    await until(lambda: not gate.lock_is_on())


async def test_a_user_that_is_not_the_brains_is_refused(gate_at, open_folder, until):
    """The test process switches to the user nobody for a moment."""
    if os.getuid() != 0:
        pytest.fail("the suite runs as root")
    with gate_at(open_folder) as gate:
        gate.start("latch")
        await until((gate.state / "latch.sock").exists)
        gate.state.chmod(0o755)
        (gate.state / "latch.sock").chmod(0o666)
        os.seteuid(65534)
        try:
            channel = await dial(gate)
        finally:
            os.seteuid(0)
        answer = await channel.receive()
    assert isinstance(answer, Refused)
    assert "65534" in answer.why


async def test_every_heartbeat_is_answered_with_the_state(gate, latch):
    channel = await dial(gate)
    channel.send(Hello())
    assert await channel.receive() == Welcome()
    channel.send(LatchHeartbeat())
    lines = {"main.contact": False, "main.rex": False}
    assert await channel.receive() == LatchState("secured", {"main": "secured"}, lines, has_brain=True)
    channel.send(Goodbye())
    with pytest.raises(EOFError):
        await channel.receive()


async def observe(gate):
    """Open the connection of an observer."""
    channel = await dial(gate)
    channel.send(Hello(observer=True))
    assert await channel.receive() == Welcome()
    return channel


async def test_an_observer_beside_the_brain_changes_nothing(gate, latch, link, until):
    async with link() as brain:
        observer = await observe(gate)
        observer.send(LatchHeartbeat())
        assert (await observer.receive()).state == "secured"
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
        await observer.close()
        await brain.receives(DoorReleased("grant", 20, "visit"))
        brain.door.drive("contact", True)
        await brain.receives(DoorOpened("grant"))
        assert gate.lock_is_on()


async def test_an_observer_receives_no_pending_events_and_keeps_no_lease_alive(gate, latch, link, until):
    channel = await dial(gate)
    channel.send(Hello())
    channel.send(ReleaseLock("v", 20, time.monotonic()))
    await until(gate.lock_is_on)
    observer = await observe(gate)
    await channel.close()
    await until(lambda: not gate.lock_is_on())
    observer.send(LatchHeartbeat())
    assert isinstance(await observer.receive(), LatchState)
    async with link() as brain:
        await brain.receives(DoorSecured("disconnect"))


@pytest.mark.parametrize(
    "asked", [ReleaseLock("v", 20, 0.0), SetLockdown(False), PlayPattern("open", (1.0,)), Hello(), Hello(observer=True)]
)
async def test_a_command_of_an_observer_is_refused_and_releases_nothing(gate, latch, link, asked):
    async with link() as brain:
        observer = await observe(gate)
        observer.send(asked)
        assert isinstance(await observer.receive(), Refused)
        with pytest.raises(EOFError):
            await observer.receive()
        assert not any(line["on"] for line in gate.trace())
        assert brain.door.is_linked


async def test_an_observer_may_drive_mock_lines(gate, latch, link):
    async with link() as brain:
        observer = await observe(gate)
        observer.send(DriveLine("rex", True))
        await brain.receives(DoorReleased("rex", 2.0))
        observer.send(DriveLine("nonsense", True))
        assert isinstance(await observer.receive(), Refused)
        assert brain.door.is_linked


async def test_the_latch_after_a_killed_one_starts_without_its_release(gate, latch, wait_for, link, until):
    async with link() as brain:
        brain.release(lease_s=20)
        await until(gate.lock_is_on)
        latch.kill()
        latch.wait()
        await until(lambda: not brain.door.is_linked)
        with pytest.raises(LatchError):
            brain.release()
        second = gate.start("latch")
        await until(lambda: brain.door.is_linked)
        assert not gate.lock_is_on()
        await asyncio.sleep(1)
        assert not gate.lock_is_on()
        second.terminate()
        second.wait(5)
    assert [up for up, _ in brain.links][:3] == [True, False, True]


async def test_a_release_delayed_in_a_stopped_latch_is_refused(gate, latch, link, until):
    async with link() as brain:
        latch.send_signal(signal.SIGSTOP)
        brain.release()
        await until(lambda: not brain.door.is_linked)
        latch.send_signal(signal.SIGCONT)
        await until(lambda: brain.door.is_linked)
        await asyncio.sleep(0.5)
    assert not any(line["on"] for line in gate.trace())


def test_a_second_latch_on_the_same_socket_is_refused(gate, latch):
    done = gate.run("latch", check=3)
    assert "runs already" in done.stderr
    assert str(latch.pid) in done.stderr
    assert latch.poll() is None


def test_stopping_the_latch_secures_the_door_and_removes_the_socket(gate, latch):
    latch.terminate()
    assert latch.wait(5) == 0
    assert not (gate.state / "latch.sock").exists()
    assert not gate.lock_is_on()


def test_a_desk_latch_ends_when_no_brain_connects(gate):
    assert gate.run("latch", "--exit-when-idle", "0.5").returncode == 0


def test_the_latch_never_loads_numpy(gate, latch):
    assert "numpy" not in Path(f"/proc/{latch.pid}/maps").read_text()


def test_without_gpio_the_error_names_the_next_step(gate):
    gate.write(door={"pins": "gpio"})
    done = gate.run("latch", check=3)
    assert 'pins = "mock"' in done.stderr


async def test_events_carry_the_time_at_which_they_happened(gate, latch, link, until):
    async with link() as brain:
        brain.release()
        await until(lambda: brain.times)
    assert abs((datetime.now(UTC) - brain.times[0]).total_seconds()) < 30


async def test_the_socket_appears_only_when_it_accepts_connections(tmp_path, monkeypatch):
    """A socket that is bound but does not listen yet would refuse a connection."""
    path, listens, was_there = tmp_path / "latch.sock", asyncio.Event(), []
    start = asyncio.start_unix_server

    async def watched(serve, at):
        server = await start(serve, at)
        was_there.append(path.exists())
        return server

    monkeypatch.setattr(asyncio, "start_unix_server", watched)
    task = asyncio.create_task(
        _listen(SimpleNamespace(serve=lambda reader, writer: writer.close()), path, 0o600, listens)
    )
    try:
        await listens.wait()
        assert was_there == [False]
        assert path.stat().st_mode & 0o777 == 0o600
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert not list(tmp_path.iterdir())
