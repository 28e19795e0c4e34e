"""Opens storage as well as the disk allows, and opens it again when a better state is possible.

`gallery.Gallery` and `keyring.KeyRing` use it to stay available on a damaged or full disk.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from gated.errors import BusyError, StateError, TornError
from gated.runtime.tasks import Backoff

FIRST_S, MOST_S = 1.0, 15.0
"""Shortest and longest time in seconds between two tries to reopen."""


class Stored(Protocol):
    """An open store, or a read-only copy of it."""

    why: str

    def close(self) -> None:
        """Close the files."""


S = TypeVar("S", bound=Stored)


class Reopening(Generic[S]):
    """Holder of one store: the real one, a read-only copy, or nothing if not even a key can be read.

    Use it from one thread at a time. `open_(why)` opens the store; with a reason it opens the readable part of a
    damaged store.
    """

    def __init__(self, open_: Callable[[str], S], state: Path) -> None:
        self._open, self._state = open_, state
        self._backoff, self._try_at = Backoff(FIRST_S, MOST_S), 0.0
        self._has_failed = False
        self.held, self.why = self._best()

    def get(self) -> S:
        """Return the store. Raises `StateError` without one."""
        if self.held is None:
            raise StateError(self.why)
        return self.held

    def failed(self) -> None:
        """Record that the store failed in use. `improve` then opens another one."""
        self._has_failed = True

    def salvage(self, why: str) -> None:
        """Replace a damaged store by its readable part."""
        self.close()
        self.held, self.why = self._best(why)

    def improve(self) -> bool:
        """Reopen a failed store or a copy, when the next try is due. Return True if the store was
        replaced.
        """
        now = time.monotonic()
        if not (self.why or self._has_failed) or now < self._try_at:
            return False
        if not _is_writable(self._state):  # reopening would give the same copy again; this check is cheap
            self._try_at = now + FIRST_S
            return False
        self._try_at = now + self._backoff.next_s()
        held, why = self._best()
        if held is None or (held.why and self.held is not None):
            if held is not None:
                held.close()
            return False
        old, self.held, self.why, self._has_failed = self.held, held, why, False
        if not why:
            self._backoff.reset()
        if old is not None:
            old.close()
        return True

    def close(self) -> None:
        """Close the files. Callers may call it twice."""
        if self.held is not None:
            self.held.close()

    def _best(self, why: str = "") -> tuple[S | None, str]:
        try:
            try:
                held = self._open(why)
            except TornError as error:
                held = self._open(str(error))
        except (BusyError, StateError) as error:
            return None, str(error)
        return held, held.why


def _is_writable(folder: Path) -> bool:
    """Return whether the folder is writable and its disk has free space. The check writes nothing."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and (disk.f_blocks == 0 or disk.f_bavail > 0)
