"""Manages the versions on disk: builds, removes and switches them, and knows which one runs."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from gated.atomic_files import atomic_write, sync_folder
from gated.errors import StateError, UpdateError
from gated.update.root_only import check_roots
from gated.update.signature import KEYS, Key, read_keys

ROOT = "/opt/gated"
"""Default folder of the releases."""
UNFINISHED = "unfinished"
"""Name of a file beside the venv while a version is being built."""

_VERSION = re.compile(r"(?P<numbers>\d{1,9}(\.\d{1,9}){0,5})(\.?(?P<stage>dev|a|b|rc|post)(?P<count>\d{1,9}))?\Z")
_STAGES = ("dev", "a", "b", "rc", None, "post")

TRY_S = 60.0
"""Limits how long a version may take to print its version, in seconds. A Pi with a slow card takes some seconds."""

UNFIT = "unfit"
"""A file beside the venv of a withdrawn version. The gate tries this version again only if it is named."""

Order = tuple[tuple[int, ...], int, int]
"""Sort key of a version: numbers, stage, count of the stage."""


def version_order(version: str) -> Order:
    """Return the sort key of a version (PEP 440, without epochs and local parts).

    Raises `UpdateError` for an invalid one.
    """
    match = _VERSION.match(version) if version.isascii() else None
    if match is None:
        raise UpdateError(f"{version!r} is not a version; write it as 0.2.0")
    numbers = [int(number) for number in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _STAGES.index(match["stage"]), int(match["count"] or 0)


class Releases:
    """The folder of releases. Raises `StateError` for what cannot be read or written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def current(self) -> str:
        """Return the version that runs or starts next. Raises `StateError` if gated was not installed this way."""
        try:
            return (self.root / "current").readlink().name
        except OSError as error:
            advice = "install gated with systemd/install first"
            raise StateError(f"{self.root / 'current'}: names no release ({error.strerror}); {advice}") from error

    @property
    def keys(self) -> list[Key]:
        """Return the keys that may sign a release; empty if this gate trusts no key yet. Raises `UpdateError`."""
        path = self.root / KEYS
        if not path.exists() and not path.is_symlink():
            return []
        check_roots(path)
        return read_keys(path)

    def trust_keys(self, keys: Sequence[Key]) -> None:
        """Trust these release keys and no others from now on. They are on disk on return. Raises `StateError`."""
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            atomic_write(self.root / KEYS, "".join(f"{key.line}\n" for key in keys).encode())
            (self.root / KEYS).chmod(0o644)
        except OSError as error:
            raise StateError(f"{self.root / KEYS}: cannot be written ({error.strerror}); run this as root") from error

    def folder(self, version: str) -> Path:
        """Return the folder of a version, whether it exists or not."""
        return self.root / "releases" / version

    def program(self, version: str) -> Path:
        """Return the path of a version's `gated`."""
        return self.folder(version) / "venv" / "bin" / "gated"

    def is_whole(self, version: str) -> bool:
        """Return whether the version is on disk and its build finished.

        `trouble` tells whether it runs on this system.
        """
        return self.program(version).is_file() and not (self.folder(version) / UNFINISHED).exists()

    def trouble(self, version: str) -> str:
        """Return why a version does not run on this system, by running it; empty if it runs.

        A venv depends on one Python. A system upgrade can remove that Python and leave the venv's files unchanged.
        """
        program = self.program(version)
        try:
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, errors="replace", timeout=TRY_S, check=False
            )
        except FileNotFoundError:
            exists = program.is_file()
            return "its Python is not on this system any more" if exists else "it is not there"
        except subprocess.TimeoutExpired:
            return f"it does not answer within {TRY_S:g} s"
        except OSError as error:
            return f"it cannot be started ({error.strerror})"
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"it ends with {done.returncode}"])[-1]
        return ""

    def whole(self) -> list[str]:
        """Return the finished versions, oldest first."""
        folder = self.root / "releases"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted((name for name in names if _VERSION.match(name) and self.is_whole(name)), key=version_order)

    def switch(self, version: str) -> None:
        """Make a version run from the next start on. The switch is on disk on return. Raises `StateError`."""
        aside = self.root / ".current.new"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(f"releases/{version}")
            aside.replace(self.root / "current")
            sync_folder(self.root)
        except OSError as error:
            raise StateError(
                f"{self.root / 'current'}: cannot be switched ({error.strerror}); run this as root"
            ) from error

    def begin(self, version: str) -> Path:
        """Return an empty folder for a version to be built. The version does not count until `finish`."""
        folder = self.folder(version)
        try:
            self.remove(version)
            folder.mkdir(mode=0o755, parents=True)
            (folder / UNFINISHED).touch()
            sync_folder(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise StateError(
                f"{folder}: cannot be made ({error.strerror}); run this as root, and free some space"
            ) from error
        return folder

    def finish(self, version: str) -> None:
        """Mark a version as finished, after syncing all its files to disk."""
        os.sync()
        try:
            (self.folder(version) / UNFINISHED).unlink()
            sync_folder(self.folder(version))
        except OSError as error:
            raise StateError(f"{self.folder(version)}: cannot be written ({error.strerror})") from error

    def condemn(self, version: str) -> None:
        """Mark a version as taken back. The mark is on disk on return. Raises `StateError`."""
        folder = self.folder(version)
        try:
            if folder.is_dir():
                (folder / UNFIT).touch()
                sync_folder(folder)
        except OSError as error:
            raise StateError(f"{folder / UNFIT}: cannot be written ({error.strerror}); run this as root") from error

    def is_unfit(self, version: str) -> bool:
        """Return whether the version was taken back."""
        return (self.folder(version) / UNFIT).exists()

    def remove(self, version: str) -> None:
        """Remove a version. Removes its program first, so that a half-removed version never counts as finished."""
        program = self.program(version)
        if program.exists():
            program.unlink()
            sync_folder(program.parent)
        shutil.rmtree(self.folder(version), ignore_errors=True)

    def prune(self, keep: Collection[str]) -> None:
        """Remove every version except `keep`, finished or not."""
        for path in (self.root / "releases").iterdir():
            if path.name not in keep:
                self.remove(path.name)
