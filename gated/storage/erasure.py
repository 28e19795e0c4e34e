"""Secure erasure: deleted rows remain in free pages and in the write-ahead log until they are wiped.

Each deletion adds a row to `erasures` in the same transaction. So a power cut or a busy reader does not lose the
erasure: the next start does it.
"""

import sqlite3

from gated.storage import sql

SCHEMA = "CREATE TABLE erasures (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT"


def record_erasure(connection: sqlite3.Connection) -> None:
    """Record an open erasure in the transaction that deletes. `finish_erasures` wipes the traces later."""
    connection.execute("INSERT INTO erasures DEFAULT VALUES")


def finish_erasures(connection: sqlite3.Connection) -> bool:
    """Wipe the traces of deleted rows.

    Return False if another connection blocked the wipe: the caller must try again.
    """
    newest = connection.execute("SELECT max(id) FROM erasures").fetchone()[0]
    if newest is None:
        return True
    if not sql.forget(connection):
        return False
    connection.execute("DELETE FROM erasures WHERE id <= ?", (newest,))  # a newer erasure by another process stays open
    return True
