"""Store the uses of credentials in a separate thread. Used by `credential_service`.

Only a counted use must be on disk before the door opens. All other writes happen after the release, so that the next
person does not wait for the disk.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gated.access.access_rules import Refusal
from gated.errors import BusyError, StateError

log = logging.getLogger(__name__)

COUNT_S = 2.0
"""The longest wait for the disk to count a use, in seconds. After that the use may be lost, but the queue moves on."""


class UseWriter:
    """One thread that writes. The writes happen in the order of the calls."""

    def __init__(self) -> None:
        self._writing = ThreadPoolExecutor(1, "uses")

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._writing.shutdown()

    def submit(self, write: Callable[[], object]) -> None:
        """Write without waiting. `write` raises nothing."""
        self._writing.submit(write)

    def record(self, write: Callable[[], object]) -> None:
        """Store a use after the door was released, without waiting. A failure is logged."""
        self._writing.submit(_logged, write)

    async def count(self, spend: Callable[[], bool], none_left: Refusal) -> Refusal | None:
        """Count a use. It is on disk when this returns None. A use that cannot be counted does not open.

        Returns `none_left` if `spend` returns False.
        """
        loop = asyncio.get_running_loop()
        try:
            is_counted = await asyncio.wait_for(loop.run_in_executor(self._writing, spend), COUNT_S)
        except (BusyError, StateError, TimeoutError) as error:
            why = error or "the disk does not answer"
            log.error("the gate could not count a use and did not open: %s; check the disk", why)
            return Refusal.UNDECIDED
        return None if is_counted else none_left

    def start_guess(self, write: Callable[[], None]) -> asyncio.Future[None]:
        """Begin to write the guess of a PIN. `finish_guess` waits for it."""
        return asyncio.get_running_loop().run_in_executor(self._writing, write)

    async def finish_guess(self, written: asyncio.Future[None]) -> None:
        """Wait until a guess is on disk, for `COUNT_S` at most."""
        try:
            await asyncio.wait_for(written, COUNT_S)
        except TimeoutError:
            log.error("a wrong PIN was not stored within the time limit; it counts in memory only. Check the disk")


def _logged(write: Callable[[], object]) -> None:
    try:
        write()
    except (BusyError, StateError) as error:
        log.error("the use of a card, PIN or pass could not be stored: %s", error)
