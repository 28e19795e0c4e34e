"""Worker processes: started, watched, and ended by us. Never forked: a fork would take our pins and locks along."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

LOOK_S = 0.25
"""How often `keep_running` looks whether somebody serves."""
PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Child:
    """A worker that runs."""

    process: asyncio.subprocess.Process
    ours: socket.socket | None = None
    """Our end of the socket to it, when it was given one."""

    async def wait(self) -> str:
        """Wait for its end, and say in words how it ended."""
        return ended(await self.process.wait())

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, and after the grace make it."""
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
        """Kill its process group, also when it is stopped. A process that hangs in the kernel ends later by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self.process.wait()


@dataclass(frozen=True, slots=True)
class Served:
    """A worker that is a service of its own: systemd starts it when its socket is dialled, and it ends with that
    connection. One that hangs is systemd's to end, by its watchdog: we have no right to.
    """

    ours: socket.socket

    async def wait(self) -> str:
        """How it ended is known to systemd alone."""
        return "its service ended; `journalctl -u gated-vision` says why"

    async def stop(self, grace_s: float) -> None:
        """It ends when the connection is closed."""

    async def kill(self) -> None:
        """The same."""


def dial(path: Path) -> Served:
    """Have the worker behind a socket that systemd made. Raises `OSError`, also where nobody takes us in."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)  # a full queue is told at once, and nobody waits in it
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return Served(sock)


def ended(status: int) -> str:
    """An exit status in words."""
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


async def start(arguments: Sequence[str], *, with_socket: bool = False) -> Child:
    """Start `gated` with these arguments as a worker in a process group of its own, so that Ctrl-C is ours to handle.

    With a socket, `--fd N` is added and our end is returned with the child.
    """
    command = [sys.executable, "-P", "-m", "gated", *arguments]
    if not with_socket:
        return Child(await asyncio.create_subprocess_exec(*command, start_new_session=True))
    ours, theirs = socket.socketpair()
    with theirs:
        fd = theirs.fileno()
        process = await asyncio.create_subprocess_exec(
            *command, "--fd", str(fd), pass_fds=[fd], start_new_session=True, stdin=asyncio.subprocess.DEVNULL
        )
    return Child(process, ours)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, so that a killed brain leaves no vision behind."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


async def keep_running(arguments: Sequence[str], is_served: Callable[[], Awaitable[bool]]) -> None:
    """Have a worker for ever, where nobody else serves; the one that was started here ends with this task."""
    backoff = Backoff(first_s=0.1, most_s=5.0)
    while True:
        if await is_served():
            backoff.reset()
            await asyncio.sleep(LOOK_S)
            continue
        worker = await start(arguments)
        try:
            log.warning("%s %s", " ".join(arguments), await worker.wait())
        finally:
            await worker.stop(grace_s=1.0)
        await asyncio.sleep(backoff.next_s())
