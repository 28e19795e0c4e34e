"""Who waits, proved by the kernel: an operator for an order, and a `gated office serve` for its gates.

Each holds a lock on a file of its own, which the kernel gives back when its process ends, however it ends. An
operator's file also has a beat: a process that was stopped holds its lock and waits for nothing.
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

ORDERS, SERVING = "waiting", "serving"
BEAT_S = 2.0
"""An operator's process that has not beaten for so long does not wait."""
_BEAT = struct.Struct("<d")


def owner(number: int, count: int) -> Callable[[str], bool]:
    """Whether a gate is one of those that the process with that number speaks for."""
    return lambda gate: crc32(gate.encode()) % count == number


class Held:
    """A file that this process holds until `close`, or until it ends."""

    def __init__(self, path: Path) -> None:
        """Make it and hold it. Raises `StateError` when the folder cannot be written."""
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # whoever asks holds it for a moment
        except OSError as error:
            raise StateError(f"{path}: cannot be written ({error.strerror}); run this as the office's user") from error

    def write(self, content: bytes) -> None:
        """Put this in it."""
        os.pwrite(self._fd, content, 0)

    def close(self) -> None:
        """Give it back, and leave nothing."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._fd)


class Waiting:
    """An operator's process, which waits for these orders: from construction to `close`, while it calls `beat`."""

    def __init__(self, folder: Path, orders: Iterable[str]) -> None:
        """Before an order is written. Raises `StateError`."""
        self._held: list[Held] = []
        try:
            for order in orders:
                self._held.append(Held(folder / ORDERS / order))
            self.beat()
        except StateError:
            self.close()
            raise

    def beat(self) -> None:
        """Prove that this process waits, and is not stopped. Call it a few times a second."""
        for held in self._held:
            held.write(_BEAT.pack(time.monotonic()))

    def close(self) -> None:
        """Nobody waits any more. May be called twice."""
        while self._held:
            self._held.pop().close()


def is_waiting(folder: Path, order: str) -> bool:
    """Whether the process that placed this order waits for it at this moment."""
    beat = _content_if_held(folder / ORDERS / order)
    if beat is None or len(beat) < _BEAT.size:
        return False
    (at,) = _BEAT.unpack_from(beat)  # its holder lives, so that its monotonic clock is ours
    return bool(abs(time.monotonic() - at) <= BEAT_S)


def serving(folder: Path, number: int, count: int) -> Held:
    """Be the process that speaks for its share of the gates, for whoever asks. Raises `StateError`."""
    return Held(folder / SERVING / f"{number + 1}-{count}")


def is_served(folder: Path, gate: str) -> bool:
    """Whether a `gated office serve` is at work that speaks for this gate."""
    for path in (folder / SERVING).glob("*-*"):
        share = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,2})", path.name)
        if share and owner(int(share[1]) - 1, int(share[2]))(gate) and _content_if_held(path) is not None:
            return True
    return False


def require_served(folder: Path, gates: Iterable[str]) -> None:
    """Raise `OfficeError` for the gates that nobody speaks for."""
    alone = [gate for gate in gates if not is_served(folder, gate)]
    if alone:
        which = ", ".join(alone)
        raise OfficeError(
            f"no `gated office serve` is at work in {folder} for {which}; start it, and order again. "
            "Nothing was ordered"
        )


def _content_if_held(path: Path) -> bytes | None:
    """What is in a file that some process holds; None where none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 64, 0)
    except OSError:
        return None
    finally:
        os.close(fd)
    return None
