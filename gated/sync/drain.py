"""The journal as the office gets it: what is to be sent now, and what an ack changes."""

from collections.abc import Callable, Iterator

from gated.errors import StateError
from gated.journal.journal import Journal
from gated.sync.messages import MAX_EVENTS, Ack, EventBatch, JournalMark
from gated.sync.outbox import AHEAD_ROWS, Outbox, next_batch


class Drain:
    """The journal and its outbox, for one thread at a time. Every method raises `StateError` when the disk fails."""

    def __init__(self, open_journal: Callable[[], Journal], ack_timeout_s: float) -> None:
        self._open_journal = open_journal
        self._journal: Journal | None = None
        self._outbox = Outbox(ack_timeout_s)
        self.mark: JournalMark | None = None
        """Where the journal stood at the last look."""

    def restart(self) -> None:
        """A new connection: what was on its way is to be sent again."""
        self._outbox.restart()

    def due(self, now: float) -> list[EventBatch]:
        """The batches that are to be published now, in this order; they count as sent."""
        try:
            return list(self._due(self._open(), now))
        except StateError:
            self.close()
            raise

    def settle(self, ack: Ack, now: float) -> None:
        """Take note of an ack. Raises `WireError` when it is not one of this journal."""
        try:
            self._settle(self._open(), ack, now)
        except StateError:
            self.close()
            raise

    def close(self) -> None:
        """Give the journal back; it is opened again when it is needed. May be called twice."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _open(self) -> Journal:
        if self._journal is None:
            self._journal = self._open_journal()
        return self._journal

    def _due(self, journal: Journal, now: float) -> Iterator[EventBatch]:
        position = journal.position()
        self.mark = JournalMark(
            position.journal, position.head, position.acked, position.dropped, hash=position.head_hash
        )
        if self._outbox.is_due(position, now) and (entries := journal.entries(position.acked, MAX_EVENTS)):
            first = entries[0].seq
            batch = next_batch(position, journal.before(first), journal.hash_of(first - 1), entries)
            self._outbox.sent(batch, position, now)
            yield batch
        after = self._outbox.ahead_after(position, now)
        if after is not None and (entries := journal.entries(after, AHEAD_ROWS)):
            first = entries[0].seq
            before = journal.before(first), journal.hash_of(first - 1)
            batch = next_batch(position, *before, entries, is_ahead=True)
            self._outbox.sent_ahead(batch, now)
            yield batch

    def _settle(self, journal: Journal, ack: Ack, now: float) -> None:
        position = journal.position()
        held = self._outbox.settle(ack, position, journal.hash_of(ack.seq), now)
        if held is None:
            return
        if held > position.acked:
            journal.acknowledge(held)
        else:
            journal.rewind(held)
