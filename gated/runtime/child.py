"""Starts, watches and ends worker processes for the brain.

Starts each worker as a new process and never forks: a fork would copy the parent's pins and locks.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from gated.runtime.starter import Starter
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

POLL_S = 0.25
"""Interval of the service checks by `keep_running`, in seconds."""
PR_SET_PDEATHSIG = 1  # prctl(2)
OURS_ALONE = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
"""The variables of sd_notify(3). A worker cannot report to systemd in the name of this process."""


class Child(Struct, frozen=True):
    """A worker process that this process started."""

    process: asyncio.subprocess.Process
    own_end: socket.socket | None = None
    """This process's end of the socket to the worker; None if the worker was started without one."""

    async def wait(self) -> str:
        """Wait until the process ends. Return how it ended, in words."""
        return ended(await self.process.wait())

    async def stop(self, grace_s: float) -> None:
        """Send SIGTERM, wait up to `grace_s` seconds, then kill the process group."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await self.process.wait()
        except TimeoutError:
            pass
        await self.kill()

    async def kill(self) -> None:
        """Kill the process group, even if it is stopped.

        Waits up to 2 s: a process that hangs in the kernel ends later.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self.process.wait()


class Served(Struct, frozen=True):
    """A worker that runs as a systemd service.

    Systemd starts it when its socket is dialled. The worker ends when that connection closes. Only systemd's watchdog
    may end a hanging service; this process has no right to do so.
    """

    own_end: socket.socket

    async def wait(self) -> str:
        """Return where the reason for the end is logged. Only systemd knows it."""
        return "its service ended; `journalctl -u gated-vision` says why"

    async def stop(self, grace_s: float) -> None:
        """Do nothing: the worker ends when the connection is closed."""

    async def kill(self) -> None:
        """Do nothing: the worker ends when the connection is closed."""


def dial(path: Path) -> Served:
    """Connect to the worker behind a socket that systemd made.

    Raises `OSError`, also if nobody accepts the connection.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)  # a full queue raises at once instead of blocking
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return Served(sock)


def ended(status: int) -> str:
    """Return an exit status in words. A negative status is a signal number."""
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


async def start(arguments: Sequence[str], *, with_socket: bool = False) -> Child:
    """Start `gated` with these arguments as a worker, in a separate process group: Ctrl-C does not reach the worker.

    `with_socket`: adds `--fd N` to the arguments and returns this process's end with the child.
    """
    command = [sys.executable, "-P", "-m", "gated", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    if not with_socket:
        return Child(await asyncio.create_subprocess_exec(*command, start_new_session=True, env=environment))
    own_end, child_end = socket.socketpair()
    with child_end:
        fd = child_end.fileno()
        process = await asyncio.create_subprocess_exec(
            *command,
            "--fd",
            str(fd),
            pass_fds=[fd],
            start_new_session=True,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
        )
    return Child(process, own_end)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies. A killed brain then leaves no vision process behind."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


async def keep_running(name: str, starter: Starter[Child], is_served: Callable[[], Awaitable[bool]]) -> None:
    """Start a worker, and start it again whenever it ends, while `is_served` returns false. Runs until cancelled.

    `name`: of the worker, for the log. A worker that was started early runs in any case. Ends its worker when it is
    cancelled.
    """
    backoff = Backoff(first_s=0.1, most_s=5.0)
    while True:
        if not starter.has_early and await is_served():
            backoff.reset()
            await asyncio.sleep(POLL_S)
            continue
        worker = await starter.start()
        try:
            log.warning("%s %s", name, await worker.wait())
        finally:
            await worker.stop(grace_s=1.0)
        await asyncio.sleep(backoff.next_s())
