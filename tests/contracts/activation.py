"""As much of systemd as a socket needs (systemd.socket(5), sd_notify(3)): a service of another user, started when its
socket is dialled, handed that socket, watched, and started again after a failure.
"""

import contextlib
import os
import pwd
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest

RESTART_S = 0.2


def python_for(user: str) -> tuple[str, dict[str, str]]:
    """A Python that this user may start, with our libraries, and its environment; the suite's may be root's alone."""
    libraries = os.pathsep.join([str(Path(__file__).parents[2]), sysconfig.get_path("purelib")])
    for program, environment in ((sys.executable, {}), ("/usr/bin/python3", {"PYTHONPATH": libraries})):
        environment |= {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
        command = [program, "-c", "import gated.cli, numpy, onnxruntime, msgspec"]
        with contextlib.suppress(OSError):
            done = subprocess.run(command, env=environment, user=user, group=pwd.getpwnam(user).pw_gid,
                                  extra_groups=[], cwd="/", capture_output=True, timeout=120, check=False)  # fmt: skip
            if done.returncode == 0:
                return program, environment
    pytest.skip(f"there is no Python here that {user} may start")


class Activated:
    """One service with one socket, whose owner alone may dial it."""

    def __init__(self, path: Path, owner: str, user: str, words: list[str], log: Path) -> None:
        self.starts: list[int] = []
        self._words, self._user, self._log = words, user, log
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        path.chmod(0o600)
        os.chown(path, pwd.getpwnam(owner).pw_uid, 0)
        self._listening.listen(8)
        self._said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify = path.with_name("notify")
        self._said.bind(str(notify))
        notify.chmod(0o666)
        self._environment = {"NOTIFY_SOCKET": str(notify)}
        self._program, more = python_for(user)
        self._environment |= more
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(30)
        self._listening.close()
        self._said.close()

    @property
    def pid(self) -> int:
        return self.starts[-1]

    def _run(self) -> None:
        is_again = False
        while not self._ended.is_set():
            if is_again or select.select([self._listening], [], [], 0.05)[0]:
                is_again = self._serve() != 0
                self._ended.wait(RESTART_S if is_again else 0)

    def _serve(self) -> int:
        process = self._started()
        self.starts.append(process.pid)
        within_s, alive_at = 30.0, time.monotonic()
        while process.poll() is None:
            if select.select([self._said], [], [], 0.05)[0]:
                word, _, value = self._said.recv(4096).decode().partition("=")
                within_s = int(value) / 1e6 if word == "WATCHDOG_USEC" else within_s
                alive_at = time.monotonic()
            if self._ended.is_set() or time.monotonic() - alive_at > within_s:
                process.send_signal(signal.SIGKILL)
                process.wait()
        return process.returncode

    def _started(self) -> subprocess.Popen:
        """A shell puts the socket in its place and its own number into the environment, which Python then has."""
        shell = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec 3<&"$1"; shift; exec "$@"'
        fd = self._listening.fileno()
        command = ["bash", "-c", shell, "activation", str(fd), self._program, "-P", "-m", "gated", *self._words]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=self._environment, user=self._user, cwd="/", extra_groups=[],
                                    group=pwd.getpwnam(self._user).pw_gid, pass_fds=[fd], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)  # fmt: skip
