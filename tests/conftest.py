"""What every test may lean on: a gate's settings in a folder of its own, and its real processes."""

import contextlib
import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

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


def wait_for(true, timeout_s: float = 20.0, every_s: float = 0.02):
    """Wait until something holds, and give what it gave; fails loudly when it never does."""
    deadline = time.monotonic() + timeout_s
    while not (value := true()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(every_s)
    return value


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
