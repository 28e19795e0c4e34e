"""Tests that workers start, are watched and end, and that none stays behind."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from gated.runtime import child
from gated.runtime.starter import Starter


def test_the_end_of_a_child_is_described_in_words():
    assert child.ended(-9) == "ended by SIGKILL"
    assert child.ended(3) == "ended with status 3"


async def test_a_worker_ends_when_it_is_asked_to(gate):
    worker = await child.start(["--config", str(gate.config), "latch"])
    await asyncio.sleep(0.5)
    await worker.stop(5)
    assert worker.process.returncode in (0, -signal.SIGTERM)


async def test_a_stopped_worker_is_made_to_end(gate):
    worker = await child.start(["--config", str(gate.config), "latch"])
    worker.process.send_signal(signal.SIGSTOP)
    await worker.stop(0.2)
    assert worker.process.returncode in (-signal.SIGKILL, -signal.SIGTERM)  # the kernel may deliver either signal first


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_the_children_of_a_worker_end_with_it(end):
    """A surviving grandchild would keep the camera and the socket."""
    script = "import os, time\nchild = os.fork()\nchild and print(child, flush=True)\ntime.sleep(600)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, start_new_session=True, stdout=asyncio.subprocess.PIPE
    )
    grandchild = int(await process.stdout.readline())
    worker = child.Child(process)
    await (worker.kill() if end == "kill" else worker.stop(0.2))

    def is_there():
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{grandchild}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"

    async with asyncio.timeout(20):
        while is_there():
            await asyncio.sleep(0.01)


async def test_a_worker_is_in_a_group_of_its_own_so_that_ctrl_c_is_ours(gate):
    worker = await child.start(["--config", str(gate.config), "latch"])
    assert os.getpgid(worker.process.pid) == worker.process.pid
    await worker.kill()


async def test_a_worker_with_a_socket_hears_us_and_ends_with_us():
    worker = await child.start(["vision"], with_socket=True)
    worker.own_end.close()
    assert await asyncio.wait_for(worker.wait(), 20) == "ended with status 0"


@pytest.mark.parametrize("with_socket", [False, True])
async def test_a_worker_cannot_report_to_systemd_in_our_name(monkeypatch, with_socket):
    """The latch is ready long before the brain is on duty."""
    for name in child.OURS_ALONE:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("GATED_TEST", "1")
    worker = await child.start(["vision"], with_socket=with_socket)
    environment = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
    await worker.kill()
    names = {line.partition(b"=")[0].decode() for line in environment}
    assert "GATED_TEST" in names
    assert not names & child.OURS_ALONE


async def test_a_dead_worker_is_started_again_and_ended_with_the_task(gate):
    started = []

    async def is_served():
        return False

    async def start():
        worker = await child.start(["--config", str(gate.config), "latch"])
        started.append(worker)
        worker.process.kill()  # no wait here, because the task may be cancelled
        return worker

    latch = Starter(start, child.Child.kill)
    try:
        task = asyncio.ensure_future(child.keep_running("the latch", latch, is_served))
        async with asyncio.timeout(20):
            while len(started) < 3:
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert all(worker.process.returncode is not None for worker in started)


async def test_nothing_is_started_where_somebody_serves(gate):
    async def is_served():
        return True

    nothing = Starter(lambda: child.start(["no-such-command"]), child.Child.kill)
    task = asyncio.ensure_future(child.keep_running("nothing", nothing, is_served))
    await asyncio.sleep(0.6)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_worker_that_was_started_early_is_kept_though_it_serves_already(gate):
    """Otherwise nobody would watch it, and nobody would end it."""

    async def is_served():
        return True

    latch = Starter(lambda: child.start(["--config", str(gate.config), "latch"]), child.Child.kill)
    await latch.start_early()
    worker = latch._early
    task = asyncio.ensure_future(child.keep_running("the latch", latch, is_served))
    await asyncio.sleep(0.3)
    assert not latch.has_early
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert worker.process.returncode is not None
