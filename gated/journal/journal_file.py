"""The SQLite file of the journal: its tables, its head record, and its read and write transactions."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gated.errors import StateError, TornError
from gated.journal.chain import Position, genesis
from gated.storage import database, sql
from gated.storage.read_only import in_memory, is_read_only_mode
from gated.storage.rescue import open_best
from gated.storage.sqlite_errors import state_error

JOURNAL_DB = "journal.db"
HEAD_TYPES = [bytes, bytes, bytes, int, bytes, int, bytes, int, int]
"""The types of the head record's columns, as SQLite returns them."""

MIGRATIONS = [
    """
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE TABLE head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        site TEXT NOT NULL, gate TEXT NOT NULL, journal TEXT NOT NULL,
        base INTEGER NOT NULL, base_hash TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
        acked INTEGER NOT NULL, dropped INTEGER NOT NULL
    ) STRICT
    """,
]

BEGUN = "SELECT 1 FROM head UNION ALL SELECT 1 FROM event LIMIT 1"


class JournalFile:
    """A connection to `journal.db`, for one thread at a time. Every method raises `StateError` when the disk fails."""

    def __init__(self, state: Path, site: str, gate: str, *, is_to_read: bool = False) -> None:
        """Open the file, or create it. Raises `StateError` when it belongs to another gate.

        With `is_to_read` and a disk that accepts no writes, open a copy in its place; `why` then gives the reason.
        """
        self.path, self.why = state / JOURNAL_DB, ""
        if is_to_read:
            best = open_best(self.path, MIGRATIONS)
            self._connection, self.why = best.connection, best.why
        else:
            self._connection = database.connect(self.path, MIGRATIONS)
        self._use(self._connection)
        if self.why:
            return
        try:
            self._begin(site, gate)
        except StateError:
            self.close()
            raise

    def _use(self, connection: sqlite3.Connection) -> None:
        """Use this connection from now on, with texts as bytes."""
        self._connection = connection
        self._guard = database.Guard(connection, self.path, error=state_error)
        connection.row_factory, connection.text_factory = None, bytes

    def close(self) -> None:
        """Close the file. Never raises. A second call does nothing."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run one exclusive write transaction."""
        with self._guard.changing() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Run one read transaction. It does not see rows that another process appends during that time."""
        with self._guard:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def version(self) -> tuple[int, int]:
        """Return a value that differs after any change, by any process. Cheap."""
        with self._guard as connection:
            return sql.version(connection), connection.total_changes

    def position(self) -> Position:
        """Return the head record. Call it inside `reading` or `writing`.

        Raises `TornError` when the record is missing or damaged.
        """
        row = self._connection.execute(
            "SELECT site, gate, journal, base, base_hash, seq, hash, acked, dropped FROM head"
        ).fetchone()
        if row is None:
            raise TornError(f"{self.path}: the head record is missing; the gate's next start begins a new journal")
        if [type(value) for value in row] != HEAD_TYPES:
            raise TornError(f"{self.path}: the head record is damaged; the gate's next start begins a new journal")
        values: list[Any] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row]
        return Position(*values)

    def _begin(self, site: str, gate: str) -> None:
        """Write the head record of a new journal, or check the one of an existing journal.

        A reader finds no head record if the brain was killed while it made the journal. It then writes into a copy.
        """
        with self.reading() as connection:
            is_begun = connection.execute(BEGUN).fetchone() is not None
        if not is_begun:
            if is_read_only_mode():
                self._use(in_memory(self._connection))
            with self.writing() as connection:
                if not connection.execute(BEGUN).fetchone():
                    journal = secrets.token_hex(8)
                    first = genesis(site, gate, journal)
                    row = (1, site, gate, journal, 0, first, 0, first, 0, 0)
                    connection.execute("INSERT INTO head VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        with self.reading():
            was = self.position()
            if (was.site, was.gate) != (site, gate):
                raise StateError(
                    f"{self.path}: is the journal of gate {was.gate!r} at {was.site!r}, not of {gate!r} at {site!r};"
                    " correct site.id and gate.id, or move the file away to begin a new journal"
                )
