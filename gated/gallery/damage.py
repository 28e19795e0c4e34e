"""Damaged rows of people.db: which of the office's records each may be about, and how it goes when those have come.

What protects stands twice in each row (see `soundness`), so that a row which was changed still names whose it is. How
many rights were said of each person, household and role is counted beside them (`rights_said`): who has fewer than that
passes by none of those that are missing.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping

from gated import database
from gated.soundness import copy_of, sound, told_twice, with_copies, without_copies

CARD = {
    "subject": "text", "pin_hash": "text", "valid_from": "text", "valid_until": "text", "uses_left": "integer",
    "first_used_at": "text", "last_used_at": "text", "uses": "integer", "digest": "blob", "readings": "blob",
    "is_duress": "integer",
}  # fmt: skip
CLAIM = {"valid_from": "text", "valid_until": "text", "uses": "integer", "digest": "blob", "readings": "blob"}
RIGHT = dict.fromkeys(("subject", "household", "role", "door", "schedule", "valid_from", "valid_until"), "text")
OWNER = "iif(NEW.subject IS NOT NULL, 'subject', iif(NEW.household IS NOT NULL, 'household', 'role'))"
VALUE = "coalesce(NEW.subject, NEW.household, NEW.role)"
OLD_OWNER, OLD_VALUE = OWNER.replace("NEW.", "OLD."), VALUE.replace("NEW.", "OLD.")

SCHEMA = f"""
    CREATE TABLE rights_said (
        whose TEXT NOT NULL, value TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (whose, value)
    ) STRICT;
    INSERT INTO rights_said SELECT 'subject', subject, count(*) FROM rights
        WHERE typeof(subject) = 'text' GROUP BY subject;
    INSERT INTO rights_said SELECT 'household', household, count(*) FROM rights
        WHERE typeof(household) = 'text' GROUP BY household;
    INSERT INTO rights_said SELECT 'role', role, count(*) FROM rights WHERE typeof(role) = 'text' GROUP BY role;
    {with_copies("people", "subject name household status enrolled_at role face")}
    {with_copies("credentials", "id way label", CARD)}
    {with_copies("claims", "id subject label", CLAIM)}
    {with_copies("rights", "", RIGHT)}
    {with_copies("rights_said", "whose value", {"rows": "integer"})}
    {with_copies("schedules", "name days start until")}
    {with_copies("calendars", "name holidays workdays")}
    CREATE TRIGGER rights_counted AFTER INSERT ON rights BEGIN
        INSERT INTO rights_said (whose, value, rows) VALUES ({OWNER}, {VALUE}, 1)
            ON CONFLICT (whose, value) DO UPDATE SET rows = rows + 1;
    END;
    CREATE TRIGGER rights_taken AFTER DELETE ON rights BEGIN
        UPDATE rights_said SET rows = rows - 1 WHERE whose = {OLD_OWNER} AND value = {OLD_VALUE};
        DELETE FROM rights_said WHERE rows <= 0;
    END;
    {database.BACK}
    DROP TRIGGER rights_taken;
    DROP TRIGGER rights_counted;
    {"".join(map(without_copies, ("people", "credentials", "claims", "rights", "schedules", "calendars")))}
    DROP TABLE rights_said
"""  # noqa: S608 - constants

OF = {
    "people": ("person", "subject"), "credentials": ("person", "subject"), "claims": ("person", "subject"),
    "consents": ("person", "subject"), "preferences": ("person", "subject"), "schedules": ("schedule", "name"),
    "calendars": ("schedule", "name"), "gates": ("gate", "gate"),
}  # fmt: skip
"""Of each table the kind of the records that its rows come from, and where their names stand."""
KINDS = {"subject": "person", "household": "household", "role": "role"}
"""The same of rights, which are said of one of these."""

Owner = tuple[str, str]
"""Of whom rights are said: "subject", "household" or "role", and its name as it is written there."""


def missing(connection: sqlite3.Connection) -> dict[Owner, int]:
    """Of whom more rights were said than can be read, and how many are missing."""
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
    """Of whom a damaged row of rights may be said."""
    return {(whose, value) for whose in KINDS for value in told_twice(row, "rights", whose)}


def rows(connection: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    """The damaged rows of a table, each with its `number`."""
    query = f"SELECT rowid AS number, * FROM {table} WHERE NOT ({sound(connection, table)})"  # noqa: S608 - ours
    return connection.execute(query).fetchall()


def wanted(connection: sqlite3.Connection) -> set[str]:
    """Keys of the office's records that bring back what is damaged here."""
    known = _known(connection)
    every = {f"{KINDS[whose]}/{value}" for whose, value in missing(connection)}
    for table, row in _damaged(connection):
        every |= _about(table, row, known)
    return every & known


def clear(connection: sqlite3.Connection, coming: Collection[str], healed: Collection[str]) -> None:
    """Delete the damaged rows in whose place others are written now: of everything that each may be about, the records
    are `coming`, or have come since it was damaged (`healed`). The caller holds the transaction.
    """
    known = _known(connection) | set(coming)
    for table, row in _damaged(connection):
        about = _about(table, row, known) & known
        is_written_over = table == "people" and f"person/{row['subject']}" in coming
        if about and not is_written_over and about <= {*coming, *healed}:
            connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["number"],))  # noqa: S608 - ours


def forget(connection: sqlite3.Connection, subject: str) -> None:
    """Delete the damaged rows that were somebody's, who is gone; the caller holds the transaction."""
    for table in ("people", "credentials", "claims"):
        theirs = f"substr(copy, 1, length(?1)) = ?1 AND NOT ({sound(connection, table)})"
        connection.execute(f"DELETE FROM {table} WHERE {theirs}", (copy_of(subject, ""),))  # noqa: S608


def _damaged(connection: sqlite3.Connection) -> Iterator[tuple[str, sqlite3.Row]]:
    for table in (*OF, "rights", "rights_said"):
        for row in rows(connection, table):
            yield table, row


def _about(table: str, row: sqlite3.Row, known: Collection[str]) -> set[str]:
    """The keys of all records that a damaged row may come from; every one of its kind where it names none."""
    if table == "rights":
        return {f"{KINDS[whose]}/{value}" for whose, value in named(row)}
    if table == "rights_said":
        kinds, values = (told_twice(row, table, column) for column in ("whose", "value"))
        return {f"{KINDS[whose]}/{value}" for whose in kinds & KINDS.keys() for value in values}
    kind, column = OF[table]
    names = {f"{kind}/{name}" for name in told_twice(row, table, column)}
    return names & set(known) or {key for key in known if key.startswith(f"{kind}/")}


def _known(connection: sqlite3.Connection) -> set[str]:
    """The keys of what the office has, and this gate had."""
    query = f"SELECT key FROM records WHERE n > 0 AND NOT is_gone AND {sound(connection, 'records')}"  # noqa: S608
    return {row[0] for row in connection.execute(query)}
