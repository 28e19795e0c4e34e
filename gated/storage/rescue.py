"""Read a database that cannot be opened normally, because the disk takes no write or the file is damaged.

`open_best` returns the database itself, or a read-only copy in memory. With the copy, reading goes on, and every change
fails as on a broken disk. It changes nothing on the disk. SQLite's "immutable" mode would need no copy, but it ignores
the write-ahead log, which may hold the only record of a revocation. `set_aside` makes room for a new database and
deletes nothing.
"""

import errno
import logging
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gated.atomic_files import sync_folder
from gated.errors import DiskError, TornError
from gated.storage import database, sql
from gated.storage.migrations import migrate
from gated.storage.read_only import is_read_only_mode
from gated.storage.sqlite_errors import SQL_ERRORS, is_mounted_read_only, state_error

log = logging.getLogger(__name__)

BLOCK_BYTES = 4096
"""The unit of reading, in bytes. A block that the disk cannot read becomes zeros."""
TRIES = 3
"""The number of attempts to copy, while another process writes."""
PARTS = ("", "-wal", "-shm")
"""Suffixes of a database's files (sqlite.org/walformat.html)."""
ASIDE = ".torn-"
"""The part of a set-aside file's name before the time."""

Refused = Mapping[str, Sequence[Mapping[str, object]]]
"""By table: readable rows that violate a constraint of their table."""
Careful = Callable[[sqlite3.Connection, Collection[str], Refused], None]
"""A function that makes lost data deny access. It gets the salvaged database, the tables that lost rows, and the lost
rows of each table that lost no unreadable rows.
"""


@dataclass(frozen=True, slots=True)
class OpenedDatabase:
    """The best available form of a database. `why`: why it is not the file on the disk; empty if it is.

    `torn`: the tables that lost rows.
    """

    connection: sqlite3.Connection
    why: str = ""
    torn: frozenset[str] = frozenset()


def open_best(
    path: Path, migrations: Sequence[str], careful: Careful = lambda *_: None, *, why: str = ""
) -> OpenedDatabase:
    """Open a database, or a copy in memory if the disk takes no write.

    `why`: the known damage. If it is given, return a copy of the readable rows. If it is empty, a damaged database
    raises `TornError`. Raises `StateError` if a newer gated wrote the database, or if it is busy.
    """
    said = why
    try:
        if not why:
            return OpenedDatabase(database.connect(path, migrations), _seen_only(path))
    except DiskError as error:
        said = str(error)
    copy, torn = copy_of(path, migrations, careful)
    if torn and not why:
        copy.close()
        raise TornError(f"{path}: is damaged, and the disk takes no write: {said}")
    copy.execute("PRAGMA query_only = ON")
    return OpenedDatabase(copy, said, torn)


def _seen_only(path: Path) -> str:
    """Return why a change would fail, for a command that only reads. Return an empty string if it would succeed."""
    if is_read_only_mode() and is_mounted_read_only(path):
        return f"{path}: the disk is read-only"
    return ""


def open_or_replace(path: Path, migrations: Sequence[str]) -> tuple[OpenedDatabase, bool]:
    """Open a small database that the gate can do without. A damaged one is set aside and replaced by an empty one.

    Return the database, and whether it was replaced.
    """
    try:
        best = open_best(path, migrations)
        if best.why or is_sound(best.connection):
            return best, False
        best.connection.close()
    except TornError:
        log.debug("%s is damaged", path)
    try:
        set_aside(path)
    except DiskError as error:
        return open_best(path, migrations, why=str(error)), False
    return open_best(path, migrations), True


def open_repaired(path: Path, migrations: Sequence[str], careful: Careful) -> OpenedDatabase:
    """Open a small database that must lose no readable row. A damaged one is set aside, and its readable rows go into a
    new one.
    """
    try:
        best = open_best(path, migrations, careful)
        if best.why or is_sound(best.connection):
            return best
        best.connection.close()
    except TornError:
        log.debug("%s is damaged", path)
    fresh, _ = copy_of(path, migrations, careful)
    try:
        with closing(fresh):
            replace_database(fresh, path)
    except DiskError as error:
        return open_best(path, migrations, careful, why=str(error))
    return open_best(path, migrations, careful)


def copy_of(path: Path, migrations: Sequence[str], careful: Careful) -> tuple[sqlite3.Connection, frozenset[str]]:
    """Return a copy of the database in memory, with its write-ahead log, and the tables that lost rows.

    A damaged database is rebuilt from its readable rows.
    """
    try:
        source = copy_unchecked(path)
    except FileNotFoundError:  # no database existed, as far as we know
        return _salvaged(sqlite3.connect(":memory:"), migrations, careful)[0], frozenset()
    except (OSError, *SQL_ERRORS):
        return _salvaged(sqlite3.connect(":memory:"), migrations, careful)
    if is_sound(source):
        with suppress(*SQL_ERRORS):
            migrate(source, migrations)
            source.row_factory, source.text_factory = sqlite3.Row, sql.as_text
            return source, frozenset()
    with closing(source):
        return _salvaged(source, migrations, careful)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether every page and every value is valid (`PRAGMA quick_check`). Reads the whole file."""
    try:
        return [tuple(row) for row in connection.execute("PRAGMA quick_check(1)")] == [("ok",)]
    except SQL_ERRORS:
        return False


def copy_unchecked(path: Path) -> sqlite3.Connection:
    """Return the database with its write-ahead log, in memory. Raises `OSError` and `sqlite3.Error` if that fails.

    A log without its database gives the pages that were not written back.
    """
    for _ in range(TRIES):
        before = _stamps(path)
        memory = _read(path)
        if _stamps(path) == before:
            break
        memory.close()  # another process writes: the two files may differ in time
        time.sleep(0.05)
    else:
        memory = _read(path)
    return memory


def _stamps(path: Path) -> list[tuple[int, int]]:
    stamps = []
    for part in PARTS[:2]:
        with suppress(OSError):
            stat = path.with_name(path.name + part).stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
    return stamps


def _read(path: Path) -> sqlite3.Connection:
    with ExitStack() as made:
        copy = Path(made.enter_context(_folder_in_memory())) / "copy.db"
        log_file = path.with_name(f"{path.name}-wal")
        has_log = log_file.exists()
        if path.exists() and path.stat().st_size:
            _copy(path, copy)
        elif not has_log:
            raise FileNotFoundError(errno.ENOENT, "is not there, or empty", str(path))
        if has_log:
            _copy(log_file, copy.with_name("copy.db-wal"))
        if has_log and not copy.exists():
            copy.write_bytes(_first_page(log_file.read_bytes()))  # SQLite deletes the log of an empty database
        source = made.enter_context(closing(sqlite3.connect(copy)))
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            source.backup(memory)
        except SQL_ERRORS:
            memory.close()
            raise
    return memory


def _folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a private folder, in memory if possible. Its content is deleted within a second."""
    wanted = [os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0], "/dev/shm", tempfile.gettempdir()]  # noqa: S108
    for folder in filter(None, wanted):
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix="gated-", dir=folder, ignore_cleanup_errors=True)
    raise OSError("there is no room for a copy in memory")


def _copy(source: Path, target: Path) -> None:
    """Copy a file block by block. A block that cannot be read becomes zeros. Raises `OSError`."""
    number = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(number).st_size
        with target.open("wb") as copy:
            for at in range(0, size, BLOCK_BYTES):
                copy.write(_block(number, at, min(BLOCK_BYTES, size - at)))
    finally:
        os.close(number)


def _first_page(log_file: bytes) -> bytes:
    """Return the newest first page in a write-ahead log, or an empty value. The log's header has 32 bytes, the header
    of each frame 24 bytes (sqlite.org/fileformat2, section 4.1).
    """
    size, found = int.from_bytes(log_file[8:12]), b""
    if 512 <= size <= 65536:
        for at in range(32, len(log_file) - 24 - size + 1, 24 + size):
            if int.from_bytes(log_file[at : at + 4]) == 1:
                found = log_file[at + 24 : at + 24 + size]
    return found


def _block(number: int, at: int, length: int) -> bytes:
    try:
        return os.pread(number, length, at)
    except OSError:
        return bytes(length)


def _salvaged(
    source: sqlite3.Connection, migrations: Sequence[str], careful: Careful
) -> tuple[sqlite3.Connection, frozenset[str]]:
    """Return a new database in memory with every readable and valid row, and the tables that lost rows."""
    target = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    target.row_factory, target.text_factory = sqlite3.Row, sql.as_text
    migrate(target, migrations)
    source.row_factory, source.text_factory = None, sql.as_text
    lost = {table: rows for table in _tables(target) if (rows := _take_rows(source, target, table)) != []}
    careful(target, lost.keys(), {table: rows for table, rows in lost.items() if rows is not None})
    return target, frozenset(lost)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return our own tables."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return [row[0] for row in rows if not row[0].startswith(("sqlite_", "_"))]


def _take_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[dict[str, object]] | None:
    """Copy the rows of a table. If the middle is damaged, read from both ends.

    Return the invalid rows, or None if not every row could be read. A table that gets no row keeps its initial rows.
    """
    wanted = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    with suppress(*SQL_ERRORS):  # an older gated wrote fewer columns
        there = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
        wanted = [column for column in wanted if column in there] or wanted
    columns, marks = ", ".join(wanted), ", ".join("?" * len(wanted))
    insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - our own table
    made_with = target.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
    target.execute(f"DELETE FROM {table}")  # noqa: S608
    refused = _pour(source, target, f"SELECT {columns} FROM {table} ORDER BY rowid", insert)  # noqa: S608
    if refused != [] and not target.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608
        target.executemany(insert, [tuple(row) for row in made_with])
    return None if refused is None else [dict(zip(wanted, row, strict=True)) for row in refused]


def _pour(
    source: sqlite3.Connection, target: sqlite3.Connection, query: str, insert: str
) -> list[tuple[object, ...]] | None:
    """Copy rows from one end, and from the other end too if the first pass meets damage.

    Return the rows that could not be inserted, or None if not every row could be read.
    """
    refused = list[tuple[object, ...]]()
    try:
        for row in source.execute(f"{query} ASC"):
            if not _goes_in(target, insert, row):
                refused.append(row)
    except SQL_ERRORS:
        with suppress(*SQL_ERRORS):
            for row in source.execute(f"{query} DESC"):
                _goes_in(target, insert, row)
        return None
    return refused


def _goes_in(target: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> bool:
    """Insert a row. Return whether it was valid and new."""
    try:
        return target.execute(insert, row).rowcount == 1
    except SQL_ERRORS:
        return False


def set_aside(path: Path) -> Path:
    """Rename a damaged database and its log, to make room for a new one. Return the new name. If there was no database,
    create an empty file with this name.

    Raises `DiskError` if the files cannot be renamed.
    """
    name = f"{path.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    try:
        for part in PARTS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(path.with_name(name + part))
        path.with_name(name).touch(mode=0o600)
    except OSError as error:
        raise state_error(error, path) from error
    log.error("%s is damaged and was set aside as %s; keep it until nobody needs it any more", path, name)
    return path.with_name(name)


def aside(path: Path) -> list[Path]:
    """Return the set-aside files of a database that still exist."""
    return sorted(each for each in path.parent.glob(f"{path.name}{ASIDE}*") if not each.name.endswith(PARTS[1:]))


def replace_database(connection: sqlite3.Connection, path: Path) -> Path:
    """Set a damaged database aside, and write the one in memory in its place. Return the new name of the old one.

    Raises `DiskError`. The damaged database then stays in place, or is only set aside.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        with closing(sqlite3.connect(fresh)) as target:
            connection.backup(target)
        number = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
        kept = set_aside(path)
        fresh.replace(path)
        sync_folder(path.parent)
    except (OSError, *SQL_ERRORS) as error:
        raise state_error(error, path) from error
    return kept


def trouble(best: Sequence[OpenedDatabase]) -> str:
    """Return why several databases are not the ones on the disk. Return an empty string if they are."""
    return "; ".join(dict.fromkeys(each.why for each in best if each.why))
