"""commands.db: which commands this gate has seen, and what was answered.

A row has its id and its number twice. One that a card has changed goes on standing for both, what it says and what its
copy says: what it may be about is never done again, and no other command is refused for it.
"""

import sqlite3
from collections.abc import Collection

from gated import database
from gated.rescue import Refused
from gated.soundness import BETWEEN, COPY, sound, told_twice, with_copies, without_copies

MOST_AHEAD = 1_000_000
"""A number that is further ahead would spend all those between."""

MOST_DIGITS = len(str(2**63))

MIGRATIONS = (
    """
    CREATE TABLE commands (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        reply BLOB
    ) STRICT
    """,
    f"""
    {with_copies("commands", "id", {"number": "integer"})}
    {database.BACK}
    {without_copies("commands")}
    """,
)


def careful(connection: sqlite3.Connection, _torn: Collection[str], refused: Refused) -> None:
    """Keep what a refused row of a damaged ledger still tells: whichever id and number can be read."""
    for row in refused.get("commands", ()):
        for id_ in sorted(told_twice(row, "commands", "id")):
            kept = (row["number"], id_, reply if isinstance(reply := row["reply"], bytes) else None)
            connection.execute("INSERT OR IGNORE INTO commands (number, id, reply) VALUES (?, ?, ?)", kept)


def ids(row: sqlite3.Row) -> list[str]:
    """The ids that a row may be about."""
    return sorted(each for each in told_twice(row, "commands", "id") if each.isalnum() and len(each) <= 64)


def has_id(connection: sqlite3.Connection) -> str:
    """The condition that a row may be about the command `:id`."""
    return f"(id = :id OR (substr(copy, 1, length(:id) + 1) = :id || char(31) AND {_damaged(connection)}))"


def has_number(connection: sqlite3.Connection) -> str:
    """The condition that a row may have the number `:number`."""
    ends = "substr(copy, -length(:number) - 1) = char(31) || :number"
    return f"(number = :number OR ({ends} AND {_damaged(connection)}))"


def highest(connection: sqlite3.Connection) -> int:
    """The highest number that was seen. One in a damaged row counts where it can be true: too high a one would have
    every command refused that is still to come.
    """
    query = f"SELECT max(number) FROM commands WHERE {sound(connection, 'commands')}"  # noqa: S608 - our own
    known = connection.execute(query).fetchone()[0]
    rows = connection.execute(f"SELECT * FROM commands WHERE {_damaged(connection)}").fetchall()  # noqa: S608
    doubtful = {_number(row) for row in rows}
    most = MOST_AHEAD + (min(doubtful, default=0) if known is None else known)
    return max(known or 0, *(number for number in doubtful if number <= most), 0)


def _number(row: sqlite3.Row) -> int:
    """The number of a damaged row: that of its copy, where the copy has one."""
    said = str(row[COPY]).rpartition(BETWEEN)[2]
    return int(said) if said.isdecimal() and len(said) <= MOST_DIGITS else int(row["number"])


def _damaged(connection: sqlite3.Connection) -> str:
    return f"NOT ({sound(connection, 'commands')})"
