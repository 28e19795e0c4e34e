"""The flag file of a fire release, beside the latch's socket. A fire release outlives the latch process.

The file is in /run and does not outlive a power cut. After a power cut, or with an unreadable file, only the fire input
decides.
"""

import logging
from pathlib import Path

from gated.atomic_files import sync_folder

log = logging.getLogger(__name__)


class FireFlag:
    """A flag in memory and on disk: a fire release is active."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_set = self._read()

    def set(self, on: bool) -> None:
        """Set or clear the flag. If the file cannot be written, the flag stays set until this process ends."""
        if on == self.is_set:
            return
        self.is_set = on
        try:
            if on:
                self._path.touch(0o600)
            else:
                self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
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
