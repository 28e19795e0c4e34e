"""Which of the office's records are held here: of each key the newest number, and how far this gate has followed.

The rows lie in `people.db`, so that a number and what it stands for are on disk together or not at all.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, fields
from operator import attrgetter
from typing import Any

from gated import database
from gated.errors import TornError
from gated.soundness import sound

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


ALLOWANCE = f"""
    CREATE TABLE allowance (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        recent INTEGER NOT NULL,
        recent_at TEXT NOT NULL,
        batch INTEGER NOT NULL,
        batch_until TEXT NOT NULL,
        spent INTEGER NOT NULL
    ) STRICT;
    INSERT INTO allowance VALUES (1, 0, '', 0, '', 0);
    {database.BACK}
    DROP TABLE allowance
"""  # noqa: S608 - a constant
"""How many people whom this gate did not know may join: see `Allowed`."""


CHANGED = f"""
    ALTER TABLE records ADD COLUMN sets TEXT NOT NULL DEFAULT '';
    ALTER TABLE records ADD COLUMN pending TEXT;
    ALTER TABLE records ADD COLUMN pending_face TEXT;
    {database.BACK}
    ALTER TABLE records DROP COLUMN pending_face;
    ALTER TABLE records DROP COLUMN pending;
    ALTER TABLE records DROP COLUMN sets
"""
"""Another face of somebody known, which waits: see `Holding`."""

WAYS = f"""
    ALTER TABLE records ADD COLUMN ways TEXT NOT NULL DEFAULT '';
    {database.BACK}
    ALTER TABLE records DROP COLUMN ways
"""
WAY, SET = 32, 16
"""So many hex digits of a digest tell a card or a PIN from others; so many of a SHA-256, an embedder."""
CHANGED_FACE = "changed"
"""Another face of somebody whose face is known: it waits here, and theirs counts meanwhile."""
BULK = "bulk"
"""More people, or first faces by a new model set, than an hour may bring."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What counts against the limits on people who are new to this gate; survives restarts."""

    recent: int = 0
    """How many had joined within an hour when the last of them did."""
    recent_at: str = ""
    """When that was; UTC, ISO 8601."""
    batch: int = 0
    """How many may still join of the batch that the office announced."""
    batch_until: str = ""
    """When that batch ends; UTC, ISO 8601."""
    spent: int = 0
    """How many joined by batches, or were accepted by the office, since somebody at the gate renewed it."""


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
    sets: str = ""
    """By which embedders this person has had a face here, each the beginning of its SHA-256."""
    pending: str | None = None
    """The gate's name of a face that waits to take the place of the one that counts."""
    pending_face: str | None = None
    """The office's name of it; None where this gate took it."""
    ways: str = ""
    """Which cards and PINs they had when it came, each the beginning of its digest in hex: with one of these they may
    show it themselves."""


NAMES = [column.name for column in fields(Holding)]
COLUMNS = ", ".join(NAMES)
VALUES = attrgetter(*NAMES)
PUT = f"REPLACE INTO records ({COLUMNS}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608 - ours
FLAGS = ("is_gone", "is_wanted")


def version(connection: sqlite3.Connection) -> int:
    """Up to which number everything is held."""
    return int(_one(connection, "replica", "version")[0])


def rise(connection: sqlite3.Connection, version: int) -> None:
    """Everything up to there is held now; it never falls."""
    connection.execute("UPDATE replica SET version = max(version, ?)", (version,))


def get(connection: sqlite3.Connection, key: str) -> Holding:
    """What is known of a key. Most often, in a snapshot, nothing: that must cost little."""
    if connection.execute("SELECT 1 FROM records WHERE key = ?", (key,)).fetchone() is None:
        return Holding(key)
    of = f"key = ? AND {sound(connection, 'records')}"
    row = connection.execute(f"SELECT {COLUMNS} FROM records WHERE {of}", (key,)).fetchone()  # noqa: S608 - ours
    return Holding(key) if row is None else _holding(row)


def put(connection: sqlite3.Connection, holding: Holding) -> None:
    """Know this of its key from now on."""
    connection.execute(PUT, VALUES(holding))


def ways_of(connection: sqlite3.Connection, subject: str) -> str:
    """Which cards and PINs somebody has, as `Holding.ways` has them."""
    rows = connection.execute("SELECT digest FROM credentials WHERE subject = ?", (subject,)).fetchall()
    return " ".join(sorted(bytes(row[0]).hex()[:WAY] for row in rows))


def live(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Key and number of what is held and not gone, quarantined or not."""
    of = f"n > 0 AND NOT is_gone AND NOT is_wanted AND {sound(connection, 'records')}"
    query = f"SELECT key, n FROM records WHERE {of}"  # noqa: S608
    return [(key, n) for key, n in connection.execute(query).fetchall()]


def newest(connection: sqlite3.Connection) -> int:
    """The highest number that was heard of, in its turn or ahead of it."""
    most = "max(ifnull(max(n), 0), ifnull(max(suspended_n), 0))"
    row = connection.execute(f"SELECT {most} FROM records WHERE {sound(connection, 'records')}").fetchone()  # noqa: S608
    return max(version(connection), int(row[0]))


def known(connection: sqlite3.Connection, upto: int) -> list[tuple[str, int]]:
    """The same up to a number, with what is still to come again."""
    of = f"n BETWEEN 1 AND ? AND NOT is_gone AND {sound(connection, 'records')}"
    query = f"SELECT key, n FROM records WHERE {of}"  # noqa: S608
    return [(key, n) for key, n in connection.execute(query, (upto,)).fetchall()]


def allowed(connection: sqlite3.Connection) -> Allowed:
    """How many joined, and may."""
    return Allowed(*_one(connection, "allowance", "recent, recent_at, batch, batch_until, spent"))


def allow(connection: sqlite3.Connection, allowed: Allowed) -> None:
    """Know this from now on."""
    connection.execute(
        "UPDATE allowance SET recent = ?, recent_at = ?, batch = ?, batch_until = ?, spent = ?", astuple(allowed)
    )


def want(connection: sqlite3.Connection, keys: Iterable[str] | None = None) -> None:
    """Have records come again, by default all that are not gone. Who was here before a damage comes back without a
    question: they are no flood of new people.
    """
    again = "UPDATE records SET is_wanted = 1 WHERE n > 0 AND NOT is_gone AND (?1 IS NULL OR key = ?1)"
    connection.executemany(again, [(key,) for key in ([None] if keys is None else keys)])
    connection.execute(
        f"UPDATE records SET accepted = '{BULK}' WHERE is_wanted AND key LIKE 'person/%' AND substr(key, 8) NOT IN"  # noqa: S608
        f" (SELECT subject FROM people WHERE {sound(connection, 'people')})"
    )


def wanted(connection: sqlite3.Connection) -> set[str]:
    """The keys of what is to come again."""
    return {row[0] for row in connection.execute("SELECT key FROM records WHERE is_wanted")}


def quarantined(connection: sqlite3.Connection) -> list[Holding]:
    """What counts for nothing until somebody here accepts it, oldest first."""
    of = f"quarantine IS NOT NULL AND {sound(connection, 'records')}"
    query = f"SELECT {COLUMNS} FROM records WHERE {of} ORDER BY n"  # noqa: S608 - ours
    return [_holding(row) for row in connection.execute(query).fetchall()]


def _one(connection: sqlite3.Connection, table: str, columns: str) -> tuple[Any, ...]:
    """The only row of a table. Raises `TornError` where it is damaged: without it nothing is taken from the office."""
    query = f"SELECT {columns} FROM {table} WHERE {sound(connection, table)}"  # noqa: S608 - a table of ours
    row: tuple[Any, ...] | None = connection.execute(query).fetchone()
    if row is None:
        raise TornError(f"people.db: {table} is damaged; the gate's next start keeps what can be read")
    return row


def _holding(row: sqlite3.Row) -> Holding:
    values: dict[str, Any] = dict(row)
    return Holding(**values | {flag: bool(values[flag]) for flag in FLAGS})
