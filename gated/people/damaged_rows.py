"""Damaged rows of `people.db`: the possible office records of each row, and the rule for deleting the row.

Each row stores its protected values twice (see `valid_rows`), so a changed row still names its owner. `rights_said`
counts the access rules of each person, household and role. An owner with fewer readable rules than counted gets no
access by the missing rules. `gallery.Holdings` uses this module to request lost records again.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping

from gated.people.schema import OWNER
from gated.storage.valid_rows import copy_of, possible_values, sound

OF = {
    "people": ("person", "subject"), "credentials": ("person", "subject"), "claims": ("person", "subject"),
    "consents": ("person", "subject"), "preferences": ("person", "subject"), "marks": ("person", "subject"),
    "schedules": ("schedule", "name"), "calendars": ("schedule", "name"), "gates": ("gate", "gate"),
}  # fmt: skip
"""Kind of record behind each table, and the column with the record's name."""
KINDS = {"subject": "person", "household": "household", "role": "role"}
"""Kind of record behind each owner column of `rights`."""

Owner = tuple[str, str]
"""Owner of an access rule: "subject", "household" or "role", and the name as the row stores it."""


def missing(connection: sqlite3.Connection) -> dict[Owner, int]:
    """Return the owners with fewer readable access rules than counted, and the number of missing rules."""
    there = (
        f"SELECT coalesce(subject, household, role) AS value, {OWNER.replace('NEW.', '')} AS whose, count(*) AS there"  # noqa: S608
        f" FROM rights WHERE {sound(connection, 'rights')} GROUP BY 1, 2"
    )
    rows = connection.execute(
        f"SELECT rights_said.whose, rights_said.value, rows - ifnull(there, 0) AS short FROM rights_said"  # noqa: S608
        f" LEFT JOIN ({there}) AS found ON found.whose = rights_said.whose AND found.value = rights_said.value"
        f" WHERE {sound(connection, 'rights_said')} AND short > 0"
    )
    return {(row[0], row[1]): row[2] for row in rows}


def named(row: sqlite3.Row | Mapping[str, object]) -> set[Owner]:
    """Return the possible owners of a damaged row of `rights`."""
    return {(owner, value) for owner in KINDS for value in possible_values(row, "rights", owner)}


def rows(connection: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    """Return the damaged rows of a table, each with its rowid as `number`."""
    query = f"SELECT rowid AS number, * FROM {table} WHERE NOT ({sound(connection, table)})"  # noqa: S608 - ours
    return connection.execute(query).fetchall()


def wanted(connection: sqlite3.Connection) -> set[str]:
    """Return the keys of the office records that restore the damaged rows."""
    known = _known(connection)
    every = {f"{KINDS[owner]}/{value}" for owner, value in missing(connection)}
    for table, row in _damaged(connection):
        every |= _about(table, row, known)
    return every & known


def clear(connection: sqlite3.Connection, coming: Collection[str], healed: Collection[str]) -> None:
    """Delete damaged rows that new records replace now. The caller holds the transaction.

    A row is deleted only if all its possible records are `coming`, or have arrived since the damage (`healed`). A row
    of `people` stays if the person's record is coming: that record overwrites the row.
    """
    known = _known(connection) | set(coming)
    for table, row in _damaged(connection):
        about = _about(table, row, known) & known
        is_written_over = table == "people" and f"person/{row['subject']}" in coming
        if about and not is_written_over and about <= {*coming, *healed}:
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["number"],))  # noqa: S608 - ours


def forget(connection: sqlite3.Connection, subject: str) -> None:
    """Delete the damaged rows of a deleted person. The caller holds the transaction."""
    for table in ("people", "credentials", "claims", "marks"):
        is_of_subject = f"substr(copy, 1, length(?1)) = ?1 AND NOT ({sound(connection, table)})"
        connection.execute(f"DELETE FROM {table} WHERE {is_of_subject}", (copy_of(subject, ""),))  # noqa: S608


def _damaged(connection: sqlite3.Connection) -> Iterator[tuple[str, sqlite3.Row]]:
    for table in (*OF, "rights", "rights_said"):
        for row in rows(connection, table):
            yield table, row


def _about(table: str, row: sqlite3.Row, known: Collection[str]) -> set[str]:
    """Return the keys of all records that a damaged row may come from. If the row names no key, return all keys of its
    kind.
    """
    if table == "rights":
        return {f"{KINDS[owner]}/{value}" for owner, value in named(row)}
    if table == "rights_said":
        kinds, values = (possible_values(row, table, column) for column in ("whose", "value"))
        return {f"{KINDS[owner]}/{value}" for owner in kinds & KINDS.keys() for value in values}
    kind, column = OF[table]
    names = {f"{kind}/{name}" for name in possible_values(row, table, column)}
    return names & set(known) or {key for key in known if key.startswith(f"{kind}/")}


def _known(connection: sqlite3.Connection) -> set[str]:
    """Return the keys of the records that the office has and this gate received."""
    query = f"SELECT key FROM records WHERE n > 0 AND NOT is_gone AND {sound(connection, 'records')}"  # noqa: S608
    return {row[0] for row in connection.execute(query)}
