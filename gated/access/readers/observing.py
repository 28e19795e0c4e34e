"""Let an installer observe the readers (`gated readers show`) and borrow the USB readers (`gated readers learn`).

The brain holds the readers exclusively, so no other process can read them. The brain therefore sends each reading to a
socket in the state folder. Only root and the gate's user can create this socket. Nothing is stored. `gated readers
learn` locks a file in the state folder. While the file is locked, the brain releases its USB readers. The kernel
removes the lock when that command ends.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from gated.errors import BusyError, StateError
from gated.runtime.file_locks import is_held
from gated.wording import UNDECODABLE

READINGS_SOCKET, LOAN_FILE = "readers.sock", "readers.loan"
MOST_READING_BYTES = 4096
LOCK_TRIES = 20
RUN_AS = "run this as root or as the gate's user"


class ReaderReading(msgspec.Struct, frozen=True):
    """One reading of a reader. A PIN's reading contains no digits. The caller shows it on one terminal and stores it
    nowhere.
    """

    reader: str
    door: str
    kind: Literal["card", "pin", "odd"]
    number: str = ""
    """The number of a card, in the form that `people.card_readings` reads."""
    detail: str = msgspec.field(name="what", default="")
    """What the reader sent, without a digit."""


class ReadingSender:
    """The brain's end of the socket. It sends every reading to the listener, and never waits."""

    def __init__(self, state: Path | None) -> None:
        self._path = None if state is None else state / READINGS_SOCKET

    def send(self, reading: ReaderReading) -> None:
        """Send a reading if a listener exists."""
        if self._path is None or not self._path.exists():
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(msgspec.json.encode(reading), str(self._path))


@contextmanager
def reading_socket(state: Path) -> Iterator[socket.socket]:
    """Open the socket on which the brain's readings arrive. Raises `StateError` if it cannot be created."""
    path = state / READINGS_SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        try:
            path.unlink(missing_ok=True)  # left by a killed process
            receiver.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            raise StateError(f"{path}: cannot be made ({error.strerror}); {RUN_AS}") from error
        try:
            yield receiver
        finally:
            path.unlink(missing_ok=True)


def next_reading(receiver: socket.socket, wait_s: float) -> ReaderReading | None:
    """Return the next valid reading within `wait_s` seconds, else None."""
    receiver.settimeout(wait_s)
    try:
        return msgspec.json.decode(receiver.recv(MOST_READING_BYTES), type=ReaderReading)
    except (TimeoutError, *UNDECODABLE):
        return None


@contextmanager
def borrowed(state: Path) -> Iterator[None]:
    """Borrow the USB readers from the brain, which releases them within about a second.

    Raises `BusyError` if another process uses the readers, and `StateError` if the state folder is not writable.
    """
    path = state / LOAN_FILE
    if not state.is_dir():  # no gate has ever run here
        yield
        return
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"{path}: cannot be made ({error.strerror}); {RUN_AS}") from error
    try:
        _lock(fd, path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _lock(fd: int, path: Path) -> None:
    """Take the lock. Retries, because the brain's check also locks the file for some microseconds.

    Raises `BusyError` if another process holds it, and `StateError` on a file system without locks.
    """
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError as error:
            raise StateError(f"{path}: cannot be locked ({error.strerror}); use a disk with file locks") from error
        else:
            return
    raise BusyError("another process learns a reader now; wait until it ends")


def is_borrowed(state: Path | None) -> bool:
    """Return whether another process wants the USB readers now."""
    return state is not None and is_held(state / LOAN_FILE)


def is_running(state: Path) -> bool:
    """Return whether a gate runs on this state folder."""
    return is_held(state / "run.lock")
