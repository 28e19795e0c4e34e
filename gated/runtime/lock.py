"""One process at a time: a lock on a file that the kernel gives back when its holder ends, however it ends."""

import fcntl
import os
from pathlib import Path

from gated.errors import BusyError, StateError


class FileLock:
    """Held from construction to `close`, or to the end of the process."""

    def __init__(self, path: Path, what: str) -> None:
        """Take the lock. Raises `BusyError` when somebody holds it, `StateError` when the file cannot be made."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); make the folder writable, or choose another"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise BusyError(f"{what} runs already (process {holder}, lock {path}); stop it first") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Give it back."""
        os.close(self._fd)
