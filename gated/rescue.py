"""What can be read of a database that cannot be opened as it should be: on a disk that takes no write, or damaged.

`open_best` gives the database itself or, where that cannot be had, a copy in memory that takes no write, so that who
asks goes on reading and every change fails as on a broken disk. Nothing on the disk is touched: SQLite's "immutable"
would do without a copy, but knows nothing of the write-ahead log, and a revocation may lie in it alone. `set_aside`
makes room for a new database and deletes nothing.
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

from gated import database
from gated.errors import DiskError, TornError
from gated.runtime.files import sync_folder

log = logging.getLogger(__name__)

BLOCK_BYTES = 4096
"""A block that the disk does not give back is read as zeros."""
TRIES = 3
"""A copy is made so often anew where somebody wrote meanwhile."""
PARTS = ("", "-wal", "-shm")
"""Of the names of a database's files (sqlite.org/walformat.html)."""
ASIDE = ".torn-"
"""In the name of a file that was set aside, before the time."""

Refused = Mapping[str, Sequence[Mapping[str, object]]]
"""By table the rows that could be read, and that hold what their table does not want."""
Careful = Callable[[sqlite3.Connection, Collection[str], Refused], None]
"""Given the salvaged database, the tables that have lost rows, and of those which lost no others the rows themselves:
has what is not known any more deny."""


@dataclass(frozen=True, slots=True)
class Best:
    """A database as well as it could be opened. `why`: what keeps it from being the one on the disk; empty when it is.

    `torn`: the tables of which not every row could be read.
    """

    connection: sqlite3.Connection
    why: str = ""
    torn: frozenset[str] = frozenset()


def open_best(path: Path, migrations: Sequence[str], careful: Careful = lambda *_: None, *, why: str = "") -> Best:
    """Open a database, or where the disk takes no write a copy of it.

    A damaged one gives what can be read of it to who asks for that: `why` says what is wrong with it. Else `TornError`
    is raised. Raises `StateError` where a newer gated wrote it, or it is busy.
    """
    said = why
    try:
        if not why:
            return Best(database.connect(path, migrations), _seen_only(path))
    except DiskError as error:
        said = str(error)
    copy, torn = copy_of(path, migrations, careful)
    if torn and not why:
        copy.close()
        raise TornError(f"{path}: is damaged, and the disk takes no write: {said}")
    copy.execute("PRAGMA query_only = ON")
    return Best(copy, said, torn)


def _seen_only(path: Path) -> str:
    """Why who only looks could not change what they see; empty where they could."""
    if database.only_looks() and database.is_read_only(path):
        return f"{path}: the disk is read-only"
    return ""


def open_anew(path: Path, migrations: Sequence[str]) -> tuple[Best, bool]:
    """Open a small database that the gate can do without: a damaged one is set aside and begun anew, which is told."""
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


def open_mended(path: Path, migrations: Sequence[str], careful: Careful) -> Best:
    """Open a small database of which no row may be forgotten: what can be read of a damaged one goes into a new one.
    The old one is set aside, which is told.
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
            begin_anew(fresh, path)
    except DiskError as error:
        return open_best(path, migrations, careful, why=str(error))
    return open_best(path, migrations, careful)


def copy_of(path: Path, migrations: Sequence[str], careful: Careful) -> tuple[sqlite3.Connection, frozenset[str]]:
    """A database as it lies on the disk, with its write-ahead log, in memory; and which tables have lost rows.

    One that is damaged is built anew from the rows that can be read.
    """
    try:
        source = as_it_lies(path)
    except FileNotFoundError:  # there never was one, or nobody knows of it
        return _salvaged(sqlite3.connect(":memory:"), migrations, careful)[0], frozenset()
    except (OSError, *database.FAILS):
        return _salvaged(sqlite3.connect(":memory:"), migrations, careful)
    if is_sound(source):
        with suppress(*database.FAILS):
            database.migrate(source, migrations)
            source.row_factory, source.text_factory = sqlite3.Row, database.as_text
            return source, frozenset()
    with closing(source):
        return _salvaged(source, migrations, careful)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether every page fits and every value is what its column wants (`PRAGMA quick_check`). Reads the whole file."""
    try:
        return [tuple(row) for row in connection.execute("PRAGMA quick_check(1)")] == [("ok",)]
    except database.FAILS:
        return False


def as_it_lies(path: Path) -> sqlite3.Connection:
    """The database with what its log holds, in memory. Raises `OSError` and `sqlite3.Error` where that cannot be.

    The log alone, without its database, gives what was never written back from it.
    """
    for _ in range(TRIES):
        before = _stamps(path)
        memory = _read(path)
        if _stamps(path) == before:
            break
        memory.close()  # somebody writes: the two files may not be of one moment
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
            copy.write_bytes(_first_page(log_file.read_bytes()))  # SQLite throws the log of an empty file away
        source = made.enter_context(closing(sqlite3.connect(copy)))
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            source.backup(memory)
        except database.FAILS:
            memory.close()
            raise
    return memory


def _folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder that is ours alone, on no card where that can be; what is put there is gone within the second."""
    wanted = [os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0], "/dev/shm", tempfile.gettempdir()]  # noqa: S108
    for folder in filter(None, wanted):
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix="gated-", dir=folder, ignore_cleanup_errors=True)
    raise OSError("there is no room for a copy in memory")


def _copy(source: Path, target: Path) -> None:
    """Copy a file block by block; a block that cannot be read is zeros. Raises `OSError`."""
    number = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(number).st_size
        with target.open("wb") as copy:
            for at in range(0, size, BLOCK_BYTES):
                copy.write(_block(number, at, min(BLOCK_BYTES, size - at)))
    finally:
        os.close(number)


def _first_page(log_file: bytes) -> bytes:
    """The newest first page in a write-ahead log: its header has 32 bytes, that of each frame 24
    (sqlite.org/fileformat2, section 4.1). Nothing where there is none.
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
    """A new database in memory with every row that can be read and is what its table wants."""
    target = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    target.row_factory, target.text_factory = sqlite3.Row, database.as_text
    database.migrate(target, migrations)
    source.row_factory, source.text_factory = None, database.as_text
    lost = {table: rows for table in _tables(target) if (rows := _take_rows(source, target, table)) != []}
    careful(target, lost.keys(), {table: rows for table, rows in lost.items() if rows is not None})
    return target, frozenset(lost)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that hold what is ours."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return [row[0] for row in rows if not row[0].startswith(("sqlite_", "_"))]


def _take_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[dict[str, object]] | None:
    """Take over the rows of a table, from both ends where the middle is damaged; gives those that it does not want, or
    None where not all could be read. Where none can be taken a table keeps the rows that it is made with.
    """
    wanted = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    with suppress(*database.FAILS):  # what an older gated wrote has fewer columns
        there = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
        wanted = [column for column in wanted if column in there] or wanted
    columns, marks = ", ".join(wanted), ", ".join("?" * len(wanted))
    insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - a table of ours
    made_with = target.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
    target.execute(f"DELETE FROM {table}")  # noqa: S608
    refused = _pour(source, target, f"SELECT {columns} FROM {table} ORDER BY rowid", insert)  # noqa: S608
    if refused != [] and not target.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608
        target.executemany(insert, [tuple(row) for row in made_with])
    return None if refused is None else [dict(zip(wanted, row, strict=True)) for row in refused]


def _pour(
    source: sqlite3.Connection, target: sqlite3.Connection, query: str, insert: str
) -> list[tuple[object, ...]] | None:
    """Rows from one end, and where that ends in damage from the other as well; gives those that would not go in, or
    None where it was not every one.
    """
    refused = list[tuple[object, ...]]()
    try:
        for row in source.execute(f"{query} ASC"):
            if not _goes_in(target, insert, row):
                refused.append(row)
    except database.FAILS:
        with suppress(*database.FAILS):
            for row in source.execute(f"{query} DESC"):
                _goes_in(target, insert, row)
        return None
    return refused


def _goes_in(target: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> bool:
    """Whether a row is what its table wants, and new there."""
    try:
        return target.execute(insert, row).rowcount == 1
    except database.FAILS:
        return False


def set_aside(path: Path) -> Path:
    """Rename a damaged database with its log, so that a new one can be begun; gives its new name, which is that of an
    empty file where there was none. Raises `DiskError` where nothing can be renamed.
    """
    name = f"{path.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    try:
        for part in PARTS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(path.with_name(name + part))
        path.with_name(name).touch(mode=0o600)
    except OSError as error:
        raise database.named(error, str(path)) from error
    log.error("%s is damaged and was set aside as %s; keep it until nobody needs it any more", path, name)
    return path.with_name(name)


def aside(path: Path) -> list[Path]:
    """What was set aside of a database, and still lies there."""
    return sorted(each for each in path.parent.glob(f"{path.name}{ASIDE}*") if not each.name.endswith(PARTS[1:]))


def begin_anew(connection: sqlite3.Connection, path: Path) -> Path:
    """Set a damaged database aside, and put the one that is in memory in its place; gives the old one's new name.

    Raises `DiskError`, and then the damaged one stands.
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
    except (OSError, *database.FAILS) as error:
        raise database.named(error, str(path)) from error
    return kept


def trouble(best: Sequence[Best]) -> str:
    """What keeps several databases from being those on the disk; empty when they are."""
    return "; ".join(dict.fromkeys(each.why for each in best if each.why))
