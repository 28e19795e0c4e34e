"""The brain's hand in the journal: `writer.report(event)` from the event loop, the disk on a thread of its own.

Nothing here may stop a door: a report never waits and never raises. While the disk fails, events are held in memory,
in order, and the disk is tried again and again; `on_trouble` lets the gate say that it is degraded. How many found no
place is written down behind those that did.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from gated.events import Event, EventsLost
from gated.journal.entry import Entry, body_of, stamp
from gated.journal.journal import Journal

log = logging.getLogger(__name__)

LIMIT = 10_000
"""So many events are held while the disk fails; what comes after that is counted and lost."""
BATCH = 100
"""So many held events go into one transaction, because a card may take 30 ms for each."""
RETRY_S = 0.1
RETRY_MAX_S = 5.0
PRUNE_S = 3600.0

Report = tuple[Event, datetime]


class JournalWriter:
    """Appends what is reported, in order, from one thread that starts with it.

    `open_journal` opens the journal, and again after each trouble. `on_append(entry)` and `on_trouble(bool)` are called
    on the writer's thread: pass them on with `loop.call_soon_threadsafe`.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        on_append: Callable[[Entry], None] = lambda entry: None,
        on_trouble: Callable[[bool], None] = lambda trouble: None,
    ) -> None:
        self._open_journal, self._on_append, self._on_trouble = open_journal, on_append, on_trouble
        self._journal: Journal | None = None
        self._held: deque[Report] = deque()
        self._changed = threading.Condition()
        self._give_up_at: float | None = None
        self._failures = 0
        self._pruned_at = -PRUNE_S
        self.lost = 0
        """Events that found no place in memory while the disk failed."""
        self._lost_told = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def report(self, event: Event, at: datetime | None = None) -> None:
        """Hand over an event; its time is now unless said. Never waits for the disk, never raises."""
        at = at or datetime.now(UTC)
        with self._changed:
            if len(self._held) >= LIMIT or self._give_up_at is not None:
                self.lost += 1
                return
            self._held.append((event, at))
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Write what is held and end. False when that was not done in time, and events are lost."""
        with self._changed:
            self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._held and not self._thread.is_alive()

    def _run(self) -> None:
        """Write batch after batch until closed; a batch that failed is tried again."""
        while batch := self._next():
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 - the border of a thread that must not die
                if not self._survive(error):
                    break
        self._drop_journal()

    def _next(self) -> list[Report]:
        """Wait for events; nothing once closed and empty. They stay held until they are on disk."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._give_up_at is not None)
            return [self._held[i] for i in range(min(BATCH, len(self._held)))]

    def _write(self, batch: list[Report]) -> None:
        """Put a batch on disk, and only then let go of it."""
        journal = self._journal = self._journal or self._open_journal()
        fresh = self._not_yet_written(journal, batch) if self._failures else batch
        entries = journal.extend(fresh)
        with self._changed:
            for _ in batch:
                self._held.popleft()
            self._tell_lost()
        if self._failures:
            self._recovered()
        for entry in entries:
            self._on_append(entry)
        self._prune(journal)

    def _tell_lost(self) -> None:
        """There is place again: say what had none meanwhile."""
        if self.lost > self._lost_told:
            self._held.append((EventsLost(self.lost - self._lost_told), datetime.now(UTC)))
            self._lost_told = self.lost

    def _not_yet_written(self, journal: Journal, batch: list[Report]) -> list[Report]:
        """A commit that failed may have reached the disk after all: what stands there is not written twice."""
        written = {(entry.at, entry.body) for entry in journal.last(2 * BATCH)}
        return [(event, at) for event, at in batch if (stamp(at), body_of(event)) not in written]

    def _survive(self, error: Exception) -> bool:
        """After trouble: say so once, wait a little, and try with a fresh connection. False when time is up."""
        if not self._failures:
            log.error("the journal cannot be written, events are held in memory: %s", error)
            self._on_trouble(True)
        self._failures += 1
        self._drop_journal()
        delay_s = min(RETRY_S * 2 ** min(self._failures, 10), RETRY_MAX_S)
        with self._changed:
            if self._give_up_at is None:
                self._changed.wait_for(lambda: self._give_up_at is not None, delay_s)
                return True
        time.sleep(RETRY_S)
        return time.monotonic() < self._give_up_at

    def _recovered(self) -> None:
        """The first batch after trouble is on disk."""
        log.info("the journal is written again; %d events were lost", self.lost)
        self._failures = 0
        self._on_trouble(False)

    def _prune(self, journal: Journal) -> None:
        """Retention, once an hour while there is something to write."""
        if time.monotonic() - self._pruned_at < PRUNE_S:
            return
        self._pruned_at = time.monotonic()
        pruned = journal.prune(datetime.now(UTC))
        if pruned.dropped:
            log.warning("the journal is full: %d events went before the server had them", pruned.dropped)

    def _drop_journal(self) -> None:
        """Close the connection; the next write opens another."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
