"""The versions on disk, which of them are whole, and which one runs."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from gated.errors import StateError, UpdateError
from gated.runtime.files import sync_folder, write_whole
from gated.update.signature import KEYS, Key, read_keys
from gated.update.trust import check_roots

ROOT = "/opt/gated"
UNFINISHED = "unfinished"
"""Beside the venv while it is built."""

_VERSION = re.compile(r"(?P<numbers>\d{1,9}(\.\d{1,9}){0,5})(\.?(?P<stage>dev|a|b|rc|post)(?P<count>\d{1,9}))?\Z")
_STAGES = ("dev", "a", "b", "rc", None, "post")

TRY_S = 60.0
"""A version that has not said what it is by then hangs; on a Pi with a slow card it takes some seconds."""

UNFIT = "unfit"
"""Beside the venv of a version that was taken back: it is not tried again without being asked for by name."""

Order = tuple[tuple[int, ...], int, int]


def order(version: str) -> Order:
    """What versions are compared by (PEP 440, without epochs and local parts). Raises `UpdateError` for none."""
    match = _VERSION.match(version) if version.isascii() else None
    if match is None:
        raise UpdateError(f"{version!r} is no version; write it as 0.2.0")
    numbers = [int(number) for number in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _STAGES.index(match["stage"]), int(match["count"] or 0)


class Releases:
    """The folder of releases. What cannot be read or written raises `StateError`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def current(self) -> str:
        """The version that runs, or would. Raises `StateError` where none was installed this way."""
        try:
            return (self.root / "current").readlink().name
        except OSError as error:
            advice = "install gated with systemd/install first"
            raise StateError(f"{self.root / 'current'}: names no release ({error.strerror}); {advice}") from error

    @property
    def keys(self) -> list[Key]:
        """Those that a release may be signed with; none where this gate believes none yet. Raises `UpdateError`."""
        path = self.root / KEYS
        if not path.exists() and not path.is_symlink():
            return []
        check_roots(path)
        return read_keys(path)

    def believe(self, keys: Sequence[Key]) -> None:
        """From now on these sign releases, and no others; on disk when this returns. Raises `StateError`."""
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_whole(self.root / KEYS, "".join(f"{key.line}\n" for key in keys).encode())
            (self.root / KEYS).chmod(0o644)
        except OSError as error:
            raise StateError(f"{self.root / KEYS}: cannot be written ({error.strerror}); run this as root") from error

    def folder(self, version: str) -> Path:
        """Where a version lies, or would."""
        return self.root / "releases" / version

    def program(self, version: str) -> Path:
        """Its `gated`."""
        return self.folder(version) / "venv" / "bin" / "gated"

    def is_whole(self, version: str) -> bool:
        """Whether it is there, and was built to the end. Whether it runs on this system, `trouble` says."""
        return self.program(version).is_file() and not (self.folder(version) / UNFINISHED).exists()

    def trouble(self, version: str) -> str:
        """Why a version does not run on this system, found by running it; empty where it does.

        A venv is of one Python: an upgrade of the whole system takes that away, and the files look as before.
        """
        program = self.program(version)
        try:
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, errors="replace", timeout=TRY_S, check=False
            )
        except FileNotFoundError:
            is_there = program.is_file()
            return "its Python is not on this system any more" if is_there else "it is not there"
        except subprocess.TimeoutExpired:
            return f"it does not answer within {TRY_S:g} s"
        except OSError as error:
            return f"it cannot be started ({error.strerror})"
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"])[-1]
        return ""

    def whole(self) -> list[str]:
        """The versions that could run, oldest first."""
        folder = self.root / "releases"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted((name for name in names if _VERSION.match(name) and self.is_whole(name)), key=order)

    def switch(self, version: str) -> None:
        """Have this version run from the next start on; on disk when this returns."""
        aside = self.root / ".current.new"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(f"releases/{version}")
            aside.replace(self.root / "current")
            sync_folder(self.root)
        except OSError as error:
            raise StateError(
                f"{self.root / 'current'}: cannot be turned ({error.strerror}); run this as root"
            ) from error

    def begin(self, version: str) -> Path:
        """An empty folder for a version that is being built. Until `finish` it counts as none."""
        folder = self.folder(version)
        try:
            self.remove(version)
            folder.mkdir(mode=0o755, parents=True)
            (folder / UNFINISHED).touch()
            sync_folder(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise StateError(f"{folder}: cannot be made ({error.strerror}); run this as root, and make room") from error
        return folder

    def finish(self, version: str) -> None:
        """It is whole: all of it is on disk before that is said."""
        os.sync()
        try:
            (self.folder(version) / UNFINISHED).unlink()
            sync_folder(self.folder(version))
        except OSError as error:
            raise StateError(f"{self.folder(version)}: cannot be written ({error.strerror})") from error

    def condemn(self, version: str) -> None:
        """It was taken back; on disk when this returns. Raises `StateError`."""
        folder = self.folder(version)
        try:
            if folder.is_dir():
                (folder / UNFIT).touch()
                sync_folder(folder)
        except OSError as error:
            raise StateError(f"{folder / UNFIT}: cannot be written ({error.strerror}); run this as root") from error

    def is_unfit(self, version: str) -> bool:
        """Whether it was taken back."""
        return (self.folder(version) / UNFIT).exists()

    def remove(self, version: str) -> None:
        """Take a version away; its program first, so that half of one never counts as whole."""
        program = self.program(version)
        if program.exists():
            program.unlink()
            sync_folder(program.parent)
        shutil.rmtree(self.folder(version), ignore_errors=True)

    def prune(self, keep: Collection[str]) -> None:
        """Take every version away but these, whole or not."""
        for path in (self.root / "releases").iterdir():
            if path.name not in keep:
                self.remove(path.name)
