"""Rows that are deleted still lie in free pages and in the write-ahead log: who deletes owes it that they go too.

The debt is a row of its own, written in the transaction that deletes, so that a power cut or a busy reader in between
is not the end of it: the next start pays.
"""

import sqlite3

from gated import database

SCHEMA = "CREATE TABLE erasures (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT"


def owe(connection: sqlite3.Connection) -> None:
    """Remember, in the transaction that deletes, that the traces must go as well."""
    connection.execute("INSERT INTO erasures DEFAULT VALUES")


def settle(connection: sqlite3.Connection) -> bool:
    """Wipe the traces of what was deleted. False when something stood in the way and it is still owed."""
    newest = connection.execute("SELECT max(id) FROM erasures").fetchone()[0]
    if newest is None:
        return True
    if not database.forget(connection):
        return False
    connection.execute("DELETE FROM erasures WHERE id <= ?", (newest,))  # another's, made meanwhile, is still owed
    return True
