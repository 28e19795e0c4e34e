"""SQLite the way this gate needs it: what was acknowledged is on disk, what was erased is gone.

Schema changes are an append-only list of scripts, applied and recorded by sqlite-utils; the rest is plain sqlite3.

What stands in a script behind `BACK` is the way back from it. It is kept in the database itself, so that a gated that
does not know the change can undo it (`go_back`) and lose nothing but what only the newer one could write. No copy is
ever put in a database's place: it would bring back who was erased, undo a revocation, and lose what was acknowledged.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gated.errors import StateError

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
"""FULL, because WAL with NORMAL loses acknowledged rows with the power (sqlite.org/pragma.html#pragma_synchronous)."""

BACK = "-- back\n"
"""Stands in a script between what it does and what undoes it."""
WAYS_BACK = "CREATE TABLE IF NOT EXISTS _gated_back (number INTEGER PRIMARY KEY, script TEXT NOT NULL) STRICT"

STANDS_IN_THE_WAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database, readable by its owner alone, with its schema brought up to date.

    Raises `StateError` when the folder or the file cannot be used, or was written by a newer gated.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            _prepare(connection)
            migrate(connection, migrations)
        except sqlite3.Error:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        advice = "check that the folder is writable and the disk is not full"
        raise StateError(f"{path}: cannot be used ({error}); {advice}") from error
    return connection


def _prepare(connection: sqlite3.Connection, patience_s: float = 5.0) -> None:
    """Set the pragmas; of several that turn a new file to WAL at once SQLite refuses some without waiting, so we do."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.executescript(PRAGMAS)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the scripts that have not run yet, all in one transaction with their record; no lock where there are none."""
    if applied(connection) == len(migrations):
        return
    from sqlite_utils import Database, Migrations  # 0.1 s and 25 MB that a gate whose schema is current does without

    known = Migrations("gated")
    for number, script in enumerate(migrations, 1):
        known(name=str(number))(_steps(number, script))
    with transaction(connection):
        done = applied(connection)
        if done > len(migrations):
            advice = "install the newer gated again, or go back with `gated update --back`"
            raise sqlite3.DatabaseError(f"it has schema {done}, this gated knows {len(migrations)}; {advice}")
        known.apply(Database(connection))


def _steps(number: int, script: str) -> Any:
    """A script as a migration, without the commit that sqlite3's own `executescript` begins with."""
    forth, _, back = script.partition(BACK)

    def migration(database: Any) -> None:
        for statement in _statements(forth):
            database.execute(statement)
        if back:
            database.execute(WAYS_BACK)
            database.execute("INSERT INTO _gated_back VALUES (?, ?)", (number, back))

    return migration


def _statements(script: str) -> Iterator[str]:
    return filter(str.strip, script.split(";"))


def go_back(path: Path, known: int) -> int:
    """Undo the migrations behind the first `known`, newest first and all or none; gives how many there were.

    Raises `StateError` when one left no way back, when rows would then name what is not there, or when the database
    cannot be used; nothing is changed then.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _prepare(connection)
            if applied(connection) <= known:
                return 0
            connection.execute("PRAGMA foreign_keys = OFF")  # a way back may make a table anew that others point to
            with transaction(connection):
                numbers = range(applied(connection), known, -1)
                for number in numbers:
                    _undo(connection, number)
                if connection.execute("PRAGMA foreign_key_check").fetchone():
                    raise sqlite3.IntegrityError("its ways back leave rows that name what is not there")
            return len(numbers)
    except sqlite3.Error as error:
        raise StateError(f"{path}: cannot go back ({error}); install the newer gated again") from error


def _undo(connection: sqlite3.Connection, number: int) -> None:
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_gated_back'").fetchone()
    row = known and connection.execute("SELECT script FROM _gated_back WHERE number = ?", (number,)).fetchone()
    if not row:
        raise sqlite3.DatabaseError(f"schema {number} left no way back")
    for statement in _statements(row[0]):
        connection.execute(statement)
    connection.execute("DELETE FROM _gated_back WHERE number = ?", (number,))
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (str(number),))


def applied(connection: sqlite3.Connection) -> int:
    """How many migrations have run, by the record that sqlite-utils keeps."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone():
        return 0
    return int(connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, and ours alone from the first statement on (`BEGIN IMMEDIATE`)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has SQLite roll back by itself
            connection.execute("ROLLBACK")
        raise


def forget(connection: sqlite3.Connection) -> bool:
    """After an erasure: rewrite the file and empty the write-ahead log, so that no page keeps what was deleted.

    False when another connection, or a full disk, stood in the way: the rows are gone, their traces are not; ask again.
    """
    try:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in STANDS_IN_THE_WAY:
            return False
        raise
    return not busy


def version(connection: sqlite3.Connection) -> int:
    """Changes whenever another connection has written (`PRAGMA data_version`); cheap enough to ask every second."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
