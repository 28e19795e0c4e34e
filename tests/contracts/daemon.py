"""A process of gated as under a service manager: started until ready, stopped, killed, frozen."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import tomlkit

from gated.doctor.diagnosis import lost_parts
from gated.door.latch_client import LatchClient
from gated.journal.journal import Journal


class Daemon:
    """`gated latch` or `gated run` with these settings. Its state is in the folder."""

    def __init__(self, folder: Path, tables: dict, *arguments: str) -> None:
        self._command, self._folder, self.tables = arguments, folder, {"state_dir": str(folder / "state"), **tables}
        self._process: subprocess.Popen | None = None

    @property
    def door_socket(self) -> Path:
        """The latch's socket."""
        return self._folder / "state" / "latch.sock"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, timeout_s: float) -> float:
        """Start it. Return the seconds until READY."""
        config = self._folder / f"{self._command[0]}.toml"
        config.write_text(tomlkit.dumps(self.tables))
        name = f"gated-bench-{os.getpid()}-{self._command[0]}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard, self._log().open("wb") as log:
            heard.bind(f"\0{name}")
            heard.settimeout(0.1)
            begun = time.monotonic()
            command = [sys.executable, "-m", "gated", "--config", str(config), *self._command]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": f"@{name}"}
            )
            while not self._is_ready(heard):
                assert self.is_running, f"gated {self._command[0]} has ended:\n{self._log().read_text()[-2000:]}"
                assert time.monotonic() < begun + timeout_s, f"gated {self._command[0]} is not ready in {timeout_s} s"
            return time.monotonic() - begun

    def lost(self) -> frozenset[str]:
        """Return the parts that the brain has reported as lost. Complete only after its end."""
        ids = self.tables["site"]["id"], self.tables["gate"]["id"]
        with contextlib.closing(Journal.open(self._folder / "state", *ids)) as journal:
            return lost_parts(entry.event for entry in journal.last(1000)[::-1])

    def stop(self, timeout_s: float = 20.0) -> None:
        """Stop it as `systemctl stop` does."""
        self._process.terminate()
        self._process.wait(timeout_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop its execution, as for a process that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def bite(self) -> None:
        """End it as systemd's watchdog does: SIGABRT, then SIGCONT, because a stopped process would not handle it
        (`kill_and_sigcont` in systemd's src/basic/process-util.c).
        """
        self._process.send_signal(signal.SIGABRT)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(20)

    def close(self) -> None:
        """End it in any state."""
        if self.is_running:
            self.kill()

    @contextlib.asynccontextmanager
    async def brain(self):
        """Command this latch as a brain does, until the end of the `with` or of the latch."""
        brain = Brain(self.door_socket)
        task = asyncio.create_task(brain.door.run())
        try:
            async with asyncio.timeout(20):
                while not brain.door.is_linked:
                    await asyncio.sleep(0.01)
            yield brain
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _log(self) -> Path:
        return self._folder / f"{self._command[0]}.log"

    @staticmethod
    def _is_ready(heard: socket.socket) -> bool:
        try:
            return b"READY=1" in heard.recv(4096)
        except TimeoutError:
            return False


class Brain:
    """The brain's side of a latch, with all messages received."""

    def __init__(self, path: Path) -> None:
        self.events, self.cards, self.keys = [], [], []
        self.door = LatchClient(
            path,
            lambda event, at: self.events.append(event),
            lambda is_up, why: None,
            lambda bits, door: self.cards.append(bits),
            lambda key, door: self.keys.append(key),
        )
