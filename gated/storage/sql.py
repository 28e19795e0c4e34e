"""SQL on an open connection: settings, transactions, queries, and the wiping of deleted rows."""

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA busy_timeout = 5000;
PRAGMA foreign_keys = ON;
PRAGMA journal_size_limit = 4194304;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -2000;
PRAGMA trusted_schema = OFF;
PRAGMA secure_delete = ON;
"""
"""FULL is required: WAL with NORMAL loses acknowledged rows in a power cut
(sqlite.org/pragma.html#pragma_synchronous).
"""

BLOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
"""Primary result codes of a wipe that another connection or a full disk prevents (sqlite.org/rescode.html)."""

as_text = partial(str, encoding="utf-8", errors="replace")
"""Text decoder for columns. A damaged byte becomes one replacement character, and the table stays readable."""


def prepare(connection: sqlite3.Connection, patience_s: float = 5.0) -> None:
    """Set the pragmas. If several processes switch a new file to WAL at once, SQLite may fail without waiting, so this
    function waits.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.executescript(PRAGMAS)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run the block as one transaction, exclusive from the first statement (`BEGIN IMMEDIATE`). Roll back on an
    exception.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # on a full disk SQLite has rolled back already
            connection.execute("ROLLBACK")
        raise


def rows(connection: sqlite3.Connection, query: str, values: Sequence[str] = ()) -> list[sqlite3.Row]:
    """Return all rows of a query, with text as `as_text` decodes it.

    The fast decoder runs first. `as_text` takes twice the time, so it runs only if a text is damaged. No other thread
    may use the connection during that time.
    """
    try:
        connection.text_factory = str
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:  # the error does not name its cause: any other cause raises again
        connection.text_factory = as_text
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = as_text


def forget(connection: sqlite3.Connection) -> bool:
    """Rewrite the file and empty the write-ahead log, so that no page keeps erased data. Call it after an erasure.

    Return False if another connection or a full disk prevented it. The rows are gone, but traces remain; call it again.
    """
    try:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in BLOCKED:
            return False
        raise
    return not busy


def is_one_of(column: str, values: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """Return an SQL condition that a column has one of these values, and its parameters. None accepts every value."""
    if values is None:
        return "TRUE", ()
    return f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values)),)  # noqa: S608 - our own column


def version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection writes (`PRAGMA data_version`). It is cheap enough for every
    second.
    """
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
