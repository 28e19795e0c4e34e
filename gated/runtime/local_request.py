"""Requests that are valid only while a local command runs, such as a key fingerprint on the gate screen.

A request is a small file, and its command holds a lock on it (see `file_locks`).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gated.errors import StateError
from gated.runtime.file_locks import content_if_held


@contextmanager
def wishing(path: Path, data: bytes) -> Iterator[Callable[[], bool]]:
    """Make a request until the end of the block. Yield a function that returns whether this request is still valid.

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
    """Return the request that stands now; None without a valid request or a readable file."""
    return content_if_held(path)


def forget(path: Path) -> None:
    """Remove the file that a crash left behind. Keeps a request that stands."""
    if path.exists() and wished(path) is None:
        with suppress(OSError):
            path.unlink()


def _laid(path: Path, data: bytes) -> int:
    """Write a temporary file, lock it, then rename it. Return its descriptor. Nobody sees it unlocked."""
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
