"""The office records on this gate: the newest number of each key, and the gate's version.

The rows are in `people.db`, in the same transaction as the data of the record. `replica` uses this module.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, fields
from operator import attrgetter
from typing import Any

from gated.errors import TornError
from gated.storage import sql
from gated.storage.valid_rows import sound

MARK_DIGITS, SET = 32, 16
"""Length of a card's or PIN's identification (part of a digest), and of an embedder's (part of a SHA-256), in hex
digits.
"""
CHANGED_FACE = "changed"
"""Reason to wait: the person already has another face here. Until then that face counts."""
BULK = "bulk"
"""Reason to wait: more new people, or more first faces by a new model set, than the hourly limit."""

LOST_COUNT = -1
"""A counter of new people that was damaged. It counts as spent, so that damage never begins a limit again."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The counters for the limits on people who are new to this gate. They survive restarts."""

    recent: int = 0
    """Number of people who joined within an hour of `recent_at`; `LOST_COUNT` if it was damaged."""
    recent_at: str = ""
    """Time of that last join; UTC, ISO 8601."""
    batch: int = 0
    """Number of people of the announced batch who may still join."""
    batch_until: str = ""
    """End of the announced batch; UTC, ISO 8601."""
    spent: int = 0
    """Number of people from batches or accepted by the office, since the last renewal at the gate; `LOST_COUNT` if it
    was damaged.
    """


@dataclass(frozen=True, slots=True)
class RecordState:
    """The state of one record key at this gate."""

    key: str = field(repr=False)
    n: int = 0
    """Newest record number that arrived; 0 before the first."""
    is_gone: bool = False
    quarantine: str | None = None
    """Reason why the record, or its face, is held back and has no effect."""
    accepted: str | None = None
    """Quarantine reason that somebody has lifted for this record."""
    is_wanted: bool = False
    """Whether the record must come again, under the same number, for example after its acceptance."""
    suspended_n: int = 0
    """Record number of a suspend command that arrived before its record. Records with a lower number keep the person
    suspended.
    """
    face: str | None = None
    """The office's name of the stored face. It stays here after the gate captures another face."""
    stored_face: str | None = None
    """The gate's name of this face (`people.face`)."""
    templates: int = 0
    """For a tombstone: the number of erased templates of the person."""
    at: str | None = None
    """For a tombstone: the time of the deletion."""
    sets: str = ""
    """Embedders that made a face of this person here. Each text is the first part of a SHA-256."""
    pending: str | None = None
    """The gate's name of a face that waits to replace the valid face."""
    pending_face: str | None = None
    """The office's name of the waiting face; None if this gate captured it."""
    ways: str = ""
    """Cards and PINs of the person at the arrival of the waiting face. Each text is the first part of a digest, in
    hex. With one of these credentials the person can confirm the waiting face.
    """


NAMES = [column.name for column in fields(RecordState)]
COLUMNS = ", ".join(NAMES)
VALUES = attrgetter(*NAMES)
PUT = f"REPLACE INTO records ({COLUMNS}) VALUES ({', '.join('?' * len(NAMES))})"  # noqa: S608 - ours
FLAGS = ("is_gone", "is_wanted")


def version(connection: sqlite3.Connection) -> int:
    """Return the version up to which this gate holds all records."""
    return int(_only_row(connection, "replica", "version")[0])


def raise_version(connection: sqlite3.Connection, version: int) -> None:
    """Raise the version to `version`. It never falls."""
    connection.execute("UPDATE replica SET version = max(version, ?)", (version,))


def get(connection: sqlite3.Connection, key: str) -> RecordState:
    """Return the state of a key.

    During a snapshot most keys are unknown, so the first query is a cheap one.
    """
    if connection.execute("SELECT 1 FROM records WHERE key = ?", (key,)).fetchone() is None:
        return RecordState(key)
    of = f"key = ? AND {sound(connection, 'records')}"
    row = connection.execute(f"SELECT {COLUMNS} FROM records WHERE {of}", (key,)).fetchone()  # noqa: S608 - ours
    return RecordState(key) if row is None else _holding(row)


def put(connection: sqlite3.Connection, holding: RecordState) -> None:
    """Store the state of a key."""
    connection.execute(PUT, VALUES(holding))


def credential_marks_of(connection: sqlite3.Connection, subject: str) -> str:
    """Return the digests of a person's cards and PINs, in the format of `RecordState.ways`."""
    rows = connection.execute("SELECT digest FROM credentials WHERE subject = ?", (subject,)).fetchall()
    return " ".join(sorted(bytes(row[0]).hex()[:MARK_DIGITS] for row in rows))


def live(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return key and number of all held records that are no tombstones, including quarantined records."""
    of = f"n > 0 AND NOT is_gone AND NOT is_wanted AND {sound(connection, 'records')}"
    query = f"SELECT key, n FROM records WHERE {of}"  # noqa: S608
    return [(key, n) for key, n in sql.rows(connection, query)]


def newest(connection: sqlite3.Connection) -> int:
    """Return the highest record number seen, including numbers that commands announced."""
    upto = version(connection)
    above = f"(n > ?1 OR suspended_n > ?1) AND {sound(connection, 'records')}"  # the cheap condition comes first
    row = connection.execute(f"SELECT max(max(n, suspended_n)) FROM records WHERE {above}", (upto,)).fetchone()  # noqa: S608
    return upto if row[0] is None else int(row[0])


def known(connection: sqlite3.Connection, upto: int) -> list[tuple[str, int]]:
    """Return key and number of all records up to `upto` that are no tombstones, including records
    that must come again.
    """
    of = f"n BETWEEN 1 AND ? AND NOT is_gone AND {sound(connection, 'records')}"
    query = f"SELECT key, n FROM records WHERE {of}"  # noqa: S608
    return [(key, n) for key, n in connection.execute(query, (upto,)).fetchall()]


def allowed(connection: sqlite3.Connection) -> Allowed:
    """Return the counters for new people."""
    return Allowed(*_only_row(connection, "allowance", "recent, recent_at, batch, batch_until, spent"))


def allow(connection: sqlite3.Connection, allowed: Allowed) -> None:
    """Store the counters for new people."""
    connection.execute(
        "UPDATE allowance SET recent = ?, recent_at = ?, batch = ?, batch_until = ?, spent = ?", astuple(allowed)
    )


def allow_nobody_new(connection: sqlite3.Connection) -> None:
    """Replace damaged counters for new people, so that no new person joins.

    The limit of an hour ends after an hour. The total ends when it is renewed at the gate.
    """
    allow(connection, Allowed(recent=LOST_COUNT, spent=LOST_COUNT))


def want(connection: sqlite3.Connection, keys: Iterable[str] | None = None) -> None:
    """Mark records to come again; by default all records that are no tombstones.

    People from before a damage return without a quarantine: they are not new.
    """
    again = "UPDATE records SET is_wanted = 1 WHERE n > 0 AND NOT is_gone AND (?1 IS NULL OR key = ?1)"
    connection.executemany(again, [(key,) for key in ([None] if keys is None else keys)])
    connection.execute(
        f"UPDATE records SET accepted = '{BULK}' WHERE is_wanted AND key LIKE 'person/%' AND substr(key, 8) NOT IN"  # noqa: S608
        f" (SELECT subject FROM people WHERE {sound(connection, 'people')})"
    )


def wanted(connection: sqlite3.Connection) -> set[str]:
    """Return the keys of the records that must come again."""
    return {row[0] for row in connection.execute("SELECT key FROM records WHERE is_wanted")}


def quarantined(connection: sqlite3.Connection) -> list[RecordState]:
    """Return the quarantined records, oldest first. They have no effect until somebody accepts them."""
    of = f"quarantine IS NOT NULL AND {sound(connection, 'records')}"
    query = f"SELECT {COLUMNS} FROM records WHERE {of} ORDER BY n"  # noqa: S608 - ours
    return [_holding(row) for row in connection.execute(query).fetchall()]


def _only_row(connection: sqlite3.Connection, table: str, columns: str) -> tuple[Any, ...]:
    """Return the only row of a table. Raise `TornError` if it is damaged: the gate then accepts no records from the
    office.
    """
    query = f"SELECT {columns} FROM {table} WHERE {sound(connection, table)}"  # noqa: S608 - a table of ours
    row: tuple[Any, ...] | None = connection.execute(query).fetchone()
    if row is None:
        raise TornError(f"people.db: {table} is damaged; restart the gate: it keeps the readable rows")
    return row


def _holding(row: sqlite3.Row) -> RecordState:
    values: dict[str, Any] = dict(row)
    return RecordState(**values | {flag: bool(values[flag]) for flag in FLAGS})
