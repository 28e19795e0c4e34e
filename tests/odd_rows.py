"""Values that a damaged card or a manual edit may leave in one row of a database. No schema allows them."""

import os
import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

BAD_TEXT = object()
"""Stands for text that is not valid UTF-8."""
ODD = (
    None, b"", b"\xff\x00\xfe", bytes(40), BAD_TEXT, "", "\0", "nonsense", " ", "9" * 400, "-1", "[", "{}", "null", '"',
    "2027-13-45", "2027-01-15T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "٣", "\U0010ffff",
    0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e308, float("inf"), float("-inf"),
)  # fmt: skip
"""Odd values to try in any column. SQLite stores a NaN as NULL, so no NaN is here."""


def dice(test: str) -> random.Random:
    """Return the random choices of one test: others in each run of the suite, and the same ones when a test runs again.

    A test that failed would else pass by chance in its second run.
    """
    return random.Random(f"{os.environ.get('PYTEST_XDIST_TESTRUNUID', '1')} {test}")


def columns(path: Path) -> list[tuple[str, str]]:
    """Return (table, column) for every table of ours that has at least one row."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        ours = [name for name in tables if not name.startswith(("sqlite_", "_"))]
        filled = [name for name in ours if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]
        return [(name, row[1]) for name in filled for row in connection.execute(f"PRAGMA table_info({name})")]


def values_for(path: Path, table: str, column: str, row: int = 0) -> list[object]:
    """Return values that a damaged card may leave there: odd values, shorter ones, one changed bit, other rows'
    values.
    """
    with closing(sqlite3.connect(path)) as connection:
        every = [each[0] for each in connection.execute(f"SELECT {column} FROM {table} LIMIT 100")]
    was = every[row]
    found = [*ODD, *dict.fromkeys(every)]
    if isinstance(was, str):
        found += [was[:-1], was + "\0", was.upper(), chr(ord(was[0]) ^ 1) + was[1:] if was else "x"]
    if isinstance(was, bytes):
        found += [was[:-1], was[: len(was) // 2], bytes([was[0] ^ 1]) + was[1:] if was else b"x"]
    if isinstance(was, int | float):
        found += [was + 1, was - 1, was * 2, was / 2, -was]
    return [each for each in found if each != was or type(each) is not type(was)]


def spoil(path: Path, table: str, column: str, value: object, row: int = 0) -> bool:
    """Write a value in spite of the schema. Returns False if even a table without constraints refuses it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (schema,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:  # a damaged card does not run triggers
            connection.execute(f"DROP TRIGGER {name}")
        _set_schema(connection, table, _loose(schema))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        new = "CAST(x'c328ff' AS TEXT)" if value is BAD_TEXT else "?"
        which = f"(SELECT rowid FROM {table} LIMIT 1 OFFSET {row})"
        try:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            command = f"UPDATE OR FAIL {table} SET {column} = {new} WHERE rowid = {which}"
            connection.execute(command, () if value is BAD_TEXT else (value,))
            is_written = True
        except (sqlite3.Error, OverflowError):
            is_written = False
        _set_schema(connection, table, schema)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for _, trigger in triggers:
            connection.execute(trigger)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return is_written


def _set_schema(connection: sqlite3.Connection, table: str, schema: str) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (schema, table))
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = OFF")


def _loose(schema: str) -> str:
    """Return the same table definition without types and constraints. Keeps its keys."""
    while (at := re.search(r"\bCHECK\s*\(", schema)) is not None:
        end, depth = at.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(schema[end], 0)
            end += 1
        schema = schema[: at.start()] + schema[end:]
    schema = re.sub(r"\b(NOT NULL|STRICT|AUTOINCREMENT)\b", "", schema)
    schema = re.sub(r"\bINTEGER\b(?!\s+PRIMARY KEY)", "", schema)
    schema = re.sub(r"\b(TEXT|BLOB|REAL)\b", "", schema)
    return re.sub(r",\s*\)", ")", schema)
