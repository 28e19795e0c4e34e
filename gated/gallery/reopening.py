"""What is stored, opened as well as the disk lets it be, and anew as soon as it can be had better."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from gated.errors import BusyError, StateError, TornError
from gated.runtime.tasks import Backoff

FIRST_S, MOST_S = 1.0, 15.0
"""Between two tries to have it better."""


class Stored(Protocol):
    """Something that may be a copy of what is on the disk."""

    why: str

    def close(self) -> None:
        """Give the files back."""


S = TypeVar("S", bound=Stored)


class Reopening(Generic[S]):
    """Holds it: the real one, a copy that takes no change, or nothing where not even a key can be read.

    Used from one thread at a time. `open_(why)` opens; with a reason it gives what can be read of something damaged.
    """

    def __init__(self, open_: Callable[[str], S], state: Path) -> None:
        self._open, self._state = open_, state
        self._backoff, self._try_at = Backoff(FIRST_S, MOST_S), 0.0
        self._has_failed = False
        self.held, self.why = self._best()

    def get(self) -> S:
        """It. Raises `StateError` while there is nothing."""
        if self.held is None:
            raise StateError(self.why)
        return self.held

    def failed(self) -> None:
        """Who used it saw it fail: its connection is not to be trusted, and another is tried."""
        self._has_failed = True

    def salvage(self, why: str) -> None:
        """What was opened turns out to be damaged: have what can be read of it."""
        self.close()
        self.held, self.why = self._best(why)

    def improve(self) -> bool:
        """Open it anew where it is not what it should be, and it is time to try. True when it is another one now."""
        now = time.monotonic()
        if not (self.why or self._has_failed) or now < self._try_at:
            return False
        if not _takes_writes(self._state):  # it would be one more copy of the same; asking again costs nothing
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
        """Give the files back. May be called twice."""
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


def _takes_writes(folder: Path) -> bool:
    """Whether a folder can be written and its disk has room, as far as that is known without trying."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and (disk.f_blocks == 0 or disk.f_bavail > 0)
