"""Fixtures and helpers for every test: a gate's settings in its own folder, its real processes, and a small disk."""

import contextlib
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
import tomlkit
from click.testing import CliRunner

hypothesis.settings.register_profile("patient", deadline=None)  # a slow machine must not fail a property test
hypothesis.settings.load_profile("patient")

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    # nohup and background jobs ignore these signals, and the processes that tests start inherit that.
    # A test that sends one of them then waits for ever.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Send each note of pytest-rerunfailures at once. TCP else joins two small notes, and each test waits 40 ms."""
    notes = getattr(config, "failures_db", None)
    if hasattr(notes, "sock"):
        notes.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect the tests without the garbage collector. All tests stay to the end, so it later leaves them out too."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


LONG, SLOW = 1000, 20
"""What a test of a file that is marked long, and a slow test, weigh against a quick one."""


def pytest_collection_modifyitems(config, items):
    """Give parallel workers the files with the most work first, so that they end at about the same time."""
    if not hasattr(config, "workerinput"):
        return
    work = Counter()
    for item in items:
        work[item.path] += LONG if item.get_closest_marker("long") else SLOW if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -work[item.path])


SHARED = Path(__file__).parents[2] / "shared"


def toml(tables: dict) -> str:
    """Return these settings as TOML text."""
    return tomlkit.dumps(tables)


def _checked(done: subprocess.CompletedProcess, check: int | None) -> subprocess.CompletedProcess:
    """Return a command that ended. With `check`, the exit code must equal `check`."""
    if check is not None:
        assert done.returncode == check, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Gate:
    """One gate with mock pins: its settings, its state folder, its trace and its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.trace_file = folder / "trace.jsonl"
        self.config = folder / "gated.toml"
        self._processes: list[subprocess.Popen] = []
        self.asks = self.run
        """Runs the command that lists events. `invoke` instead is quick, for tests that ask 50 times a second."""
        self._settings = {
            "state_dir": str(self.state),
            "site": {"id": "courtyard-2", "clock": "trusted"},
            "gate": {"id": "front"},
            "models": {"dir": str(SHARED / "models"), "set": "evaluation"},
            "camera": {"kind": "replay", "path": str(self.folder / "frames")},
            "door": {"pins": "mock", "trace": str(self.trace_file), "release_s": 2.0, "contact_pin": 22, "rex_pin": 23},
        }
        self.write()

    def write(self, **tables) -> None:
        """Write the settings, with these changed from now on."""
        for name, value in tables.items():
            old = self._settings.get(name, {})
            self._settings[name] = {**old, **value} if isinstance(value, dict) else value
        self.config.write_text(toml(self._settings))
        assert tomllib.loads(self.config.read_text())

    def run(self, *arguments: str, check: int | None = None, env: dict | None = None) -> subprocess.CompletedProcess:
        """Run a command to its end. With `check`, the exit code must equal `check`."""
        command = [sys.executable, "-m", "gated", "--config", str(self.config), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        return _checked(done, check)

    def invoke(self, *arguments: str, check: int | None = None) -> subprocess.CompletedProcess:
        """Run a command as `run` does, but in this process. That saves the start of Python and all imports."""
        from gated.cli import main

        words = ["--config", str(self.config), *map(str, arguments)]
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        return _checked(subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr), check)

    def json(self, *arguments: str, check: int | None = None):
        """Run a command with `--json` and return its parsed output."""
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def start(self, *arguments: str, env: dict | None = None) -> subprocess.Popen:
        """Start a command in the background. The fixture kills it when the test ends."""
        command = [sys.executable, "-m", "gated", "--config", str(self.config), *map(str, arguments)]
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        self._processes.append(process)
        return process

    def log(self, command: str = "run") -> str:
        """Return the output that a started command has written so far."""
        return (self.folder / f"{command}.log").read_text()

    def trace(self) -> list[dict]:
        """Return every transition in the trace so far. Leaves out a last line that is not yet complete."""
        written = self.trace_file.read_text() if self.trace_file.exists() else ""
        return [json.loads(line) for line in written[: written.rfind("\n") + 1].splitlines()]

    def lock_is_on(self) -> bool:
        """Return True if the simulated coil is energised now."""
        changes = [change for change in self.trace() if change["line"] == "lock"]
        return bool(changes) and changes[-1]["on"]

    def events(self, *kinds: str) -> list[dict]:
        """Return the journal's events, or only the events of these kinds."""
        listed = json.loads(self.asks("events", "list", "--json", check=0).stdout)
        return [e for e in listed if not kinds or e["kind"] in kinds]

    def start_latch(self) -> subprocess.Popen:
        """Start a latch and wait until it answers. A brain that starts earlier would start a latch of its own."""
        latch = self.start("latch")
        with socket.socket(socket.AF_UNIX) as link:
            wait_for(lambda: link.connect_ex(str(self.state / "latch.sock")) == 0)
        return latch

    def children(self, command: str) -> list[int]:
        """Return the process ids of this brain's children that run this command."""
        brains = {str(process.pid) for process in self._processes if process.poll() is None}
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if parent in brains and command in (process / "cmdline").read_text().split("\0"):
                    found.append(int(process.name))
        return found

    def close(self) -> None:
        """Kill every process that still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


class Disk:
    """A small disk under a folder; it can be full or read-only. Without the right to mount, the folder loses its rights
    instead. That has nearly the same effect for every user but root.
    """

    BYTES = 12_000_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.BYTES},mode=700", "tmpfs", folder]
        self.is_its_own = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def freeze(self) -> None:
        """Make the disk read-only."""
        if self.is_its_own:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        else:
            self._rights(0o500, 0o400)

    def thaw(self) -> None:
        """Make the disk writable again."""
        if self.is_its_own:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
        else:
            self._rights(0o700, 0o600)

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        if not self.is_its_own:
            self.freeze()
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (65_536, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def make_room(self) -> None:
        """Free the space that `fill` used."""
        if not self.is_its_own:
            self.thaw()
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount the disk, or restore the folder's rights."""
        if self.is_its_own:
            subprocess.run(["umount", "--lazy", self.folder], check=True)
        else:
            self.thaw()

    def _rights(self, folder: int, file: int) -> None:
        self.folder.chmod(0o700)
        for path in self.folder.rglob("*"):
            path.chmod(folder if path.is_dir() else file)
        self.folder.chmod(folder)


def wait_for(true, timeout_s: float = 20.0, every_s: float = 0.02):
    """Wait until `true()` returns a true value, and return that value. Fails after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (value := true()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(every_s)
    return value


DEFAULT_STATE = Path("/var/lib/gated")
"""The default state folder. No test may write there."""


def _in_default_state():
    """Return each path in the default state folder with its modification time, or None."""
    found = DEFAULT_STATE.rglob("*") if os.access(DEFAULT_STATE, os.R_OK) else ()
    with contextlib.suppress(FileNotFoundError):
        return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="session")
def _a_gate_is_installed():
    """Return True if this machine has a real gate, which may write to the default state folder at any time."""
    return (DEFAULT_STATE / "journal.db").exists()


@pytest.fixture(autouse=True)
def _own_folder_only(_a_gate_is_installed):
    """Fail a test that writes to the default state folder. Tests that ran beside it may fail too."""
    before = _in_default_state()
    yield
    if not _a_gate_is_installed:
        assert _in_default_state() == before, f"this test has written to {DEFAULT_STATE}: give its gate a state_dir"


@contextlib.contextmanager
def _as_before():
    """Restore the log's level and handlers and the time zone, which a command in this process may change."""
    root, mqtt, zone = logging.getLogger(), logging.getLogger("mqtt"), os.environ.get("TZ")
    levels, handlers = (root.level, mqtt.level), root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(levels[0])
        mqtt.setLevel(levels[1])
        root.handlers[:] = handlers
        if zone != os.environ.get("TZ"):
            os.environ.pop("TZ", None)
            os.environ.update({} if zone is None else {"TZ": zone})
            time.tzset()


@pytest.fixture(autouse=True)
def _process_as_before():
    """Restore the log and the time zone after each test, so that no command affects the next test."""
    with _as_before():
        yield


def _who():
    """Return the user ids and groups of this process."""
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


@pytest.fixture(autouse=True)
def _oneself_again():
    """Fail a test that leaves this process as another user or in other groups. Restores both for the next tests."""
    before = _who()
    yield
    after = _who()
    if after != before and os.getresuid()[2] == 0:
        os.setresuid(0, 0, 0)
        os.setresgid(*before[1])
        os.setgroups(before[2])
        os.setresuid(*before[0])
    assert after == before, "this test has left the process as another user"


@pytest.fixture
def as_before():
    """Return the context manager of `_process_as_before`, for a part of a test."""
    return _as_before


@pytest.fixture
def gate(whole_gate):
    """Return a gate in its own folder."""
    return whole_gate


@pytest.fixture
def whole_gate(tmp_path):
    """Yield a gate in its own folder, for chapters where `gate` has a narrower meaning."""
    gate = Gate(tmp_path)
    gate.wait_for = wait_for
    yield gate
    gate.close()


@pytest.fixture
def disk(tmp_path):
    """Yield a small disk at the state folder of `gate`."""
    with contextlib.closing(Disk(tmp_path / "state")) as disk:
        yield disk


@pytest.fixture
def power_goes(monkeypatch):
    """Return a context manager: from call number `step` of a function on, each of its calls fails as without power.

    The context's value is a function that tells whether a call has failed.
    """

    @contextlib.contextmanager
    def at(home, name: str, step: int):
        left, real = step, getattr(home, name)

        def failing(*values, **more):
            nonlocal left
            left -= 1
            if left <= 0:
                raise OSError(5, "the power went")
            return real(*values, **more)

        with monkeypatch.context() as patch:
            patch.setattr(home, name, failing)
            yield lambda: left <= 0

    return at


@pytest.fixture
def open_folder():
    """Yield a folder that every user of this machine may enter, for tests that act as another user. Other users cannot
    enter pytest's folders, and may not be able to enter /tmp. Never changes the rights of an existing folder.
    """
    for place in (Path("/var/tmp"), Path("/dev/shm"), Path("/srv")):
        if place.is_dir() and all(path.stat().st_mode & 0o001 for path in (place, *place.parents)):
            break
    else:
        pytest.fail("no other user may enter /var/tmp, /dev/shm or /srv; run chmod o+x on one of them")
    with tempfile.TemporaryDirectory(prefix="gated-open-", dir=place) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def gate_at():
    """Return a context manager that makes a gate in a folder, for tests that share one gate."""

    @contextlib.contextmanager
    def at(folder):
        gate = Gate(folder)
        try:
            yield gate
        finally:
            gate.close()

    return at


@pytest.fixture(name="wait_for", scope="session")
def _wait_for():
    return wait_for


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with the real models and pictures. Skips the test if the folder is missing."""
    if not (SHARED / "models").exists():
        pytest.skip("needs the real models and pictures beside the project")
    return SHARED
