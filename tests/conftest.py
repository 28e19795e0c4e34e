"""What every test may lean on: a gate's settings in a folder of its own, and its real processes."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    # Under nohup, or in the background of a script, they are ignored; the processes that tests start inherit that,
    # and a test that ends one with them waits for ever.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)

SHARED = Path(__file__).parents[2] / "shared"


def toml(tables: dict) -> str:
    """Settings as a file: plain values first, then one table a chapter."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in tables.items() if not isinstance(v, dict)]
    parts = [
        f"\n[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in table.items())
        for name, table in tables.items()
        if isinstance(table, dict)
    ]
    return "\n".join(plain + parts) + "\n"


class Gate:
    """One gate with mock pins: its settings, its state folder, its trace and its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.trace_file = folder / "trace.jsonl"
        self.config = folder / "gated.toml"
        self._processes: list[subprocess.Popen] = []
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
        """Run a command to its end; with `check` it must end with that code."""
        command = [sys.executable, "-m", "gated", "--config", str(self.config), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        if check is not None:
            assert done.returncode == check, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, check: int | None = None):
        """Run a command and read what it printed for programs."""
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def start(self, *arguments: str, env: dict | None = None) -> subprocess.Popen:
        """Start a command that goes on; it is killed with the test."""
        command = [sys.executable, "-m", "gated", "--config", str(self.config), *map(str, arguments)]
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        self._processes.append(process)
        return process

    def log(self, command: str = "run") -> str:
        """What a started command has said so far."""
        return (self.folder / f"{command}.log").read_text()

    def trace(self) -> list[dict]:
        """Every transition of the lock so far; the end of a line may be on its way while we read."""
        written = self.trace_file.read_text() if self.trace_file.exists() else ""
        return [json.loads(line) for line in written[: written.rfind("\n") + 1].splitlines()]

    def lock_is_on(self) -> bool:
        """Whether the simulated coil is energised now."""
        changes = [change for change in self.trace() if change["line"] == "lock"]
        return bool(changes) and changes[-1]["on"]

    def events(self, *kinds: str) -> list[dict]:
        """The journal, or only some kinds of facts in it."""
        return [e for e in self.json("events", "list", check=0) if not kinds or e["kind"] in kinds]

    def children(self, command: str) -> list[int]:
        """The processes of this gate's brain that run a command."""
        brains = {str(process.pid) for process in self._processes if process.poll() is None}
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if parent in brains and command in (process / "cmdline").read_text().split("\0"):
                    found.append(int(process.name))
        return found

    def close(self) -> None:
        """End everything that still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


class Disk:
    """A small disk of its own under a folder, that can be full and read-only; for who may mount none, a folder whose
    rights are taken away, which is much the same to everybody but root.
    """

    BYTES = 12_000_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.BYTES},mode=700", "tmpfs", folder]
        self.is_its_own = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def freeze(self) -> None:
        """From now on nothing can be written."""
        if self.is_its_own:
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        else:
            self._rights(0o500, 0o400)

    def thaw(self) -> None:
        """It can be written again."""
        if self.is_its_own:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
        else:
            self._rights(0o700, 0o600)

    def fill(self) -> None:
        """Leave no byte free."""
        if not self.is_its_own:
            self.freeze()
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (65_536, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def make_room(self) -> None:
        """And leave many free again."""
        if not self.is_its_own:
            self.thaw()
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away."""
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
    """Wait until something holds, and give what it gave; fails loudly when it never does."""
    deadline = time.monotonic() + timeout_s
    while not (value := true()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(every_s)
    return value


DEFAULT_STATE = Path("/var/lib/gated")
"""The state folder of settings that name none: no test's."""


def _in_default_state():
    """What lies there, and when it was written."""
    found = DEFAULT_STATE.rglob("*") if os.access(DEFAULT_STATE, os.R_OK) else ()
    with contextlib.suppress(FileNotFoundError):
        return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="session")
def _a_gate_is_installed():
    """Whether this machine has a gate of its own, which writes there whenever it likes."""
    return (DEFAULT_STATE / "journal.db").exists()


@pytest.fixture(autouse=True)
def _own_folder_only(_a_gate_is_installed):
    """A test that writes to the state folder of settings that name none fails; so may those that ran beside it."""
    before = _in_default_state()
    yield
    if not _a_gate_is_installed:
        assert _in_default_state() == before, f"this test has written to {DEFAULT_STATE}: give its gate a state_dir"


@contextlib.contextmanager
def _as_before():
    """Undo what a command that runs in this process changes of it: the log's level and handlers, and the time zone."""
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
    """No test hears more of the log, or tells other times, because of a command that ran before it."""
    with _as_before():
        yield


def _who():
    """User and groups of this process."""
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


@pytest.fixture(autouse=True)
def _oneself_again():
    """A test that leaves this process as another user, or in other groups, fails; the next ones have it as it was."""
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
    """The same for a part of a test."""
    return _as_before


@pytest.fixture
def gate(whole_gate):
    """A gate in a folder of its own."""
    return whole_gate


@pytest.fixture
def whole_gate(tmp_path):
    """The same, for chapters where `gate` means something smaller."""
    gate = Gate(tmp_path)
    gate.wait_for = wait_for
    yield gate
    gate.close()


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, under the state folder of `gate`."""
    with contextlib.closing(Disk(tmp_path / "state")) as disk:
        yield disk


@pytest.fixture
def open_folder():
    """A folder that every user of this machine may enter, for tests that act as another one: pytest's own are shut to
    others, and /tmp need not be open to them. It never changes the rights of a folder that is not its own.
    """
    for place in (Path("/var/tmp"), Path("/dev/shm"), Path("/srv")):
        if place.is_dir() and all(path.stat().st_mode & 0o001 for path in (place, *place.parents)):
            break
    else:
        pytest.fail("none of /var/tmp, /dev/shm and /srv may be entered by every user; mend that with chmod o+x")
    with tempfile.TemporaryDirectory(prefix="gated-open-", dir=place) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def gate_at():
    """Call it in `with`, with a folder: a gate there, for tests that share one."""

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
    """The real models and pictures that lie beside the project; without them the test is skipped."""
    if not (SHARED / "models").exists():
        pytest.skip("needs the real models and pictures beside the project")
    return SHARED
