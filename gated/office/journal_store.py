"""Stores the rows of the gates' journals as they arrived, and checks that they are complete and unchanged.

Only the office can detect a changed journal: it has the earlier hashes, and each gate signs the head of its journal
every minute.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from gated.journal.chain import genesis
from gated.office.database_file import OfficeFile
from gated.protocol.event_messages import Ack, EventBatch, WireEvent, first_altered
from gated.protocol.status_messages import JournalMark
from gated.storage.valid_rows import sound

log = logging.getLogger(__name__)

KEEP_CHECKPOINTS = 100
"""Limit for stored signed heads of rows that have not arrived. The oldest stay, because they prove the most."""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One journal row, with its gate and journal."""

    row: int
    gate: str
    journal: str
    event: WireEvent


@dataclass(slots=True)
class JournalChange:
    """The result of a stored batch or a checked head."""

    ack: Ack | None = None
    new: list[WireEvent] = field(default_factory=list)
    """The rows not stored before."""
    alarms: list[tuple[str, str]] = field(default_factory=list)
    """Kinds and details of the alarms to open."""


@dataclass(frozen=True, slots=True)
class _Journal:
    number: int
    held: int
    hash: str


class JournalStore:
    """The tables of journals and events. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, site: str) -> None:
        self._file, self._site = file, site

    def store_batch(self, batch: EventBatch) -> JournalChange:
        """Store the new rows of a batch.

        The result's ack names the rows on disk. It is None for rows that were sent ahead of order.
        """
        change = JournalChange()
        with self._file.writing():
            journal = self._journal(batch.gate, batch.journal, change)
            if batch.is_ahead:
                self._insert(journal, batch, self._check(journal, batch, change), change)
                return change
            if batch.after <= journal.held < batch.last:
                self._find_lost_rows(journal, batch, change)
                self._insert(journal, batch, self._check(journal, batch, change), change)
                journal = self._advance(journal, batch.events[-1], change)
            elif batch.last <= journal.held:
                self._check(journal, batch, change)
        change.ack = self._ack(batch.gate, batch.journal, journal)
        return change

    def check_head(self, gate: str, mark: JournalMark, *, is_fresh: bool) -> JournalChange:
        """Check the signed head of a gate's journal. Gives an ack if the gate overestimates the office's rows."""
        change = JournalChange()
        with self._file.writing() as connection:
            journal = self._journal(gate, mark.id, change)
            if mark.head > journal.held:
                keep = (
                    "INSERT OR IGNORE INTO checkpoints SELECT ?, ?, ?"
                    " WHERE (SELECT count(*) FROM checkpoints WHERE journal = ?) < ?"
                )
                connection.execute(keep, (journal.number, mark.head, mark.hash, journal.number, KEEP_CHECKPOINTS))
            elif mark.head and mark.hash not in ("", self._hash(journal.number, mark.head) or mark.hash):
                change.alarms.append(("row_altered", f"journal {mark.id} row {mark.head}"))
            elif mark.head < journal.held and is_fresh:
                change.alarms.append(("journal_cut", f"journal {mark.id} row {mark.head + 1}"))
        if mark.acked > journal.held:
            change.ack = self._ack(gate, mark.id, journal)
        return change

    def rows(self, after: int = 0, gate: str | None = None, limit: int = 500) -> list[JournalRow]:
        """Return rows in order of arrival, starting after row number `after`."""
        clause = "WHERE row > ? AND (? IS NULL OR gate = ?) ORDER BY row LIMIT ?"
        return self._rows(clause, after, gate, gate, limit)

    def last(self, count: int, gate: str | None = None) -> list[JournalRow]:
        """Return the newest `count` rows, oldest first."""
        return self._rows("WHERE ? IS NULL OR gate = ? ORDER BY row DESC LIMIT ?", gate, gate, count)[::-1]

    def last_uses(self, gate: str) -> dict[str, str]:
        """Return each subject who used or tried a card or PIN at a gate, with the time of the last try."""
        ask = """
            SELECT json_extract(body, '$.subject') AS who, max(e.at) FROM events AS e
            JOIN journals AS j ON j.id = e.journal
            WHERE j.gate = ? AND kind IN ('way_granted', 'way_denied') AND json_valid(body) AND who IS NOT NULL
            AND json_extract(body, '$.way') IN ('card', 'pin') GROUP BY who
        """
        with self._file.reading() as connection:
            return dict(connection.execute(ask, (gate,)).fetchall())

    def prune(self, before: str) -> int:
        """Delete the old rows of each journal and return their number.

        Stops at the first row not older than `before` (a `stamp`). Keeps each journal's newest row and all rows sent
        ahead, because the next batch must fit to them. Keeps a row with an old time between newer rows, so a wrong
        clock deletes nothing.
        """
        deleted = 0
        with self._file.writing() as connection:
            for journal, held in connection.execute("SELECT id, held FROM journals").fetchall():
                ask = "SELECT min(seq) FROM events WHERE journal = ? AND at >= ?"
                young = connection.execute(ask, (journal, before)).fetchone()[0]
                upto = held if young is None else min(held, young)
                deleted += connection.execute(
                    "DELETE FROM events WHERE journal = ? AND seq < ?", (journal, upto)
                ).rowcount
            if deleted:
                connection.execute("UPDATE office SET owes_erasure = 1")
        return deleted

    def last_row(self, gate: str, journal: str) -> int:
        """Return the number of the last row without a gap. Rows that the gate has deleted do not count as a gap."""
        with self._file.reading() as connection:
            of = f"gate = ? AND journal = ? AND {sound(connection, 'journals')}"
            ask = f"SELECT held FROM journals WHERE {of}"  # noqa: S608 - our own
            row = connection.execute(ask, (gate, journal)).fetchone()
        return int(row[0]) if row else 0

    def _rows(self, clause: str, *values: str | int | None) -> list[JournalRow]:
        ask = (
            "SELECT row, gate, journals.journal, seq, at, kind, body, events.hash FROM events"  # noqa: S608 - ours
            f" JOIN journals ON journals.id = events.journal {clause}"
        )
        with self._file.reading() as connection:
            rows = connection.execute(ask, values).fetchall()
        return [JournalRow(row[0], row[1], row[2], WireEvent(*row[3:])) for row in map(tuple, rows)]

    def _journal(self, gate: str, name: str, change: JournalChange) -> _Journal:
        with self._file.writing() as connection:
            ask = f"SELECT id, held, hash, {sound(connection, 'journals')} FROM journals WHERE gate = ? AND journal = ?"  # noqa: S608
            row = connection.execute(ask, (gate, name)).fetchone()
            if row is not None and not row[3]:
                return self._counted_again(row[0], genesis(self._site, gate, name))
            if row is None:
                if connection.execute("SELECT 1 FROM journals WHERE gate = ?", (gate,)).fetchone():
                    change.alarms.append(("journal_new", f"journal {name}"))
                begin = "INSERT INTO journals (gate, journal, held, hash) VALUES (?, ?, 0, ?) RETURNING id, held, hash"
                row = connection.execute(begin, (gate, name, genesis(self._site, gate, name))).fetchone()
        return _Journal(*row[:3])

    def _counted_again(self, journal: int, begin: str) -> _Journal:
        """Return a journal with a damaged count. It holds its rows up to the first gap; none if it has no row."""
        with self._file.writing() as connection:
            ask = (
                "SELECT seq, hash FROM events AS e WHERE journal = ? AND NOT EXISTS"
                " (SELECT 1 FROM events WHERE journal = e.journal AND seq = e.seq + 1) ORDER BY seq LIMIT 1"
            )
            held, last = connection.execute(ask, (journal,)).fetchone() or (0, begin)
            connection.execute("UPDATE journals SET held = ?, hash = ? WHERE id = ?", (held, last, journal))
        log.error("the count of journal %d was damaged, and is %d again, by its rows", journal, held)
        return _Journal(journal, held, last)

    def _find_lost_rows(self, journal: _Journal, batch: EventBatch, change: JournalChange) -> None:
        """Open an alarm for rows before the batch that neither the office nor the gate has.

        Rows sent ahead may be here.
        """
        with self._file.reading() as connection:
            ask = "SELECT seq FROM events WHERE journal = ? AND seq > ? AND seq < ?"
            stored = {row[0] for row in connection.execute(ask, (journal.number, journal.held, batch.first)).fetchall()}
        lost = [seq for seq in range(journal.held + 1, batch.first) if seq not in stored]
        if lost:
            change.alarms.append(("rows_lost", f"journal {batch.journal} rows {lost[0]} to {lost[-1]}: {len(lost)}"))

    def _check(self, journal: _Journal, batch: EventBatch, change: JournalChange) -> Collection[int]:
        """Check that the batch continues the hash chain and does not change known rows. Return the known rows."""
        before = self._hash(journal.number, batch.first - 1) or batch.prev
        if batch.first == 1:
            before = genesis(self._site, batch.gate, batch.journal)
        wrong = [] if (bad := first_altered(batch, before)) is None else [bad]
        with self._file.reading() as connection:
            ask = "SELECT seq, hash FROM events WHERE journal = ? AND seq BETWEEN ? AND ?"
            stored = dict(connection.execute(ask, (journal.number, batch.first, batch.last)).fetchall())
        wrong += [event.seq for event in batch.events if stored.get(event.seq, event.hash) != event.hash]
        if wrong:
            change.alarms.append(("row_altered", f"journal {batch.journal} row {min(wrong)}"))
        return stored

    def _insert(self, journal: _Journal, batch: EventBatch, stored: Collection[int], change: JournalChange) -> None:
        """Store the rows of a batch that are not `stored` yet."""
        new = [event for event in batch.events if event.seq not in stored]
        change.new += new
        with self._file.writing() as connection:
            keep = (
                "INSERT INTO events (journal, seq, at, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING"
            )
            rows = [(journal.number, each.seq, each.at, each.kind, each.body, each.hash) for each in new]
            connection.executemany(keep, rows)

    def _advance(self, journal: _Journal, last: WireEvent, change: JournalChange) -> _Journal:
        """Move the head to `last`, and check the rows against the heads that were signed before the rows arrived."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE journals SET held = ?, hash = ? WHERE id = ?", (last.seq, last.hash, journal.number)
            )
            for head, signed in self._checkpoints(journal.number, last.seq):
                if self._hash(journal.number, head) not in (None, signed):
                    change.alarms.append(("row_altered", f"row {head} is not what was signed"))
            connection.execute("DELETE FROM checkpoints WHERE journal = ? AND head <= ?", (journal.number, last.seq))
        return _Journal(journal.number, last.seq, last.hash)

    def _checkpoints(self, journal: int, upto: int) -> Iterator[tuple[int, str]]:
        with self._file.reading() as connection:
            ask = "SELECT head, hash FROM checkpoints WHERE journal = ? AND head <= ? AND hash != ''"
            yield from connection.execute(ask, (journal, upto)).fetchall()

    def _hash(self, journal: int, seq: int) -> str | None:
        with self._file.reading() as connection:
            row = connection.execute("SELECT hash FROM events WHERE journal = ? AND seq = ?", (journal, seq)).fetchone()
        return row[0] if row else None

    def _ack(self, gate: str, name: str, journal: _Journal) -> Ack:
        return Ack(site=self._site, gate=gate, journal=name, seq=journal.held, hash=journal.hash)
