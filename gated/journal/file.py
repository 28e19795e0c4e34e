"""The file behind the journal: its tables, its head record, and the only two ways in, one to read and one to write."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gated import database
from gated.errors import StateError
from gated.journal.chain import Position, genesis

NAME = "journal.db"

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


class JournalFile:
    """One connection to `journal.db`, for one thread at a time. Everything raises `StateError` when the disk fails."""

    def __init__(self, state: Path, site: str, gate: str) -> None:
        """Open the file, or begin it. Raises `StateError` when it is another gate's."""
        self.path = state / NAME
        self._connection = database.connect(self.path, MIGRATIONS)
        self._connection.row_factory, self._connection.text_factory = None, bytes
        try:
            self._begin(site, gate)
        except StateError:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back; never fails, and a second time does nothing."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is ours alone."""
        with self._named(), database.transaction(self._connection) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One view of the file, whatever is appended meanwhile."""
        with self._named():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def position(self) -> Position:
        """The head record; call it inside `reading` or `writing`."""
        row = self._connection.execute(
            "SELECT site, gate, journal, base, base_hash, seq, hash, acked, dropped FROM head"
        ).fetchone()
        if row is None:
            raise StateError(f"{self.path}: its head record is gone; move the file away to begin a new journal")
        values: list[Any] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in row]
        return Position(*values)

    def _begin(self, site: str, gate: str) -> None:
        """Write the head record of an empty journal; check that of one that is there."""
        with self.writing() as connection:
            if not connection.execute("SELECT 1 FROM head UNION ALL SELECT 1 FROM event LIMIT 1").fetchone():
                journal = secrets.token_hex(8)
                first = genesis(site, gate, journal)
                row = (1, site, gate, journal, 0, first, 0, first, 0, 0)
                connection.execute("INSERT INTO head VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            was = self.position()
            if (was.site, was.gate) != (site, gate):
                raise StateError(
                    f"{self.path}: is the journal of gate {was.gate!r} at {was.site!r}, not of {gate!r} at {site!r};"
                    " correct site.id and gate.id, or move the file away to begin a new journal"
                )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """SQLite's errors by our name."""
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: fails ({error}); check the disk and its free space") from error
