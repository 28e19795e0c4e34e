"""A fire release outlives the latch's process: a file beside the socket says that it stands.

In /run it does not outlive a power cut; then, as where the file cannot be read, the fire input decides.
"""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class FireFlag:
    """Set while a fire release stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_set = self._read()

    def set(self, on: bool) -> None:
        """Set it, or take it away; where that fails the release stands all the same, until this process ends."""
        if on == self.is_set:
            return
        self.is_set = on
        try:
            if on:
                self._path.touch(0o600)
            else:
                self._path.unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            log.error("%s: the fire release cannot be kept across a restart (%s)", self._path, error.strerror)

    def _read(self) -> bool:
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            log.error("%s: cannot be read (%s); the fire input decides", self._path, error.strerror)
            return False
        return True

    def _sync(self) -> None:
        """Bring the folder's list of files to the disk."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
