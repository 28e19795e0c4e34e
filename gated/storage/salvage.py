"""Rebuilds a damaged database in memory from its readable and valid rows."""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from gated.storage import sql
from gated.storage.migrations import migrate
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.unchecked_copy import copy_unchecked
from gated.storage.valid_rows import MOST_INTEGER, has_impossible_integer

LostRows = Mapping[str, Sequence[Mapping[str, object]]]
"""By table: readable rows that violate a constraint of their table."""
DenyLost = Callable[[sqlite3.Connection, Collection[str], LostRows], None]
"""A function that makes lost data deny access. It gets the salvaged database, the tables that lost rows, and the lost
rows of each table that lost no unreadable rows.
"""


def readable_copy(
    path: Path, migrations: Sequence[str], deny_lost: DenyLost
) -> tuple[sqlite3.Connection, frozenset[str]]:
    """Return a copy of the database in memory, with its write-ahead log, and the tables that lost rows.

    A damaged database is rebuilt from its readable rows.
    """
    try:
        source = copy_unchecked(path)
    except FileNotFoundError:  # no database existed, as far as we know
        return _salvaged(sqlite3.connect(":memory:"), migrations, deny_lost)[0], frozenset()
    except (OSError, *SQL_ERRORS):
        return _salvaged(sqlite3.connect(":memory:"), migrations, deny_lost)
    if is_sound(source):
        with suppress(*SQL_ERRORS):
            migrate(source, migrations)
            source.row_factory, source.text_factory = sqlite3.Row, sql.as_text
            return source, frozenset()
    with closing(source):
        return _salvaged(source, migrations, deny_lost)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether every page and every value is valid (`PRAGMA quick_check`), and every integer possible.

    Reads the whole file.
    """
    try:
        checked = [tuple(row) for row in connection.execute("PRAGMA quick_check(1)")] == [("ok",)]
        return checked and not any(has_impossible_integer(connection, table) for table in _tables(connection))
    except SQL_ERRORS:
        return False


def _salvaged(
    source: sqlite3.Connection, migrations: Sequence[str], deny_lost: DenyLost
) -> tuple[sqlite3.Connection, frozenset[str]]:
    """Return a new database in memory with every readable and valid row, and the tables that lost rows."""
    target = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    target.row_factory, target.text_factory = sqlite3.Row, sql.as_text
    migrate(target, migrations)
    source.row_factory, source.text_factory = None, sql.as_text
    lost = {table: rows for table in _tables(target) if (rows := _copy_rows(source, target, table)) != []}
    deny_lost(target, lost.keys(), {table: rows for table, rows in lost.items() if rows is not None})
    return target, frozenset(lost)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return our own tables."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return [row[0] for row in rows if not row[0].startswith(("sqlite_", "_"))]


def _copy_rows(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[dict[str, object]] | None:
    """Copy the rows of a table. If the middle is damaged, read from both ends.

    Return the invalid rows, or None if not every row could be read. A table that gets no row keeps its initial rows.
    """
    wanted = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    with suppress(*SQL_ERRORS):  # an older gated wrote fewer columns
        present = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
        wanted = [column for column in wanted if column in present] or wanted
    columns, marks = ", ".join(wanted), ", ".join("?" * len(wanted))
    insert = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - our own table
    made_with = target.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
    target.execute(f"DELETE FROM {table}")  # noqa: S608
    refused = _copy_from_both_ends(source, target, f"SELECT {columns} FROM {table} ORDER BY rowid", insert)  # noqa: S608
    if refused != [] and not target.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608
        target.executemany(insert, [tuple(row) for row in made_with])
    return None if refused is None else [dict(zip(wanted, row, strict=True)) for row in refused]


def _copy_from_both_ends(
    source: sqlite3.Connection, target: sqlite3.Connection, query: str, insert: str
) -> list[tuple[object, ...]] | None:
    """Copy rows from one end, and from the other end too if the first pass meets damage.

    Return the rows that could not be inserted, or None if not every row could be read.
    """
    refused = list[tuple[object, ...]]()
    try:
        for row in source.execute(f"{query} ASC"):
            if not _is_inserted(target, insert, row):
                refused.append(row)
    except SQL_ERRORS:
        with suppress(*SQL_ERRORS):
            for row in source.execute(f"{query} DESC"):
                _is_inserted(target, insert, row)
        return None
    return refused


def _is_inserted(target: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> bool:
    """Insert a row. Return whether it was valid and new."""
    if any(isinstance(value, int) and abs(value) > MOST_INTEGER for value in row):
        return False
    try:
        return target.execute(insert, row).rowcount == 1
    except SQL_ERRORS:
        return False
