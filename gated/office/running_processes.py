"""Shows by kernel locks which processes run: an operator's for a command, or a `gated office serve` for its gates.

Each process locks its own file. The kernel releases the lock when the process ends for any reason. An operator's file
also has a heartbeat, because a stopped process keeps its lock but waits for nothing.
"""

import fcntl
import os
import re
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from gated.errors import OfficeError, StateError
from gated.runtime.file_locks import content_if_held, is_held

WAITING, SERVING = "waiting", "serving"
HEARTBEAT_S = 2.0
"""Limit in seconds for the age of an operator's heartbeat. After that, the operator does not wait any more."""
_HEARTBEAT = struct.Struct("<d")


def owner_check(number: int, count: int) -> Callable[[str], bool]:
    """Return a function that returns whether the process with this number serves a gate."""
    return lambda gate: crc32(gate.encode()) % count == number


class LockedFile:
    """A file that this process locks until `close` or until its end."""

    def __init__(self, path: Path) -> None:
        """Create and lock the file. Raises `StateError` if the folder cannot be written."""
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # a process that checks the lock holds it for a moment
        except OSError as error:
            raise StateError(f"{path}: cannot be written ({error.strerror}); run this as the office's user") from error

    def write(self, content: bytes) -> None:
        """Write the content at the start of the file."""
        os.pwrite(self._fd, content, 0)

    def close(self) -> None:
        """Delete the file and release the lock."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._fd)


class Waiting:
    """An operator's process that waits for these commands.

    It waits from construction to `close`, and must call `heartbeat`.
    """

    def __init__(self, folder: Path, command_ids: Iterable[str]) -> None:
        """Lock one file per command. Call this before a command is stored. Raises `StateError`."""
        self._files: list[LockedFile] = []
        try:
            for command_id in command_ids:
                self._files.append(LockedFile(folder / WAITING / command_id))
            self.heartbeat()
        except StateError:
            self.close()
            raise

    def heartbeat(self) -> None:
        """Write a heartbeat, to prove that this process is not stopped. Call it a few times a second."""
        for file in self._files:
            file.write(_HEARTBEAT.pack(time.monotonic()))

    def close(self) -> None:
        """Stop waiting. May be called twice."""
        while self._files:
            self._files.pop().close()


def is_waiting(folder: Path, command_id: str) -> bool:
    """Return whether the process of this command's operator waits for it at this moment."""
    heartbeat = content_if_held(folder / WAITING / command_id)
    if heartbeat is None or len(heartbeat) < _HEARTBEAT.size:
        return False
    (at,) = _HEARTBEAT.unpack_from(heartbeat)  # the holder lives, so both use the same monotonic clock
    return bool(abs(time.monotonic() - at) <= HEARTBEAT_S)


def mark_serving(folder: Path, number: int, count: int) -> LockedFile:
    """Mark this process as serving its share of the gates. Raises `StateError`."""
    return LockedFile(folder / SERVING / f"{number + 1}-{count}")


def is_served(folder: Path, gate: str) -> bool:
    """Return whether a running `gated office serve` serves this gate."""
    for path in (folder / SERVING).glob("*-*"):
        share = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,2})", path.name)
        if share and owner_check(int(share[1]) - 1, int(share[2]))(gate) and is_held(path):
            return True
    return False


def require_served(folder: Path, gates: Iterable[str]) -> None:
    """Raise `OfficeError` for the gates that no process serves."""
    alone = [gate for gate in gates if not is_served(folder, gate)]
    if alone:
        names = ", ".join(alone)
        raise OfficeError(
            f"no `gated office serve` in {folder} serves {names}; start it and send the command again. Nothing was sent"
        )
