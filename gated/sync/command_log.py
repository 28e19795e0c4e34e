"""The schema and queries of commands.db: the commands that this gate has seen, and the replies. Used by `commands`.

Each row stores its id and number twice. If a damaged SD card changes one of the two, the row counts for both: the
stored value and its copy. So the gate carries out no command twice. The damage causes no refusal of another command.
"""

import sqlite3
from collections.abc import Collection

from gated.storage import migrations
from gated.storage.salvage import LostRows
from gated.storage.valid_rows import BETWEEN, COPY, possible_values, sound, with_copies, without_copies

MOST_AHEAD = 1_000_000
"""Largest jump of the command number. A larger jump would use up all numbers between."""

MOST_DIGITS = len(str(2**63))
"""Digits of the largest integer that SQLite stores (2^63 - 1)."""

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
    {migrations.BACK}
    {without_copies("commands")}
    """,
)


def careful(connection: sqlite3.Connection, _torn: Collection[str], refused: LostRows) -> None:
    """Keep what a refused row of a damaged ledger still tells: each readable id, with the number and the reply."""
    for row in refused.get("commands", ()):
        for id_ in sorted(possible_values(row, "commands", "id")):
            kept = (row["number"], id_, reply if isinstance(reply := row["reply"], bytes) else None)
            connection.execute("INSERT OR IGNORE INTO commands (number, id, reply) VALUES (?, ?, ?)", kept)


def ids(row: sqlite3.Row) -> list[str]:
    """Return the ids that a row may belong to."""
    return sorted(each for each in possible_values(row, "commands", "id") if each.isalnum() and len(each) <= 64)


def has_id(connection: sqlite3.Connection) -> str:
    """Return the SQL condition that a row may belong to the command `:id`."""
    return f"(id = :id OR (substr(copy, 1, length(:id) + 1) = :id || char(31) AND {_damaged(connection)}))"


def has_number(connection: sqlite3.Connection) -> str:
    """Return the SQL condition that a row may have the number `:number`."""
    ends = "substr(copy, -length(:number) - 1) = char(31) || :number"
    return f"(number = :number OR ({ends} AND {_damaged(connection)}))"


def highest(connection: sqlite3.Connection) -> int:
    """Return the highest number that was seen; 0 for an empty ledger.

    The number of a damaged row counts only within `MOST_AHEAD` of the known numbers. A wrong, too high number would
    refuse every later command.
    """
    query = f"SELECT max(number) FROM commands WHERE {sound(connection, 'commands')}"  # noqa: S608 - no outside text
    known = connection.execute(query).fetchone()[0]
    rows = connection.execute(f"SELECT * FROM commands WHERE {_damaged(connection)}").fetchall()  # noqa: S608
    doubtful = {_number(row) for row in rows}
    most = MOST_AHEAD + (min(doubtful, default=0) if known is None else known)
    return max(known or 0, *(number for number in doubtful if number <= most), 0)


def _number(row: sqlite3.Row) -> int:
    """Return the number of a damaged row, from its copy if the copy has one."""
    copied = str(row[COPY]).rpartition(BETWEEN)[2]
    return int(copied) if copied.isdecimal() and len(copied) <= MOST_DIGITS else int(row["number"])


def _damaged(connection: sqlite3.Connection) -> str:
    return f"NOT ({sound(connection, 'commands')})"
