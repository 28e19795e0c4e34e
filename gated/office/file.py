"""The file behind the office, and the only two ways in: one to read, one to write."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from gated import database
from gated.errors import BusyError, StateError


class OfficeFile:
    """One connection to `office.db`, for one thread at a time. Everything may raise `BusyError` and `StateError`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.generation: int | None = None
        """The number of the hand-over that the keys of this process are of; None while it is not known."""

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._connection.close()

    def version(self) -> int:
        """Changes whenever another process has written; cheap to ask."""
        with self.reading() as connection:
            return database.version(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is ours alone; within another it is a part of that one."""
        with _plainly():
            if self._connection.in_transaction:
                yield self._connection
            else:
                with database.transaction(self._connection) as connection:
                    self._refuse_old_keys(connection)
                    yield connection

    def _refuse_old_keys(self, connection: sqlite3.Connection) -> None:
        """What a process with old keys would seal, nobody could open."""
        if self.generation is None:
            return
        newest = connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0]
        if newest != self.generation:
            raise StateError("this office was given new keys meanwhile; begin this anew")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For a query, whose rows are fetched before it is left."""
        with _plainly():
            yield self._connection

    def count(self) -> int:
        """The next number of the counter that all records and faces share."""
        with self.writing() as connection:
            row = connection.execute("UPDATE office SET counter = counter + 1 RETURNING counter").fetchone()
            return int(row[0])

    def erase(self) -> bool:
        """Empty the write-ahead log, if something was erased since; False when a reader stands in the way."""
        with self.reading() as connection:
            if connection.in_transaction:
                return False
            if not connection.execute("SELECT owes_erasure FROM office").fetchone()[0]:
                return True
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return False
            connection.execute("UPDATE office SET owes_erasure = 0")
            return True


@contextmanager
def _plainly() -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise BusyError("the office's database is being changed by another process; try again") from error
        raise StateError(f"office.db cannot be read or written ({error}); is the disk full or failing?") from error
    except sqlite3.Error as error:
        raise StateError(f"office.db cannot be read or written ({error}); is the disk failing?") from error
