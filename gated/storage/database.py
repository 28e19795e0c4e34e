"""SQLite as this gate needs it: acknowledged data is on disk, and erased data is gone. All databases use this module.

Schema changes are an append-only list of scripts. sqlite-utils applies and records them; everything else is plain
sqlite3.

The part of a script after `BACK` undoes the change. It is stored in the database. So an older gated, which does not
know the change, can undo it (`go_back`) and loses only data that the newer gated added. An old copy never replaces a
database: it would restore erased people, undo a revocation, and lose acknowledged data.
"""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import TracebackType
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
"""FULL is required: WAL with NORMAL loses acknowledged rows in a power cut
(sqlite.org/pragma.html#pragma_synchronous).
"""

BACK = "-- back\n"
"""The separator in a script between the change and its undo part."""
WAYS_BACK = "CREATE TABLE IF NOT EXISTS _gated_back (number INTEGER PRIMARY KEY, script TEXT NOT NULL) STRICT"

STANDS_IN_THE_WAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
OF_THE_DISK = (
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
)  # fmt: skip
TORN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary result codes (sqlite.org/rescode.html)."""

FAILS = (sqlite3.Error, UnicodeDecodeError)
"""Exceptions of a statement. `UnicodeDecodeError` occurs if an error message of SQLite quotes a damaged name."""

as_text = partial(str, encoding="utf-8", errors="replace")
"""Text decoder for columns. A damaged byte becomes one replacement character, and the table stays readable."""


_looks = ContextVar("looks", default=False)


@contextmanager
def looking() -> Iterator[None]:
    """Open databases read-only within this context: create, migrate and leave no file.

    Used by commands that any user may run, even root: a file that root creates would block the gate's own user.
    """
    token = _looks.set(True)
    try:
        yield
    finally:
        _looks.reset(token)


def only_looks() -> bool:
    """Return whether databases are opened read-only now."""
    return _looks.get()


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database, readable only by its owner, and apply the missing migrations.

    Raises `DiskError` if the folder or the file cannot be written, `TornError` if the file is damaged, and `StateError`
    if a newer gated wrote it.
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
    """Turn an error of the disk or of SQLite into a `StateError`. `what`: a file, or the data stored in it."""
    code = getattr(error, "sqlite_errorcode", None)  # errors that sqlite3 itself raises have no code
    if isinstance(error, UnicodeDecodeError) or (code is not None and code & 0xFF in TORN):
        return TornError(f"{what}: is damaged ({error}); the gate's next start keeps what can be read of it")
    if isinstance(error, OSError) or (code is not None and code & 0xFF in OF_THE_DISK):
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        if is_read_only(Path(what)):
            said = "the disk is read-only"
        return DiskError(f"{what}: cannot be used ({said}); check that the folder is writable and the disk is not full")
    return StateError(f"{what}: cannot be used ({error}); check the disk, and which gated wrote it")


def view(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database for reading, with the schema of this version. Nothing on the disk changes.

    A missing database is empty. An older one is migrated in memory. Raises `StateError`.
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
    """Open the file without creating another file beside it. SQLite would create an index of the write-ahead log.

    Three cases: Another process has it open: log and index exist already. There is no log: the file holds everything
    ("immutable"). There is a log without an index: a crash left it, and a copy is read.
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
    """Return a folder in memory, so that no copy of personal data is written to a card.

    Return None if there is none.
    """
    return next((folder for folder in ("/dev/shm", "/run") if os.access(folder, os.W_OK)), None)  # noqa: S108


def _in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """Copy a database into memory, and close the original."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with closing(source):
        source.backup(memory)
    return memory


def is_read_only(path: Path) -> bool:
    """Return whether the file's disk is mounted read-only. SQLite's errors do not tell this case from others."""
    with suppress(OSError):
        return path.is_absolute() and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return False


def _prepare(connection: sqlite3.Connection, patience_s: float = 5.0) -> None:
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


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the missing scripts and record them, all in one transaction. Take no lock if none is missing."""
    if applied(connection) == len(migrations):
        return
    from sqlite_utils import Database, Migrations  # saves 0.1 s and 25 MB if the schema is current

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
    """Return a script as a migration.

    It runs the statements singly, because sqlite3's `executescript` commits first.
    """
    forth, _, back = script.partition(BACK)

    def migration(database: Any) -> None:
        for statement in _statements(forth):
            database.execute(statement)
        if back:
            database.execute(WAYS_BACK)
            database.execute("INSERT INTO _gated_back VALUES (?, ?)", (number, back))

    return migration


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script. A trigger contains semicolons."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield from filter(lambda each: each.strip(" \n;"), [statement])
            statement = ""


def go_back(path: Path, known: int) -> int:
    """Undo the migrations after the first `known`, newest first, all or none. Return the number of undone migrations.

    Raises `StateError` if a migration has no undo script, if rows would then refer to missing rows, or if the database
    cannot be used. Nothing is changed then.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _prepare(connection)
            if applied(connection) <= known:
                return 0
            connection.execute("PRAGMA foreign_keys = OFF")  # an undo script may recreate a table that others refer to
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
    """Return the number of applied migrations, from the record of sqlite-utils."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone():
        return 0
    return int(connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])


class Guarded:
    """Gives a connection inside a context, and converts the errors of SQLite with `name`.

    One object serves every `with` statement, also nested ones: this is cheaper than a generator for each. `lock` is
    held inside the context.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: Callable[[sqlite3.Error | UnicodeDecodeError], Exception],
        lock: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - has no state
    ) -> None:
        self._connection, self._name, self._lock = connection, name, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.__enter__()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.__exit__(None, None, None)
        if isinstance(error, FAILS):
            raise self._name(error) from error


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
    may use the connection meanwhile.
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
        if error.sqlite_errorcode & 0xFF in STANDS_IN_THE_WAY:
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
