"""A simulated power cut at any point of a running program, on the real files.

Python's audit hooks report each file before it is made, opened to write, renamed, linked or removed. `os.fsync` and
`os.sync` are watched too. At each such point a fork of this process copies the folder. It removes from the copy what no
fsync has stored yet, and goes on there: that is the gate after the cut. The watched process goes on unchanged. A copy
with the same content as an earlier one only counts.

A cut loses as much as POSIX allows. Each folder loses its newest name changes since its last sync; a prefix of them
stays, because a journal keeps their order. Each file that was not synced loses its end.
"""

import contextlib
import gc
import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR
WRITTEN = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "BEGIN", "COMMIT", "VACUUM")
"""SQL statements that change a database. tests/journal tests what SQLite itself has stored on disk."""

AfterCut = Callable[[Path, str, random.Random], None]
"""Goes on in a folder after a cut. Gets the folder, the interrupted operation and the dice."""
Was = bytes | str | None | bool
"""The previous state of a name: a file's bytes, a link's target, None for nothing, or True for a folder."""


class Power:
    """One watched folder. `report` is a file with one line of JSON for each cut."""

    def __init__(self, folder: Path, aside: Path, dice: random.Random, report: Path) -> None:
        self.folder, self.aside, self.dice, self.report = folder, aside, dice, report
        self.after_cut: AfterCut | None = None
        self.share = 1.0
        """The share of points at which the power is cut (0 to 1)."""
        self._names: list[tuple[Path, Path, Was]] = []
        self._data: set[Path] = set()
        self._is_busy = False
        self._cuts = 0
        watch_once(self)

    def turn_to(self, folder: Path, dice: random.Random, share: float, after_cut: "AfterCut | None") -> None:
        """Watch another folder from now on. Its whole content counts as stored."""
        self.folder = self.aside = folder
        self.dice, self.share, self.after_cut = dice, share, after_cut
        self._names, self._data, self._is_busy, self._cuts = [], set(), False, 0

    def point(self, what: str) -> None:
        """Cut the power here, if the dice say so."""
        if self.after_cut is None or self._is_busy or self.dice.random() >= self.share:
            return
        self._is_busy = True
        self._cuts += 1
        name = f"{self.aside.name}-{self._cuts}"
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._live_on(self.aside.with_name(name), what)
        os.waitpid(child, 0)
        self._is_busy = False

    def _live_on(self, copy: Path, what: str) -> None:
        problem = ""
        gc.disable()  # it would write to every page that this fork shares with its parent
        try:
            dice = random.Random(self.dice.random() + self._cuts)
            shutil.copytree(
                self.folder, copy, symlinks=True, ignore=lambda _, names: [n for n in names if n[-4:] == "-shm"]
            )
            self._lose(copy, dice)
            go_on, self.after_cut = self.after_cut, None
            assert go_on is not None
            if self._is_new(copy):
                go_on(copy, what, dice)
        except BaseException:  # noqa: BLE001 - it is told by the report
            problem = traceback.format_exc()
        finally:
            shutil.rmtree(copy, ignore_errors=True)
            line = json.dumps({"point": what, "cut": copy.name, "problem": problem})
            with contextlib.suppress(OSError), self.report.open("a") as file:
                file.write(line + "\n")
            os._exit(0)

    def _is_new(self, copy: Path) -> bool:
        """Return True if no earlier cut left this content. Two gates with the same content go on in the same way, so
        one of them is enough. The cuts that may follow differ with `share`, so it belongs to the content.
        """
        seen = self.report.with_name("seen")
        seen.mkdir(exist_ok=True)
        try:
            (seen / f"{digest(copy)}-{self.share}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _lose(self, copy: Path, dice: random.Random) -> None:
        for path in self._data:
            there = copy / path.relative_to(self.folder)
            if there.is_file() and not there.is_symlink():
                os.truncate(there, dice.randint(0, there.stat().st_size))
        for folder in sorted({folder for folder, _, _ in self._names}, key=lambda path: -len(path.parts)):
            names = [entry for entry in self._names if entry[0] == folder]
            for _, path, was in names[::-1][: dice.randint(0, len(names))]:
                put(copy / path.relative_to(self.folder), was)

    def before(self, event: str, args: tuple) -> None:
        """Record a change that is about to happen."""
        if self._is_busy:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(path, int) or not flags & (WRITES | os.O_CREAT):
                return
            self._changes(event, self._path(path, -1), is_data=True)
        elif event == "os.rename":
            source, target = self._path(args[0], args[2]), self._path(args[1], args[3])
            self._changes(event, target, source)
        elif event == "os.symlink":
            self._changes(event, self._path(args[1], args[2]))
        elif event in {"os.remove", "os.rmdir"}:
            self._changes(event, self._path(args[0], args[1]))
        elif event == "os.mkdir":
            self._changes(event, self._path(args[0], args[2]))

    def command(self, name: str, paths: list[Path]) -> None:
        """Record a command that sh is about to run: rm, mv, ln, sync, or sed into `.trial.counted`."""
        if name == "mv":
            self._changes(name, paths[1], paths[0])
        elif name in {"rm", "ln"}:
            self._changes(name, paths[-1])
        elif name == "sed":
            self._changes(name, paths[-1].with_name(".trial.counted"), is_data=True)
        elif name == "sync":
            self.synced(paths[0].resolve())

    def _path(self, path: str | bytes | os.PathLike, at: int) -> Path:
        name = Path(os.fsdecode(path))
        return Path(f"/proc/self/fd/{at}").readlink() / name if at >= 0 else Path.cwd() / name

    def _changes(self, event: str, path: Path, source: Path | None = None, *, is_data: bool = False) -> None:
        if not path.is_relative_to(self.folder):
            return
        self.point(f"{event} {path.relative_to(self.folder)}")
        was = value_of(path)
        if is_data:
            self._data.add(path)
            if was is not None:
                return
        self._names.append((path.parent, path, was))
        if source is not None:
            self._names.append((source.parent, source, value_of(source)))
            if source in self._data:
                self._data.add(path)
            self._data.discard(source)
        elif not is_data:
            self._data.discard(path)

    def synced(self, path: Path | None) -> None:
        """Mark a file or folder as stored on disk. None marks everything."""
        if path is None:
            self._names, self._data = [], set()
            return
        self.point(f"fsync {path.name}")
        self._names = [entry for entry in self._names if entry[0] != path]
        self._data.discard(path)


def digest(folder: Path) -> str:
    """Return a digest over all names in a folder and what they hold."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        was = value_of(path)
        held = hashlib.sha256(was).hexdigest() if isinstance(was, bytes) else was
        found.update(repr((str(path.relative_to(folder)), type(was), held)).encode())
    return found.hexdigest()


def value_of(path: Path) -> Was:
    """Return the present state of a name."""
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir():
        return True
    return path.read_bytes() if path.exists() else None


def put(path: Path, was: Was) -> None:
    """Restore a name's earlier state, if its folder exists."""
    if not path.parent.is_dir():
        return
    if path.is_dir() and not path.is_symlink():
        if was is True:
            return
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(was, str):
        path.symlink_to(was)
    elif was is True:
        path.mkdir()
    elif isinstance(was, bytes):
        path.write_bytes(was)


def watch_once(power: Power) -> None:
    """Report this process's file operations to `power` from now on. Python cannot remove an audit hook."""
    fsync, connect = os.fsync, sqlite3.connect

    def hook(event: str, args: tuple) -> None:
        if event in {"open", "os.rename", "os.symlink", "os.remove", "os.rmdir", "os.mkdir"}:
            power.before(event, args)

    def watched_fsync(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        fsync(fd)
        power.synced(path)

    def watched_sync() -> None:
        power.point("sync")
        power.synced(None)

    def watched_connect(*args, **kwargs):
        connection = connect(*args, **kwargs)
        name = Path(str(args[0])).name
        connection.set_trace_callback(
            lambda sql: power.point(f"{name}: {sql[:40]}") if sql.lstrip().upper().startswith(WRITTEN) else None
        )
        return connection

    os.fsync, os.sync, sqlite3.connect = watched_fsync, watched_sync, watched_connect
    sys.addaudithook(hook)
