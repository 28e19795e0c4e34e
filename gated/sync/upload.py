"""Send the journal to the office: choose the next batches, and apply each ack.

`GateSide` uses it.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from gated.errors import StateError
from gated.journal.chain import Position
from gated.journal.entry import Entry
from gated.journal.journal import Journal
from gated.protocol.event_messages import Ack, EventBatch
from gated.protocol.limits import MAX_EVENTS, MAX_PLAIN_BYTES
from gated.protocol.status_messages import JournalMark
from gated.sync.outbox import AHEAD_ROWS, Outbox, next_batch
from gated.sync.upload_timing import MOST_ROWS, UploadTiming


class JournalUpload:
    """The journal and its outbox, for one thread at a time. Every method raises `StateError` when the disk fails."""

    def __init__(self, open_journal: Callable[[], Journal], ack_timeout_s: float) -> None:
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._outbox, self._gathering = Outbox(ack_timeout_s), UploadTiming()
        self.mark: JournalMark | None = None
        """The state of the journal at the last check."""
        self.sent = self.acked = 0
        """At the last look: the row up to which the journal is sent, and the row up to which the office has
        acknowledged it.
        """

    def restart(self) -> None:
        """Start a new connection: send again what was on its way."""
        self._outbox.restart()

    def due_batches(self, now: float, *, is_heartbeat: bool = True) -> list[EventBatch]:
        """Return the batches to publish now, in this order. They count as sent.

        A heartbeat has at least one batch, unless the journal has no row.
        """
        try:
            journal = self._open()
            position = journal.position()
            gathered = self._gathered(journal, position, is_heartbeat=is_heartbeat)
            self.mark, self.sent, self.acked = _mark(position), gathered.head, position.acked
            batches = list(self._due(journal, gathered, now))
            is_quiet = is_heartbeat and not batches and position.acked >= position.head
            return list(self._nothing_new(journal, position)) if is_quiet else batches
        except StateError:
            self.close()
            raise

    def apply_ack(self, ack: Ack, now: float) -> None:
        """Take an acknowledgement. Raises `WireError` if it does not belong to this journal."""
        try:
            self._store_ack(self._open(), ack, now)
        except StateError:
            self.close()
            raise

    def close(self) -> None:
        """Close the journal; it opens again when needed. May be called twice."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _open(self) -> Journal:
        if self._journal is None:
            self._journal = self._open_journal()
        return self._journal

    def _gathered(self, journal: Journal, position: Position, *, is_heartbeat: bool) -> Position:
        """Return the journal's position, with the head at the last row that may be sent now."""
        after = self._gathering.after(position.journal, position.head)
        new = [] if after is None or is_heartbeat else journal.entries(after, MOST_ROWS)
        kinds = [entry.kind for entry in new]
        upto = self._gathering.update(position.journal, position.head, kinds, is_heartbeat=is_heartbeat)
        head = min(position.head, max(upto, position.acked))
        return position if head == position.head else replace(position, head=head)

    def _due(self, journal: Journal, position: Position, now: float) -> Iterator[EventBatch]:
        if self._outbox.is_due(position, now) and (entries := _next(journal, position.acked, MAX_EVENTS)):
            batch = _batch(journal, position, entries)
            self._outbox.note_sent(batch, position, now)
            yield batch
        after = self._outbox.ahead_after(position, now)
        if after is not None and (entries := _next(journal, after, AHEAD_ROWS)):
            batch = _batch(journal, position, entries, is_ahead=True)
            self._outbox.note_sent_ahead(batch, now)
            yield batch

    def _nothing_new(self, journal: Journal, position: Position) -> Iterator[EventBatch]:
        """Return a batch with the newest row, which the office has already."""
        if entries := journal.entries(position.head - 1, 1):
            yield _batch(journal, position, entries)

    def _store_ack(self, journal: Journal, ack: Ack, now: float) -> None:
        position = journal.position()
        held = self._outbox.apply_ack(ack, position, journal.hash_of(ack.seq), now)
        if held is None:
            return
        self.acked = held
        if held > position.acked:
            journal.acknowledge(held)
        else:
            journal.rewind(held)


def _next(journal: Journal, after: int, limit: int) -> list[Entry]:
    """Return the rows for a batch, and at most one further row."""
    return journal.entries(after, limit, MAX_PLAIN_BYTES)


def _batch(journal: Journal, position: Position, entries: list[Entry], *, is_ahead: bool = False) -> EventBatch:
    first = entries[0].seq
    return next_batch(position, journal.before(first), journal.hash_of(first - 1), entries, is_ahead=is_ahead)


def _mark(position: Position) -> JournalMark:
    return JournalMark(position.journal, position.head, position.acked, position.dropped, hash=position.head_hash)
