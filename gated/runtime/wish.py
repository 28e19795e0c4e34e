"""What somebody at this machine wants for as long as their command runs.

The wish is a small file, and its command holds a lock on it. The kernel gives the lock back when the command ends,
however it ends. So no clock says when a wish is over, and what a crash leaves behind says nothing.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gated.errors import StateError

MOST_BYTES = 4096


@contextmanager
def wishing(path: Path, data: bytes) -> Iterator[Callable[[], bool]]:
    """Wish for something until the end of the block. Gives whether this wish still stands: a newer one of the same name
    takes its place. Raises `StateError` if the file cannot be made or locked.
    """
    try:
        file = _laid(path, data)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written and locked ({error.strerror}); make the folder writable"
        ) from error
    try:
        yield lambda: _is(file, path)
    finally:
        if _is(file, path):
            with suppress(OSError):
                path.unlink()
        os.close(file)


def wished(path: Path) -> bytes | None:
    """What is wished for at this moment; None if nobody does, and if that cannot be known."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, MOST_BYTES) if stat.S_ISREG(os.fstat(file).st_mode) and _is_held(file) else None
    except OSError:
        return None
    finally:
        os.close(file)


def forget(path: Path) -> None:
    """Take away what a crash has left behind; a wish that stands stays."""
    if path.exists() and wished(path) is None:
        with suppress(OSError):
            path.unlink()


def _laid(path: Path, data: bytes) -> int:
    """The file with what it says, locked before anybody can see it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, data)
        aside.replace(path)
    except BaseException:
        os.close(file)
        aside.unlink(missing_ok=True)
        raise
    return file


def _is(file: int, path: Path) -> bool:
    """Whether the open file is the one that lies there."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _is_held(file: int) -> bool:
    """Whether a process holds the lock for itself alone. Raises `OSError` where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
