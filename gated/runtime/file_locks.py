"""Whether another process holds a file, proved by the kernel's lock on it (flock(2)).

The kernel frees the lock when its holder ends, even by a crash. So no clock decides, and a file that a crash left
behind is not held. Local requests, borrowed readers, a running gate and the office's processes are known in this way.
On a file system without locks no process can hold a file, so none is held there.
"""

import fcntl
import os
import stat
from pathlib import Path

MOST_BYTES = 4096
"""Limits how much of a held file is read, in bytes."""


def is_held(path: Path) -> bool:
    """Return whether another process holds the exclusive lock on this file."""
    return content_if_held(path, 0) is not None


def content_if_held(path: Path, most_bytes: int = MOST_BYTES) -> bytes | None:
    """Return the start of a regular file that another process holds. None if it is not held, or cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        is_regular = stat.S_ISREG(os.fstat(file).st_mode)
        return os.pread(file, most_bytes, 0) if is_regular and _is_locked(file) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _is_locked(file: int) -> bool:
    """Return whether another process holds the exclusive lock. Raises `OSError` on a file system without locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
