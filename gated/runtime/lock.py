"""One process at a time: locks that the kernel gives back when their holder ends, however it ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from gated.errors import BusyError, StateError
from gated.runtime.files import open_own


class FileLock:
    """A lock on a file. Held from construction to `close`, or to the end of the process."""

    def __init__(self, path: Path, what: str) -> None:
        """Take the lock. Raises `BusyError` when somebody holds it, `StateError` when the file cannot be made."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = open_own(path)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); make the folder writable, or choose another"
            ) from error
        if not _take(self._fd):
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise BusyError(f"{what} runs already (process {holder}, lock {path}); stop it first")
        with suppress(OSError):  # on a full disk the number of the process has no room, and the lock holds
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Give it back."""
        os.close(self._fd)


class FolderLock:
    """A lock on a folder itself: it needs no file, so that it holds on a disk that is full or read-only as well.

    The file NAME in it is locked too where that can be: it tells who holds the lock, and a gated from before this lock
    knows that one alone.
    """

    def __init__(self, folder: Path, name: str, what: str) -> None:
        """Take the lock. Raises `BusyError` when somebody holds it. Where there is no folder, and none can be made,
        there is nothing that two could share, and nothing is locked.
        """
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._fd = None
        with suppress(StateError):
            self._file = FileLock(folder / name, what)
        with suppress(OSError):
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._fd is not None and not _take(self._fd):
            self.close()
            raise BusyError(f"{what} runs already (it holds the folder {folder}); stop it first")

    def close(self) -> None:
        """Give it back."""
        if self._fd is not None:
            os.close(self._fd)
        if self._file is not None:
            self._file.close()


def _take(fd: int) -> bool:
    """Lock what is open; False while another process has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: two gates are then kept apart by the latch, which takes one brain
        return True
    return True
