"""Which of the office's records are held here: of each key the newest number, and how far this gate has followed.

The rows lie in `people.db`, so that a number and what it stands for are on disk together or not at all.
"""

import sqlite3
from dataclasses import astuple, dataclass, field, fields
from typing import Any

SCHEMA = """
    ALTER TABLE people ADD COLUMN face TEXT NOT NULL DEFAULT '';
    ALTER TABLE credentials ADD COLUMN uses INTEGER;
    CREATE TABLE replica (
        version INTEGER NOT NULL
    ) STRICT;
    INSERT INTO replica VALUES (0);
    CREATE TABLE records (
        key TEXT PRIMARY KEY,
        n INTEGER NOT NULL,
        is_gone INTEGER NOT NULL CHECK (is_gone IN (0, 1)),
        quarantine TEXT,
        accepted TEXT,
        is_wanted INTEGER NOT NULL CHECK (is_wanted IN (0, 1)),
        suspended_n INTEGER NOT NULL,
        face TEXT,
        stored_face TEXT,
        templates INTEGER NOT NULL,
        at TEXT
    ) STRICT;
    CREATE TABLE claims (
        id TEXT NOT NULL,
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        digest BLOB NOT NULL,
        label TEXT NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        uses INTEGER,
        PRIMARY KEY (subject, id)
    ) STRICT;
    CREATE TABLE schedules (
        name TEXT PRIMARY KEY,
        days TEXT NOT NULL,
        start TEXT NOT NULL,
        until TEXT NOT NULL
    ) STRICT;
    CREATE TABLE gates (
        gate TEXT PRIMARY KEY,
        keys TEXT NOT NULL
    ) STRICT;
"""
"""`people.face`: which of somebody's faces in `templates.db` counts. `credentials.uses`: how many the office gave.
`claims`: cards that somebody is to have and that another has still."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What is known here of one key."""

    key: str = field(repr=False)
    n: int = 0
    """The newest number that arrived; 0 where none did."""
    is_gone: bool = False
    quarantine: str | None = None
    """Why the record, or the face in it, counts for nothing."""
    accepted: str | None = None
    """What somebody at the gate found to be no poison."""
    is_wanted: bool = False
    """Accepted, and not here yet: it is to come again, under the number that it had."""
    suspended_n: int = 0
    """A command suspended them, ahead of the record of this number."""
    face: str | None = None
    """The office's name of the face that is stored here, or was when the gate itself took another."""
    stored_face: str | None = None
    """The gate's name of it (`people.face`)."""
    templates: int = 0
    """Of somebody who is gone: how many there were."""
    at: str | None = None
    """Since when they are gone."""


COLUMNS = ", ".join(column.name for column in fields(Holding))
FLAGS = ("is_gone", "is_wanted")


def version(connection: sqlite3.Connection) -> int:
    """Up to which number everything is held."""
    return int(connection.execute("SELECT version FROM replica").fetchone()[0])


def rise(connection: sqlite3.Connection, version: int) -> None:
    """Everything up to there is held now; it never falls."""
    connection.execute("UPDATE replica SET version = max(version, ?)", (version,))


def get(connection: sqlite3.Connection, key: str) -> Holding:
    """What is known of a key."""
    row = connection.execute(f"SELECT {COLUMNS} FROM records WHERE key = ?", (key,)).fetchone()  # noqa: S608 - ours
    return Holding(key) if row is None else _holding(row)


def put(connection: sqlite3.Connection, holding: Holding) -> None:
    """Know this of its key from now on."""
    marks = ", ".join("?" * len(fields(Holding)))
    connection.execute(f"REPLACE INTO records ({COLUMNS}) VALUES ({marks})", astuple(holding))  # noqa: S608 - ours


def live(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Key and number of what is held and not gone, quarantined or not."""
    query = "SELECT key, n FROM records WHERE n > 0 AND NOT is_gone AND NOT is_wanted"
    return [(key, n) for key, n in connection.execute(query).fetchall()]


def newest(connection: sqlite3.Connection) -> int:
    """The highest number that was heard of, in its turn or ahead of it."""
    row = connection.execute("SELECT max(ifnull(max(n), 0), ifnull(max(suspended_n), 0)) FROM records").fetchone()
    return max(version(connection), int(row[0]))


def known(connection: sqlite3.Connection, upto: int) -> list[tuple[str, int]]:
    """The same up to a number, with what is still to come again."""
    query = "SELECT key, n FROM records WHERE n BETWEEN 1 AND ? AND NOT is_gone"
    return [(key, n) for key, n in connection.execute(query, (upto,)).fetchall()]


def quarantined(connection: sqlite3.Connection) -> list[Holding]:
    """What counts for nothing until somebody here accepts it, oldest first."""
    query = f"SELECT {COLUMNS} FROM records WHERE quarantine IS NOT NULL ORDER BY n"  # noqa: S608 - ours
    return [_holding(row) for row in connection.execute(query).fetchall()]


def _holding(row: sqlite3.Row) -> Holding:
    values: dict[str, Any] = dict(row)
    return Holding(**values | {flag: bool(values[flag]) for flag in FLAGS})
