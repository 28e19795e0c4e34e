"""An installer who looks on: what each reader says, told to `gated readers show`, and USB readers lent to `learn`.

The brain has the readers to itself, and nobody else can read them meanwhile. So it tells whoever listens at a socket
in the state folder, which only the gate's own user and root can make; nothing is kept. For `gated readers learn` it
lets go of its USB readers as long as a file there is locked; the kernel takes the lock back when that command ends.
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
from gated.wording import UNDECODABLE

SOCKET, LOAN = "readers.sock", "readers.loan"
MOST_BYTES = 4096
LOCK_TRIES = 20
WHO = "run this as root or as the gate's user"


class Said(msgspec.Struct, frozen=True):
    """What a reader has said. Of a PIN only that it was one; the rest goes to one terminal, and nowhere else."""

    reader: str
    door: str
    kind: Literal["card", "pin", "odd"]
    number: str = ""
    """Of a card, as `gallery.cards` reads it."""
    what: str = ""


class Teller:
    """The brain's end: says everything to whoever listens, and waits for nobody."""

    def __init__(self, state: Path | None) -> None:
        self._path = None if state is None else state / SOCKET

    def tell(self, said: Said) -> None:
        """Say it, if somebody listens."""
        if self._path is None or not self._path.exists():
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as voice:
            voice.setblocking(False)
            voice.sendto(msgspec.json.encode(said), str(self._path))


@contextmanager
def ear(state: Path) -> Iterator[socket.socket]:
    """A socket on which the brain's readers are heard. Raises `StateError` when it cannot be made."""
    path = state / SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        try:
            path.unlink(missing_ok=True)  # of one who was killed
            listening.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be made ({error.strerror}); run this as root or as the gate's user"
            ) from error
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


def heard(listening: socket.socket, wait_s: float) -> Said | None:
    """What comes within so long, if anything does."""
    listening.settimeout(wait_s)
    try:
        return msgspec.json.decode(listening.recv(MOST_BYTES), type=Said)
    except (TimeoutError, *UNDECODABLE):
        return None


@contextmanager
def borrowed(state: Path) -> Iterator[None]:
    """Have the USB readers instead of the brain, which lets go of them within a second or so.

    Raises `BusyError` when somebody else has them, and `StateError` when the state folder cannot be written.
    """
    path = state / LOAN
    if not state.is_dir():  # no gate has ever run here
        yield
        return
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be made ({error.strerror}); run this as root or as the gate's user"
        ) from error
    try:
        _lock(fd)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    """Take the lock; the brain's look at it lasts some microseconds. Raises `BusyError`."""
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.02)
    raise BusyError("somebody else learns a reader at this moment; wait until they are done")


def is_borrowed(state: Path | None) -> bool:
    """Whether somebody else is to have the USB readers now."""
    return state is not None and _is_locked(state / LOAN)


def is_running(state: Path) -> bool:
    """Whether a gate runs on this state folder."""
    return _is_locked(state / "run.lock")


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
