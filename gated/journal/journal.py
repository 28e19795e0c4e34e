"""The journal of one gate: append events, read them, verify the chain, and remove old rows. `gated.sync` sends it on.

`journal.append(event, at)` returns when the row survives a power cut. Several processes may append. A `Journal` object
belongs to one thread at a time, so open one for each thread. After a `StateError`, close it and open another: after a
failed fsync a connection cannot be trusted (USENIX ATC'20, "Can Applications Recover from fsync Failures?").
"""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from gated.errors import StateError
from gated.events import Event
from gated.journal.chain import Flaw, Position, check_chain, row_digest
from gated.journal.entry import Entry, event_body, event_kind, stamp
from gated.journal.journal_file import JournalFile

KEEP_DAYS = 30
KEEP_ROWS = 150_000
ROW_COLUMNS = "SELECT seq, at, kind, body, hash FROM event"


class Pruned(Struct, frozen=True):
    """The result of `prune`: `removed` rows, of which the office never got `dropped`."""

    removed: int
    dropped: int


class Journal:
    """The journal of one gate. Every method raises `StateError` when the disk fails."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._position: tuple[tuple[int, int], Position] | None = None

    @classmethod
    def open(cls, state: Path, site: str, gate: str) -> "Journal":
        """Open or create the journal in the state folder. Raises `StateError` also when it belongs to another gate."""
        return cls(JournalFile(state, site, gate))

    @classmethod
    def to_read(cls, state: Path, site: str, gate: str) -> "Journal":
        """Open the journal to read it. If the disk accepts no writes, open a copy; `trouble` then gives the reason."""
        return cls(JournalFile(state, site, gate, is_to_read=True))

    @property
    def trouble(self) -> str:
        """Return why this is a read-only copy. Empty if it is not a copy."""
        return self._file.why

    def close(self) -> None:
        """Close the file. Never raises. A second call does nothing."""
        self._file.close()

    def append(self, event: Event, at: datetime) -> Entry:
        """Write one event. It is durable when this returns."""
        return self.extend([(event, at)])[0]

    def extend(self, reports: Sequence[tuple[Event, datetime]]) -> list[Entry]:
        """Write several events in one transaction. All are durable when this returns.

        After an error, all or none are on disk: a failed commit may have reached it (see `JournalWriter`).
        """
        with self._file.writing() as connection:
            position = self._file.position()
            seq, last, entries = position.head, position.head_hash, list[Entry]()
            for event, time in reports:
                seq, at, kind, body = seq + 1, stamp(time), event_kind(event), event_body(event)
                last = row_digest(last, seq, at.encode(), kind.encode(), body.encode())
                entries.append(Entry(seq, at, kind, body, last))
            rows = [(e.seq, e.at, e.kind, e.body, e.hash) for e in entries]
            connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("UPDATE head SET seq = ?, hash = ?", (seq, last))
        return entries

    def verify(self) -> Flaw | None:
        """Return the first changed row, or None. Reads every row; may take seconds."""
        with self._file.reading() as connection:
            try:
                position = self._file.position()
            except StateError as error:
                return Flaw(0, str(error))
            return check_chain(position, connection.execute(f"{ROW_COLUMNS} ORDER BY seq"))

    def entries(self, after: int = 0, limit: int = 500, most_bytes: int = sys.maxsize) -> list[Entry]:
        """Return up to `limit` rows with a seq greater than `after`, in order, as JSON about `most_bytes` long.

        The last row is the first that certainly does not fit any more.
        """
        with self._file.reading() as connection:
            found, length = list[Entry](), 0
            for row in connection.execute(f"{ROW_COLUMNS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)):
                found.append(Entry.read(row))
                length += found[-1].least_bytes
                if length > most_bytes:
                    break
            return found

    def last(self, count: int) -> list[Entry]:
        """Return the newest `count` rows, in order."""
        with self._file.reading() as connection:
            rows = connection.execute(f"{ROW_COLUMNS} ORDER BY seq DESC LIMIT ?", (count,))
            return [Entry.read(row) for row in rows][::-1]

    def position(self) -> Position:
        """Return the current head record, including rows of other processes. Cheap while nothing changes."""
        version = self._file.version()
        if self._position is None or self._position[0] != version:
            with self._file.reading():
                self._position = version, self._file.position()
        return self._position[1]

    def hash_of(self, seq: int) -> str | None:
        """Return the hash of a row, or of the last removed row (`Position.base`). None for any other missing row."""
        with self._file.reading() as connection:
            position = self._file.position()
            if seq == position.base:
                return position.base_hash
            row = connection.execute(f"{ROW_COLUMNS} WHERE seq = ?", (seq,)).fetchone()
            return Entry.read(row).hash if row else None

    def before(self, seq: int) -> int:
        """Return the number of the last stored row before `seq`, or 0."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT ifnull(max(seq), 0) FROM event WHERE seq < ?", (seq,)).fetchone()[0])

    def acknowledge(self, seq: int) -> None:
        """Note that the office stores every row up to `seq`. A lower or not yet written number changes nothing."""
        with self._file.writing() as connection:
            connection.execute("UPDATE head SET acked = ? WHERE acked < ? AND ? <= seq", (seq, seq, seq))

    def rewind(self, seq: int) -> None:
        """Note that the office lost rows and stores only those up to `seq`. Later rows that exist are sent again."""
        with self._file.writing() as connection:
            connection.execute("UPDATE head SET acked = MIN(acked, MAX(?, 0))", (seq,))

    def prune(self, now: datetime, keep_days: int = KEEP_DAYS, keep_rows: int = KEEP_ROWS) -> Pruned:
        """Remove acknowledged rows older than `keep_days`, and the oldest rows beyond `keep_rows`.

        Rows are removed from the oldest on. `Position.base_hash` keeps the hash that the rest of the chain begins with.
        """
        since = stamp(now - timedelta(days=keep_days))
        with self._file.writing() as connection:
            was = self._file.position()
            young = connection.execute("SELECT seq FROM event WHERE at >= ? ORDER BY seq LIMIT 1", (since,)).fetchone()
            old = young[0] - 1 if young else was.head
            base = max(was.base, min(old, was.acked), was.head - keep_rows)
            if base == was.base:
                return Pruned(0, 0)
            dropped = max(0, base - max(was.acked, was.base))
            change = (
                "UPDATE head SET base_hash = (SELECT hash FROM event WHERE seq = ?), base = ?, dropped = dropped + ?"
            )
            connection.execute(change, (base, base, dropped))
            connection.execute("DELETE FROM event WHERE seq <= ?", (base,))
        return Pruned(base - was.base, dropped)
