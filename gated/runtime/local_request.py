"""Requests that hold only while a local command runs, such as a key fingerprint on the gate screen.

A request is a small file, and its command holds a lock on it. The kernel frees the lock when the command ends, even by
a crash. So no clock decides when a request ends, and a file that a crash leaves behind counts for nothing.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gated.errors import StateError

MOST_BYTES = 4096
"""Limits the size of a request, in bytes."""


@contextmanager
def wishing(path: Path, data: bytes) -> Iterator[Callable[[], bool]]:
    """Make a request until the end of the block. Yield a function that returns whether this request still stands.

    A newer request of the same name replaces this one. Raises `StateError` if the file cannot be made or locked.
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
    """Return the request that stands now; None if none stands or the file cannot be read."""
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
    """Remove the file that a crash left behind. Keeps a request that stands."""
    if path.exists() and wished(path) is None:
        with suppress(OSError):
            path.unlink()


def _laid(path: Path, data: bytes) -> int:
    """Write the file aside, lock it, then move it into place. Return its descriptor. Nobody sees it unlocked."""
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
    """Return whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _is_held(file: int) -> bool:
    """Return whether another process holds the exclusive lock. Raises `OSError` on a file system without locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
