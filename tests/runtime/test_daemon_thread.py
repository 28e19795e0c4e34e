"""Blocking work on a daemon thread: the loop goes on, errors arrive, and the exit does not wait."""

import asyncio
import subprocess
import sys
import threading

import pytest

from gated.runtime.daemon_thread import run_on_daemon


async def test_the_work_runs_on_a_daemon_thread_with_its_name():
    threads = []
    await run_on_daemon(lambda: threads.append(threading.current_thread()), "dial")
    assert [(each.name, each.daemon) for each in threads] == [("dial", True)]
    assert threads[0] is not threading.main_thread()


async def test_an_error_of_the_work_arrives_at_the_caller():
    def fail():
        raise ConnectionRefusedError("nobody answers")

    with pytest.raises(ConnectionRefusedError, match="nobody answers"):
        await run_on_daemon(fail, "dial")


async def test_the_loop_goes_on_and_a_cancelled_wait_leaves_the_work_alone():
    may_end, ended = threading.Event(), threading.Event()

    def wait():
        may_end.wait()
        ended.set()

    waiting = asyncio.create_task(run_on_daemon(wait, "dial"))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    assert await asyncio.to_thread(ended.wait, 30)


def test_work_that_hangs_does_not_delay_the_exit():
    program = (
        "import asyncio, threading\n"
        "from gated.runtime.daemon_thread import run_on_daemon\n"
        "async def main():\n"
        "    task = asyncio.create_task(run_on_daemon(threading.Event().wait, 'dial'))\n"
        "    await asyncio.sleep(0.01)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0
