"""The journal as the link sees it: what is to be sent now, and what an ack changes; on a thread of its own.

The event loop asks and never waits for the disk. Every error of the disk is a `StateError`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gated.journal.journal import Journal
from gated.sync.messages import MAX_EVENTS, Ack, JournalMark, decode, encode
from gated.sync.outbox import Outbox, next_batch

T = TypeVar("T")


class Drain:
    """The journal and its outbox for the time of one connection. `close` it at the end."""

    def __init__(self, open_journal: Callable[[], Journal], ack_timeout_s: float) -> None:
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._outbox = Outbox(ack_timeout_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync-journal")
        self.mark: JournalMark | None = None
        """Where the journal stood at the last look."""

    async def look(self) -> bytes | None:
        """The event batch that is to be published now, if any; it counts as sent."""
        return await self._on_thread(self._look)

    async def settle(self, payload: bytes) -> bool:
        """Take note of an ack that arrived; True when there is something to do because of it.

        Raises `WireError` when it is no ack, or not one of this journal.
        """
        return await self._on_thread(lambda: self._settle(payload))

    def close(self) -> None:
        """Let go of the journal as soon as its thread comes to it; does not wait."""
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> Journal:
        if self._journal is None:
            self._journal = self._open_journal()
        return self._journal

    def _look(self) -> bytes | None:
        journal = self._open()
        position, now = journal.position(), time.monotonic()
        self.mark = JournalMark(position.journal, position.head, position.acked, position.dropped)
        if not self._outbox.is_due(position, now):
            return None
        entries = journal.pending(MAX_EVENTS)
        if not entries:
            return None
        first = entries[0].seq
        batch = next_batch(position, journal.before(first), journal.hash_of(first - 1), entries)
        self._outbox.sent(now)
        return encode(batch)

    def _settle(self, payload: bytes) -> bool:
        ack = decode(payload, Ack)
        journal = self._open()
        position = journal.position()
        held = self._outbox.settle(ack, position, journal.hash_of(ack.seq))
        if held is None:
            return False
        if held > position.acked:
            journal.acknowledge(held)
        else:
            journal.rewind(held)
        return True

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
