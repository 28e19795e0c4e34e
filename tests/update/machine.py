"""A gate that is updated in a folder. Only systemd and the versions are stand-ins.

The updater, the guard under sh, the journal and every database are real. A version is one entry of `KINDS`. Its program
is a line of sh that the guard can start; this module does its work.
"""

import contextlib
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from power import Power

from gated.config import GateSettings, Settings, SiteSettings
from gated.errors import BusyError, StateError, UpdateError
from gated.events import Degraded, Started
from gated.journal.journal import Journal
from gated.storage import database
from gated.storage.process_lock import FileLock
from gated.update import build, health, rehearsal, updater
from gated.update.release import Releases
from gated.update.updater import Updater

GUARD = Path(__file__).parents[2] / "systemd" / "guard"
OLD, NEW = "0.1.0", "0.2.0"
NOW = datetime(2026, 11, 28, tzinfo=UTC)

KINDS = ("good", "dead", "late", "sick", "unwell")
"""Kinds of new version. good: works. dead: ends at once. late: changes the databases, writes, and ends before READY.
sick: is on duty without its camera. unwell: ends a while after READY, each time.
"""

NEWER = {
    "people.db": (
        "ALTER TABLE people ADD COLUMN pronouns TEXT NOT NULL DEFAULT '';"
        "UPDATE people SET pronouns = 'they'\n-- back\nALTER TABLE people DROP COLUMN pronouns"
    ),
    "journal.db": "CREATE TABLE extra (a TEXT) STRICT; INSERT INTO extra VALUES ('x')\n-- back\nDROP TABLE extra",
}
"""The schema changes of the new version."""


OURS = {name: tuple(migrations) for name, migrations in rehearsal.SCHEMAS.items()}


class Clock:
    """A clock that moves only when the code sleeps. `tick` runs meanwhile."""

    def __init__(self) -> None:
        self.now, self.tick = 0.0, lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.tick()


class Machine:
    """A gate in a folder: `opt` stands for /opt/gated, `state` for /var/lib/gated."""

    def __init__(self, folder: Path, kind: str, shims: Path, power: Power | None = None) -> None:
        self.folder, self.kind, self.shims, self.power = folder, kind, shims, power
        self.root, self.state = folder / "opt", folder / "state"
        self.settings = Settings(SiteSettings("s"), GateSettings("g"), state_dir=str(self.state))
        self.releases = Releases(self.root)
        know(OURS)  # the process may hold the other version's schemas when the power fails
        self.clock = Clock()
        self.clock.tick = self._tick
        self.wanted, self.duty, self.starts = False, "", 0
        self._held: FileLock | None = None
        updater.time, updater.run, build.run = self.clock, self._run, self._run
        build._install = self._install
        health._latch_trouble = lambda settings: ""
        self.updater = Updater(self.root, folder / "gated.toml", self.settings, self, 20.0)

    def install(self, people: int = 3) -> None:
        """Install a gate that runs the old version, with people, keys and a journal."""
        for name, migrations in rehearsal.SCHEMAS.items():
            database.connect(self.state / name, migrations).close()
        with closing(sqlite3.connect(self.state / "people.db", isolation_level=None)) as connection:
            for number in range(people):
                row = (f"subject-{number}", "Wang Fang", "12", "active", NOW.isoformat())
                connection.execute(
                    "INSERT INTO people (subject, name, household, status, enrolled_at) VALUES (?, ?, ?, ?, ?)", row
                )
        self._program(self.releases.folder(OLD))
        self.releases.switch(OLD)
        self.restart()

    # Answers to the updater's calls to systemd.

    def restart(self) -> None:
        self._end()
        self.wanted = True
        self.guard("latch")
        self._tick()

    def stop_brain(self) -> None:
        self._end()
        self.wanted = False

    def run(self) -> str:
        return self.duty

    def boot(self) -> None:
        """Start the units as systemd does after a power cut, until a brain is on duty."""
        self.restart()
        for _ in range(8):
            if self.duty:
                return
            self._tick()
        raise AssertionError(f"no brain on duty after {self.starts} starts of {self.releases.current}")

    def _end(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
        self.duty = ""

    def _tick(self) -> None:
        """Let some seconds pass."""
        if self.duty and self.kind == "unwell" and self.releases.current == NEW:
            self._end()
        elif self.wanted and not self.duty:
            self.guard("brain")
            self._start()

    def _start(self) -> None:
        """Start the brain of the current version."""
        version = self.releases.current
        assert self.releases.is_whole(version), f"{version} was started and is not whole"
        self.starts += 1
        if version == NEW and self.kind == "dead":
            return
        try:
            with self._schemas(version):
                held = FileLock(self.state / "run.lock", "a gate")
                for name, migrations in rehearsal.SCHEMAS.items():
                    database.connect(self.state / name, migrations).close()
                with self._journal() as journal:
                    journal.append(Started(version, "0" * 64), NOW)
                    if version == NEW and self.kind == "late":
                        held.close()
                        return
                    is_sick = version == NEW and self.kind == "sick"
                    journal.append(Degraded(["vision"] if is_sick else []), NOW)
        except StateError:
            held.close()  # the brain gives its reason and ends
            return
        self._held, self.duty = held, str(self.starts)

    # Answers to calls of a version's program.

    @contextlib.contextmanager
    def _schemas(self, version: str):
        newer = NEWER if version == NEW else {}
        know({name: [*ours, newer[name]] if name in newer else ours for name, ours in OURS.items()})
        try:
            yield
        finally:
            know(OURS)

    def _run(self, command, owner=None, longest_s=0.0) -> str:
        """Run a version's program."""
        version = Path(command[0]).parents[2].name
        if not Path(command[0]).is_file():
            raise UpdateError(f"{command[0]}: is not there")
        if command[-1] == "--version":
            return f"gated, version {version}"
        if command[-1] == "verify":
            return ""
        with self._schemas(version):
            return self.step(command[-1])

    def step(self, name: str) -> str:
        """Run `gated update --step` as `gated.cli.update` does."""
        if name == "look":
            return msgspec.json.encode(health.observe_gate(self.settings)).decode()
        if name == "migrate":
            rehearsal.migrate_copies(self.state)
        elif name == "keep":
            self.updater.keep()
        else:
            with self.updater.alone():
                self.updater.finish_rollback()
        return ""

    def _install(self, folder: Path, version: str, wheels) -> None:
        self._program(folder.parent)

    def _program(self, folder: Path) -> None:
        program = folder / "venv" / "bin" / "gated"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && exit 0\n'
            'echo "gated $*" >"$ASK"\nread -r answer <"$ANSWER"\nexit "$answer"\n'
        )
        program.chmod(0o755)

    def _journal(self):
        return closing(Journal.open(self.state, "s", "g"))

    # The guard.

    def guard(self, unit: str) -> None:
        """Run the real guard, as `ExecStartPre=+/opt/gated/guard UNIT` does. It asks this process before each
        command.
        """
        if not (self.root / "trial").exists():
            return  # the real guard checks this first
        ask, answer = os.pipe(), os.pipe()
        pipes = {"ASK": f"/dev/fd/{ask[1]}", "ANSWER": f"/dev/fd/{answer[0]}"}
        is_watched = self.power is not None and self.power.after_cut is not None
        path = f"{self.shims / 'asks' if is_watched else self.shims}:/usr/bin:/bin"
        env = {"PATH": path, "GATED_ROOT": str(self.root), **pipes}
        process = subprocess.Popen(
            ["/bin/sh", str(GUARD), unit], env=env, pass_fds=(ask[1], answer[0]), stderr=subprocess.DEVNULL
        )
        os.close(ask[1])
        os.close(answer[0])
        with os.fdopen(ask[0]) as questions, os.fdopen(answer[1], "w", buffering=1) as answers:
            for line in questions:
                words = line.split()
                answers.write(f"{self._settled() if words[0] == 'gated' else self._told(words)}\n")
        assert process.wait() == 0, "the guard kept the gate from starting"

    def _settled(self) -> int:
        try:
            with self._schemas(OLD):
                self.step("settle")
        except (BusyError, StateError):
            return 3
        return 0

    def _told(self, words: list[str]) -> int:
        if self.power is not None:
            self.power.command(words[0], [self.root / word for word in words[1:] if not word.startswith("-")])
        return 0


def know(schemas) -> None:
    """Make this process use the schemas of one version."""
    rehearsal.SCHEMAS.update(schemas)
    rehearsal.journal.MIGRATIONS[:] = schemas["journal.db"]


SHIM = """#!/bin/sh
echo "${0##*/} $*" >"$ASK"
read -r answer <"$ANSWER"
exec /usr/bin/${0##*/} "$@"
"""


def make_shims(folder: Path) -> None:
    """Write commands for sh's PATH: a systemctl that does nothing. In `asks`, each command of the guard asks this
    process first.
    """
    asks = folder / "asks"
    asks.mkdir(parents=True)
    for name in ("sed", "sync", "mv", "ln", "rm", "readlink"):
        (asks / name).write_text(SHIM)
        (asks / name).chmod(0o755)
    for place in (folder, asks):
        (place / "systemctl").symlink_to("/bin/true")
