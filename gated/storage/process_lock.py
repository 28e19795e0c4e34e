"""Locks that let one process run at a time. The kernel frees a lock when its holder ends, even by a crash."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from gated.errors import BusyError, StateError
from gated.storage.files import open_own


class FileLock:
    """A lock on a file, held from construction to `close` or to the end of the process."""

    def __init__(self, path: Path, program: str) -> None:
        """Take the lock. `what`: name of the holder for the error text.

        Raises `BusyError` if another process holds it, `StateError` if the file cannot be made.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = open_own(path)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); make the folder writable, or choose another"
            ) from error
        if not _lock(self._fd):
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise BusyError(f"{program} runs already (process {holder}, lock {path}); stop it first")
        with suppress(OSError):  # a full disk has no room for the process id; the lock still holds
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Free the lock."""
        os.close(self._fd)


class FolderLock:
    """A lock on a folder itself. It needs no file, so it also works on a full or read-only disk.

    Also locks the file `name` in the folder if it can. That file names the process with the lock, and older versions of
    gated know only that file.
    """

    def __init__(self, folder: Path, name: str, program: str) -> None:
        """Take the lock. Raises `BusyError` if another process holds it.

        Locks nothing if the folder does not exist and cannot be made: two processes cannot share it then.
        """
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._fd = None
        with suppress(StateError):
            self._file = FileLock(folder / name, program)
        with suppress(OSError):
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._fd is not None and not _lock(self._fd):
            self.close()
            raise BusyError(f"{program} runs already (it uses the folder {folder}); stop it first")

    def close(self) -> None:
        """Free the lock."""
        if self._fd is not None:
            os.close(self._fd)
        if self._file is not None:
            self._file.close()


def _lock(fd: int) -> bool:
    """Lock an open file; return False if another process holds the lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the latch still accepts only one brain
        return True
    return True
