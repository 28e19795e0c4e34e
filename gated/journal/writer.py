"""The brain's journal writer: `writer.report(event)` on the event loop, the disk writes on a separate thread.

A report never waits and never raises, so the journal never delays a door. While the disk fails, events are kept in
memory in order, and the write is tried again. `on_trouble` reports the failure, so that the gate can show it as
degraded. Events beyond the memory limit are lost. Their number is written later as an event.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from gated.errors import StateError, TornError
from gated.events import Event, EventsLost
from gated.journal.entry import Entry, event_body, stamp
from gated.journal.journal import Journal
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

MOST_QUEUED = 10_000
"""The most events kept in memory while the disk fails. Later events are counted and lost."""
WRITE_BATCH = 100
"""The most events in one transaction. A card may need 30 ms per transaction."""
SET_ASIDE_S = 3600.0
"""The shortest time between two damaged journals that are set aside. Else a bad card would fill up with them."""
RETRY_S, RETRY_MAX_S = 0.1, 5.0
"""Shortest and longest wait before a failed batch is tried again, in seconds."""
PRUNE_S = 3600.0

TimedEvent = tuple[Event, datetime]


class JournalWriter:
    """Appends reported events in order, from one thread that it starts.

    `open_journal` opens the journal, and opens it again after each failure. The writer's thread calls
    `on_append(entry)` for each written row. It calls `on_trouble(error)` when the disk fails, and `on_trouble(None)`
    when the disk works again. It calls `set_aside()` to move a damaged journal away. Pass these calls to the event loop
    with `loop.call_soon_threadsafe`.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        on_append: Callable[[Entry], None] = lambda entry: None,
        on_trouble: Callable[[Exception | None], None] = lambda trouble: None,
        set_aside: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_journal, self._on_append, self._on_trouble = open_journal, on_append, on_trouble
        self._set_aside, self._set_aside_at = set_aside, -math.inf
        self._journal: Journal | None = None
        self._queued: deque[TimedEvent] = deque()
        self._changed = threading.Condition()
        self._give_up_at: float | None = None
        self._is_failing, self._backoff = False, Backoff(RETRY_S, RETRY_MAX_S)
        self._pruned_at = -PRUNE_S
        self.lost = 0
        """The number of events beyond the memory limit during a disk failure."""
        self._lost_reported = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def report(self, event: Event, at: datetime | None = None) -> None:
        """Queue an event. Its time is now unless given. Never waits for the disk, never raises."""
        at = at or datetime.now(UTC)
        with self._changed:
            if len(self._queued) >= MOST_QUEUED or self._give_up_at is not None:
                self.lost += 1
                return
            self._queued.append((event, at))
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Write the queued events and end the thread. Returns False if the time was not enough and events are lost."""
        with self._changed:
            self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._queued and not self._thread.is_alive()

    def _run(self) -> None:
        """Write batch after batch until closed. A failed batch is tried again."""
        while batch := self._next():
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 - this thread must not die
                if not self._handle_failure(error):
                    break
        self._drop_journal()

    def _next(self) -> list[TimedEvent]:
        """Wait for the next batch. Empty once closed without events. The events stay queued until they are on disk."""
        with self._changed:
            self._changed.wait_for(lambda: self._queued or self._give_up_at is not None)
            return [self._queued[i] for i in range(min(WRITE_BATCH, len(self._queued)))]

    def _write(self, batch: list[TimedEvent]) -> None:
        """Write a batch to disk, and only then remove it from the queue."""
        journal = self._journal = self._journal or self._open_journal()
        fresh = self._unwritten(journal, batch) if self._is_failing else batch
        entries = journal.extend(fresh)
        with self._changed:
            for _ in batch:
                self._queued.popleft()
            self._report_lost()
        if self._is_failing:
            self._end_trouble()
        for entry in entries:
            self._on_append(entry)
        self._prune(journal)

    def _report_lost(self) -> None:
        """Queue an event with the count of events lost since the last one."""
        if self.lost > self._lost_reported:
            self._queued.append((EventsLost(self.lost - self._lost_reported), datetime.now(UTC)))
            self._lost_reported = self.lost

    def _unwritten(self, journal: Journal, batch: list[TimedEvent]) -> list[TimedEvent]:
        """Return the events of a batch that are not on disk. A failed commit may have reached the disk all the same."""
        written = {(entry.at, entry.body) for entry in journal.last(2 * WRITE_BATCH)}
        return [(event, at) for event, at in batch if (stamp(at), event_body(event)) not in written]

    def _handle_failure(self, error: Exception) -> bool:
        """Report a failure once, wait, and drop the connection. Returns False when the time of `close` is over."""
        if not self._is_failing:
            log.error("the journal cannot be written; events are kept in memory: %s", error)
            self._on_trouble(error)
        self._is_failing = True
        self._drop_journal()
        if isinstance(error, TornError) and time.monotonic() > self._set_aside_at + SET_ASIDE_S:
            self._set_damaged_aside()
        with self._changed:
            if self._give_up_at is None:
                self._changed.wait_for(lambda: self._give_up_at is not None, self._backoff.next_s())
                return True
        time.sleep(RETRY_S)
        return time.monotonic() < self._give_up_at

    def _set_damaged_aside(self) -> None:
        """Move a damaged journal away, so that a new one can begin."""
        try:
            self._set_aside()
            self._set_aside_at = time.monotonic()
        except StateError as error:
            log.error("the journal is damaged and cannot be set aside: %s", error)

    def _end_trouble(self) -> None:
        """Report that the disk works again."""
        log.info("the journal works again; %d events were lost", self.lost)
        self._is_failing = False
        self._backoff.reset()
        self._on_trouble(None)

    def _prune(self, journal: Journal) -> None:
        """Remove old rows, at most once an hour."""
        if time.monotonic() - self._pruned_at < PRUNE_S:
            return
        self._pruned_at = time.monotonic()
        pruned = journal.prune(datetime.now(UTC))
        if pruned.dropped:
            log.warning("the journal is full: %d events were deleted before the office had them", pruned.dropped)

    def _drop_journal(self) -> None:
        """Close the connection. The next write opens another."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
