"""SQLite the way this gate needs it: what was acknowledged is on disk, what was erased is gone.

Schema changes are an append-only list of scripts, applied and recorded by sqlite-utils; the rest is plain sqlite3.

What stands in a script behind `BACK` is the way back from it. It is kept in the database itself, so that a gated that
does not know the change can undo it (`go_back`) and lose nothing but what only the newer one could write. No copy is
ever put in a database's place: it would bring back who was erased, undo a revocation, and lose what was acknowledged.
"""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from gated.errors import DiskError, StateError, TornError

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
OF_THE_DISK = (
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
)  # fmt: skip
TORN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary result codes (sqlite.org/rescode.html)."""

FAILS = (sqlite3.Error, UnicodeDecodeError)
"""What a statement may raise; the latter where SQLite's own words name something that is damaged."""

as_text = partial(str, encoding="utf-8", errors="replace")
"""One byte that a card has changed is one odd character, not a table that cannot be read."""


_looks = ContextVar("looks", default=False)


@contextmanager
def looking() -> Iterator[None]:
    """Whoever opens a database within this only looks: nothing is made on the disk, migrated there, or left behind.

    For commands that anybody may run, root too: a file that root makes would be in the way of the gate's own user.
    """
    token = _looks.set(True)
    try:
        yield
    finally:
        _looks.reset(token)


def only_looks() -> bool:
    """Whether nothing may be made now."""
    return _looks.get()


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database, readable by its owner alone, with its schema brought up to date.

    Raises `DiskError` when the folder or the file cannot be written, `TornError` when the file is damaged, and
    `StateError` when it was written by a newer gated.
    """
    if only_looks():
        return view(path, migrations)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory, connection.text_factory = sqlite3.Row, as_text
            _prepare(connection)
            migrate(connection, migrations)
        except FAILS:
            connection.close()
            raise
    except (OSError, *FAILS) as error:
        raise named(error, str(path)) from error
    return connection


def named(error: OSError | sqlite3.Error | UnicodeDecodeError, what: str) -> StateError:
    """An error of the disk or of SQLite in this gate's words. `what`: a file, or what is stored in it."""
    code = getattr(error, "sqlite_errorcode", None)  # sqlite3 raises some errors itself, and those have none
    if isinstance(error, UnicodeDecodeError) or (code is not None and code & 0xFF in TORN):
        return TornError(f"{what}: is damaged ({error}); the gate's next start keeps what can be read of it")
    if isinstance(error, OSError) or (code is not None and code & 0xFF in OF_THE_DISK):
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        if is_read_only(Path(what)):
            said = "the disk is read-only"
        return DiskError(f"{what}: cannot be used ({said}); check that the folder is writable and the disk is not full")
    return StateError(f"{what}: cannot be used ({error}); check the disk, and which gated wrote it")


def view(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """A database to be read, with the schema of this version; nothing on the disk changes. One that is not there is
    empty, an older one is brought up to date in memory. Raises `StateError`.
    """
    try:
        if not path.exists():
            if not next(each for each in path.parents if each.exists()).is_dir():
                raise NotADirectoryError("its folder is a file")
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        else:
            connection = untouched(path)
            if applied(connection) != len(migrations):
                connection = _in_memory(connection)
        connection.row_factory, connection.text_factory = sqlite3.Row, as_text
        migrate(connection, migrations)
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error}); look as the gate's user, or as root") from error
    except FAILS as error:
        raise named(error, str(path)) from error
    return connection


def untouched(path: Path) -> sqlite3.Connection:
    """The file, without making another beside it: SQLite would make its index of the write-ahead log.

    Who has it open keeps both beside it. Where nobody has, no log means that all is in the file ("immutable"); a log
    alone was left by a crash, and is read in a copy.
    """
    log, index = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and not index.exists():
        with tempfile.TemporaryDirectory(prefix="gated-", dir=_memory_disk()) as folder:
            for each in (path, log):
                shutil.copyfile(each, Path(folder) / each.name)
            return _in_memory(sqlite3.connect(Path(folder) / path.name))
    how = "mode=ro" if index.exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False)


def _memory_disk() -> str | None:
    """A folder that is in memory, so that no copy of people's names lies on a card; None where there is none."""
    return next((folder for folder in ("/dev/shm", "/run") if os.access(folder, os.W_OK)), None)  # noqa: S108


def _in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of a database, which is closed."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with closing(source):
        source.backup(memory)
    return memory


def is_read_only(path: Path) -> bool:
    """Whether the disk of a file takes no write from anybody, which SQLite does not tell from other failures."""
    with suppress(OSError):
        return path.is_absolute() and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return False


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
    """One after the other; a trigger has semicolons inside."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield from filter(lambda each: each.strip(" \n;"), [statement])
            statement = ""


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


def rows(connection: sqlite3.Connection, query: str, values: Sequence[str] = ()) -> list[sqlite3.Row]:
    """All rows of a query, each text as `as_text` has it, at half its price: it is asked only where one is no text.

    The connection is the caller's alone meanwhile.
    """
    try:
        connection.text_factory = str
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:  # it says no more than that; whatever else it is comes again
        connection.text_factory = as_text
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = as_text


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


def is_one_of(column: str, values: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """The condition that a column has one of these values, and what is to be bound to it; any value with None."""
    if values is None:
        return "TRUE", ()
    return f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values)),)  # noqa: S608 - a column of ours


def version(connection: sqlite3.Connection) -> int:
    """Changes whenever another connection has written (`PRAGMA data_version`); cheap enough to ask every second."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
