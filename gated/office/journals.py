"""What the gates' journals say: every row that arrived, up to where nothing is missing, and whether all of it fits.

The rows are kept as they came. That somebody changed a past is seen here and nowhere else: the office has the hashes
from before, and every minute a gate signs how far it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gated.journal.chain import genesis
from gated.office.file import OfficeFile
from gated.sync.messages import Ack, EventBatch, JournalMark, WireEvent, misfit

KEEP_CHECKPOINTS = 100
"""Of rows that have not arrived; the oldest are the best witnesses of what was before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row with where it is from."""

    row: int
    gate: str
    journal: str
    event: WireEvent


@dataclass(slots=True)
class Taken:
    """What became of a batch or a mark."""

    ack: Ack | None = None
    new: list[WireEvent] = field(default_factory=list)
    """Rows that were not here before."""
    alarms: list[tuple[str, str]] = field(default_factory=list)
    """Kinds and details."""


@dataclass(frozen=True, slots=True)
class _Journal:
    number: int
    held: int
    hash: str


class Journals:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, site: str) -> None:
        self._file, self._site = file, site

    def take(self, batch: EventBatch) -> Taken:
        """Keep what is new of a batch; the ack says what is held then, on disk. None for rows that went ahead."""
        taken = Taken()
        with self._file.writing():
            journal = self._journal(batch.gate, batch.journal, taken)
            if batch.is_ahead:
                self._check(journal, batch, taken)
                self._keep(journal, batch, taken)
                return taken
            if batch.after <= journal.held < batch.last:
                self._find_lost(journal, batch, taken)
                self._check(journal, batch, taken)
                self._keep(journal, batch, taken)
                journal = self._hold(journal, batch.events[-1], taken)
            elif batch.last <= journal.held:
                self._check(journal, batch, taken)
        taken.ack = self._ack(batch.gate, batch.journal, journal)
        return taken

    def mark(self, gate: str, mark: JournalMark, *, is_fresh: bool) -> Taken:
        """A gate signed how far it is: an ack, where it believes that more is here than is."""
        taken = Taken()
        with self._file.writing() as connection:
            journal = self._journal(gate, mark.id, taken)
            if mark.head > journal.held:
                keep = (
                    "INSERT OR IGNORE INTO checkpoints SELECT ?, ?, ?"
                    " WHERE (SELECT count(*) FROM checkpoints WHERE journal = ?) < ?"
                )
                connection.execute(keep, (journal.number, mark.head, mark.hash, journal.number, KEEP_CHECKPOINTS))
            elif mark.head and mark.hash not in ("", self._hash(journal.number, mark.head) or mark.hash):
                taken.alarms.append(("row_altered", f"journal {mark.id} row {mark.head}"))
            elif mark.head < journal.held and is_fresh:
                taken.alarms.append(("journal_cut", f"journal {mark.id} row {mark.head + 1}"))
        if mark.acked > journal.held:
            taken.ack = self._ack(gate, mark.id, journal)
        return taken

    def rows(self, after: int = 0, gate: str | None = None, limit: int = 500) -> list[Kept]:
        """Rows in the order in which they arrived, from behind the one with the number `after`."""
        which = "WHERE row > ? AND (? IS NULL OR gate = ?) ORDER BY row LIMIT ?"
        return self._rows(which, after, gate, gate, limit)

    def last(self, count: int, gate: str | None = None) -> list[Kept]:
        """The newest rows, oldest of them first."""
        return self._rows("WHERE ? IS NULL OR gate = ? ORDER BY row DESC LIMIT ?", gate, gate, count)[::-1]

    def used(self, gate: str) -> dict[str, str]:
        """Who came in at a gate by card or PIN, or tried to, and when last; by id."""
        ask = """
            SELECT json_extract(body, '$.subject') AS who, max(e.at) FROM events AS e
            JOIN journals AS j ON j.id = e.journal
            WHERE j.gate = ? AND kind IN ('way_granted', 'way_denied') AND json_valid(body) AND who IS NOT NULL
            AND json_extract(body, '$.way') IN ('card', 'pin') GROUP BY who
        """
        with self._file.reading() as connection:
            return dict(connection.execute(ask, (gate,)).fetchall())

    def forget(self, before: str) -> int:
        """Delete rows from the oldest on, up to the first that is not older than `before` (a `stamp`); how many.

        The newest row that a journal holds stays, and what went ahead: the next batch must fit to it. A row with an
        old time between newer ones stays as well: a wrong clock deletes nothing.
        """
        gone = 0
        with self._file.writing() as connection:
            for journal, held in connection.execute("SELECT id, held FROM journals").fetchall():
                ask = "SELECT min(seq) FROM events WHERE journal = ? AND at >= ?"
                young = connection.execute(ask, (journal, before)).fetchone()[0]
                upto = held if young is None else min(held, young)
                gone += connection.execute("DELETE FROM events WHERE journal = ? AND seq < ?", (journal, upto)).rowcount
            if gone:
                connection.execute("UPDATE office SET owes_erasure = 1")
        return gone

    def held(self, gate: str, journal: str) -> int:
        """The row up to which nothing that the gate could still send is missing."""
        with self._file.reading() as connection:
            ask = "SELECT held FROM journals WHERE gate = ? AND journal = ?"
            row = connection.execute(ask, (gate, journal)).fetchone()
        return int(row[0]) if row else 0

    def _rows(self, which: str, *values: str | int | None) -> list[Kept]:
        ask = (
            "SELECT row, gate, journals.journal, seq, at, kind, body, events.hash FROM events"  # noqa: S608 - ours
            f" JOIN journals ON journals.id = events.journal {which}"
        )
        with self._file.reading() as connection:
            rows = connection.execute(ask, values).fetchall()
        return [Kept(row[0], row[1], row[2], WireEvent(*row[3:])) for row in map(tuple, rows)]

    def _journal(self, gate: str, name: str, taken: Taken) -> _Journal:
        with self._file.writing() as connection:
            ask = "SELECT id, held, hash FROM journals WHERE gate = ? AND journal = ?"
            row = connection.execute(ask, (gate, name)).fetchone()
            if row is None:
                if connection.execute("SELECT 1 FROM journals WHERE gate = ?", (gate,)).fetchone():
                    taken.alarms.append(("journal_new", f"journal {name}"))
                begin = "INSERT INTO journals (gate, journal, held, hash) VALUES (?, ?, 0, ?) RETURNING id, held, hash"
                row = connection.execute(begin, (gate, name, genesis(self._site, gate, name))).fetchone()
        return _Journal(*row)

    def _find_lost(self, journal: _Journal, batch: EventBatch, taken: Taken) -> None:
        """Rows before the batch that are neither here nor at the gate any more; some may be here that went ahead."""
        with self._file.reading() as connection:
            ask = "SELECT seq FROM events WHERE journal = ? AND seq > ? AND seq < ?"
            here = {row[0] for row in connection.execute(ask, (journal.number, journal.held, batch.first)).fetchall()}
        lost = [seq for seq in range(journal.held + 1, batch.first) if seq not in here]
        if lost:
            taken.alarms.append(("rows_lost", f"journal {batch.journal} rows {lost[0]} to {lost[-1]}: {len(lost)}"))

    def _check(self, journal: _Journal, batch: EventBatch, taken: Taken) -> None:
        """The batch follows from the row before it, and says of rows that are here what they say."""
        before = self._hash(journal.number, batch.first - 1) or batch.prev
        if batch.first == 1:
            before = genesis(self._site, batch.gate, batch.journal)
        wrong = [] if (bad := misfit(batch, before)) is None else [bad]
        with self._file.reading() as connection:
            ask = "SELECT seq, hash FROM events WHERE journal = ? AND seq BETWEEN ? AND ?"
            here = dict(connection.execute(ask, (journal.number, batch.first, batch.last)).fetchall())
        wrong += [event.seq for event in batch.events if here.get(event.seq, event.hash) != event.hash]
        if wrong:
            taken.alarms.append(("row_altered", f"journal {batch.journal} row {min(wrong)}"))

    def _keep(self, journal: _Journal, batch: EventBatch, taken: Taken) -> None:
        with self._file.writing() as connection:
            keep = (
                "INSERT INTO events (journal, seq, at, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING seq"
            )
            for event in batch.events:
                row = (journal.number, event.seq, event.at, event.kind, event.body, event.hash)
                if connection.execute(keep, row).fetchone() is not None:
                    taken.new.append(event)

    def _hold(self, journal: _Journal, last: WireEvent, taken: Taken) -> _Journal:
        """Everything up to there is here, and is what was signed before it arrived."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE journals SET held = ?, hash = ? WHERE id = ?", (last.seq, last.hash, journal.number)
            )
            for head, signed in self._checkpoints(journal.number, last.seq):
                if self._hash(journal.number, head) not in (None, signed):
                    taken.alarms.append(("row_altered", f"row {head} is not what was signed"))
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
