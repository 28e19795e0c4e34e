"""Access to `office.db`: one context manager for reading and one for writing.

Turns SQLite errors into project errors. An office looks ten times a second for changes, so reading costs little.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from gated.errors import StateError
from gated.storage import database, sql


class OfficeFile:
    """One connection to `office.db`, for one thread at a time. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._guard = connection, database.Guard(connection, path)
        self.generation: int | None = None
        """Number of the key hand-over that this process's keys belong to; None if not known yet."""

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._connection.close()

    def version(self) -> int:
        """Return a number that changes whenever another process has written. Cheap."""
        with self.reading() as connection:
            return sql.version(connection)

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open an exclusive transaction. Inside another one, join it."""
        return self._guard if self._connection.in_transaction else self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard.changing() as connection:
            self._refuse_old_keys(connection)
            yield connection

    def _refuse_old_keys(self, connection: sqlite3.Connection) -> None:
        """Raise `StateError` if the office has newer keys. Data sealed with the old keys could not be opened."""
        if self.generation is None:
            return
        newest = connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0]
        if newest != self.generation:
            raise StateError("this office got new keys meanwhile; run the command again")

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give the connection for a query. Fetch all rows before leaving the block."""
        return self._guard

    def count(self) -> int:
        """Return the next number of the counter shared by records and faces."""
        with self.writing() as connection:
            row = connection.execute("UPDATE office SET counter = counter + 1 RETURNING counter").fetchone()
            return int(row[0])

    def erase(self) -> bool:
        """Truncate the write-ahead log after an erasure.

        Return False if a transaction or reader blocks it.
        """
        with self.reading() as connection:
            if connection.in_transaction:
                return False
            if not connection.execute("SELECT owes_erasure FROM office").fetchone()[0]:
                return True
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return False
            connection.execute("UPDATE office SET owes_erasure = 0")
            return True
