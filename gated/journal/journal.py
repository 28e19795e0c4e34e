"""What happened, in order, on disk, and provably unchanged; the sync chapter sends it on from here.

`journal.append(event, at)` returns when the row would survive a power cut. Several processes may append; a `Journal`
itself belongs to one thread at a time, so open one for each. After a `StateError` close it and open another: a
connection that has seen the disk fail is not to be trusted (USENIX ATC'20, "Can Applications Recover from fsync
Failures?").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gated.errors import StateError
from gated.events import Event
from gated.journal.chain import Flaw, Position, check, digest
from gated.journal.entry import Entry, body_of, kind_of, stamp
from gated.journal.file import JournalFile

KEEP_DAYS = 30
KEEP_ROWS = 150_000
ROWS = "SELECT seq, at, kind, body, hash FROM event"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention took away: `removed` rows, of which `dropped` had never reached the server."""

    removed: int
    dropped: int


class Journal:
    """The journal of one gate. Every method raises `StateError` when the disk does not do its part."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file

    @classmethod
    def open(cls, state: Path, site: str, gate: str) -> "Journal":
        """Open, or begin, the journal in the state folder. Raises `StateError` also when it is another gate's."""
        return cls(JournalFile(state, site, gate))

    def close(self) -> None:
        """Give the file back; never fails, and a second time does nothing."""
        self._file.close()

    def append(self, event: Event, at: datetime) -> Entry:
        """Write one event; it is durable when this returns."""
        return self.extend([(event, at)])[0]

    def extend(self, reports: Sequence[tuple[Event, datetime]]) -> list[Entry]:
        """Write several events in one transaction: all of them are durable when this returns, or none is."""
        with self._file.writing() as connection:
            position = self._file.position()
            seq, last, entries = position.head, position.head_hash, list[Entry]()
            for event, when in reports:
                seq, at, kind, body = seq + 1, stamp(when), kind_of(event), body_of(event)
                last = digest(last, seq, at.encode(), kind.encode(), body.encode())
                entries.append(Entry(seq, at, kind, body, last))
            rows = [(e.seq, e.at, e.kind, e.body, e.hash) for e in entries]
            connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("UPDATE head SET seq = ?, hash = ?", (seq, last))
        return entries

    def verify(self) -> Flaw | None:
        """The first row that is not what was written, or None. Reads every row; a few seconds on a full journal."""
        with self._file.reading() as connection:
            try:
                position = self._file.position()
            except StateError as error:
                return Flaw(0, str(error))
            return check(position, connection.execute(f"{ROWS} ORDER BY seq"))

    def entries(self, after: int = 0, limit: int = 500) -> list[Entry]:
        """Rows in order, from behind `after`."""
        with self._file.reading() as connection:
            rows = connection.execute(f"{ROWS} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
            return [Entry.read(row) for row in rows]

    def last(self, count: int) -> list[Entry]:
        """The newest rows, oldest of them first."""
        with self._file.reading() as connection:
            rows = connection.execute(f"{ROWS} ORDER BY seq DESC LIMIT ?", (count,))
            return [Entry.read(row) for row in rows][::-1]

    def position(self) -> Position:
        """Where the journal stands now, with what other processes have appended."""
        with self._file.reading():
            return self._file.position()

    def hash_of(self, seq: int) -> str | None:
        """The hash of a row, also of the one that the oldest stands on; None for a row that is not here."""
        with self._file.reading() as connection:
            position = self._file.position()
            if seq == position.base:
                return position.base_hash
            row = connection.execute(f"{ROWS} WHERE seq = ?", (seq,)).fetchone()
            return Entry.read(row).hash if row else None

    def before(self, seq: int) -> int:
        """The row before `seq` that is still here; 0 when there is none."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT ifnull(max(seq), 0) FROM event WHERE seq < ?", (seq,)).fetchone()[0])

    def pending(self, limit: int) -> list[Entry]:
        """The oldest rows that the server does not hold yet."""
        return self.entries(self.position().acked, limit)

    def acknowledge(self, seq: int) -> None:
        """The server holds everything up to `seq`. A number lower than before, or not written yet, does nothing."""
        with self._file.writing() as connection:
            connection.execute("UPDATE head SET acked = ? WHERE acked < ? AND ? <= seq", (seq, seq, seq))

    def rewind(self, seq: int) -> None:
        """The server has lost rows and holds only up to `seq`; what follows is pending again, as far as it is here."""
        with self._file.writing() as connection:
            connection.execute("UPDATE head SET acked = MIN(acked, MAX(?, 0))", (seq,))

    def prune(self, now: datetime, keep_days: int = KEEP_DAYS, keep_rows: int = KEEP_ROWS) -> Pruned:
        """Take away rows that the server holds and that are older than `keep_days`, and any beyond `keep_rows`.

        Only ever from the oldest on, so that the rest hangs on the anchor that is left (`Position.base`).
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
