"""Rows whose values are what their columns want: one that a card, or a hand, has changed is left out, and counted.

Tables are STRICT, but SQLite checks that only when it writes. Whoever reads rows that are kept for years asks for the
sound ones: an odd value then costs its own row, and no surprise reaches whoever uses the others.

A value may also have become another one of the same kind. Where that would let somebody pass, the row has what protects
a second time, in a column of its own (`COPY`), which triggers write: a row in which the two differ is not sound.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache

KINDS = {
    "TEXT": ("text",),
    "BLOB": ("blob",),
    "INTEGER": ("integer",),
    "INT": ("integer",),
    "REAL": ("real", "integer"),
}
"""What `typeof` says of a value that a STRICT column may have (sqlite.org/stricttables.html); NULL aside."""

COPY, BETWEEN, NOTHING = "copy", "\x1f", "\x1e"
COPIED = {
    "people": ("subject", "household", "role", "status"),
    "credentials": ("subject", "way", "valid_from", "valid_until", "uses_left", "is_duress", "length(readings)"),
    "claims": ("subject", "id", "valid_from", "valid_until", "uses", "length(readings)"),
    "rights": ("subject", "household", "role", "door", "schedule", "valid_from", "valid_until"),
    "rights_said": ("whose", "value", "rows"),
    "schedules": ("name", "days", "start", "until"),
    "calendars": ("name", "holidays", "workdays"),
    "spent": ("hex(pass)", "uses", "not_after"),
    "horizon": ("one", "at"),
    "guesses": ("number", "hex(place)", "at"),
    "clock": ("at", "hex(salt)"),
    "commands": ("id", "number"),
    "snapshot": ("version", "digest", "parts"),
}
"""What protects, by table, as its copy has it. Of a blob that is its length, where a bit of it more or less lets nobody
in. Whose a row is, or its name, comes first. A migration that was made stays as it is: another column comes here with
one that makes the triggers anew.
"""

AGAIN = "start the gate again, and it keeps what can be read"


def sound(connection: sqlite3.Connection, table: str) -> str:
    """The condition that every value in a row of this table is one that its column may have, to stand behind WHERE."""
    row = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ? AND type = 'table'", (table,)).fetchone()
    return _condition(table, row[0])


def copied(table: str, of: str = "", **instead: str) -> str:
    """What the copy of a row must be, in SQL. `of`: the name of the row, such as "NEW.". `instead`: what to write for
    some of the columns.
    """
    names = [instead.get(each, each) for each in COPIED[table]]
    columns = [each.replace("(", f"({of}") if "(" in each else f"{of}{each}" for each in names]
    return " || char(31) || ".join(f"ifnull({each}, char(30))" for each in columns)


def copy_of(*values: str | None) -> str:
    """The same of some values, and the beginning of it where not all are given."""
    return BETWEEN.join(NOTHING if each is None else each for each in values)


def told_twice(row: sqlite3.Row | Mapping[str, object], table: str, column: str) -> set[str]:
    """What text a damaged row has in a column, and has in the copy of it: one of the two may be right."""
    said = [row[column]]
    if COPY in row.keys() and column in COPIED.get(table, ()):  # noqa: SIM118 - of a row
        parts = str(row[COPY]).split(BETWEEN)
        said += parts[COPIED[table].index(column) :][:1] if len(parts) == len(COPIED[table]) else []
    return {each for each in said if isinstance(each, str) and each != NOTHING}


def with_copies(table: str, texts: str, others: Mapping[str, str] = {}) -> str:
    """The migration that gives a table the copies. `texts`: its columns that are never anything but text; `others`: the
    rest, and what `typeof` may say of it besides "null".

    An insertion that brings a copy keeps it: so the rows of a damaged database stay what they are in a new one. A
    change makes the copy of a row anew where it was right before, or where the change empties it: nothing makes a
    damaged row whole that does not say all of it.
    """
    is_whole = [f"typeof({each}) = 'text'" for each in texts.split()]
    is_whole += [f"typeof({each}) IN ('null', '{kind}')" for each, kind in others.items()]
    columns = ", ".join(each.removeprefix("hex(").rstrip(")") for each in COPIED[table] if "length(" not in each)
    anew = f"BEGIN UPDATE {table} SET copy = {copied(table, 'NEW.')} WHERE rowid = NEW.rowid; END"  # noqa: S608
    was_right = f"OLD.copy = {copied(table, 'OLD.')}"
    return f"""
    ALTER TABLE {table} ADD COLUMN copy TEXT NOT NULL DEFAULT '';
    UPDATE OR IGNORE {table} SET copy = {copied(table)} WHERE {" AND ".join(is_whole)};
    CREATE TRIGGER {table}_made AFTER INSERT ON {table} WHEN NEW.copy = '' {anew};
    CREATE TRIGGER {table}_changed AFTER UPDATE OF {columns} ON {table} WHEN NEW.copy = '' OR {was_right} {anew};
    """  # noqa: S608 - constants


def without_copies(table: str) -> str:
    """The way back from it."""
    return f"DROP TRIGGER {table}_made;\nDROP TRIGGER {table}_changed;\nALTER TABLE {table} DROP COLUMN copy;\n"


@lru_cache(maxsize=200)
def _condition(table: str, schema: str) -> str:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(schema)
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    kinds = [
        _fits(f"{table}.{name}", kind, may_be_null=not (not_null or key)) for _, name, kind, not_null, _, key in columns
    ]
    has_copy = table in COPIED and COPY in {column[1] for column in columns}
    return " AND ".join([*kinds, f"{table}.{COPY} = {copied(table, f'{table}.')}"] if has_copy else kinds)


def left_out(connection: sqlite3.Connection, tables: Iterable[str], read: Mapping[str, int] = {}) -> dict[str, int]:
    """How many rows of these tables are not sound, where there are any. `read`: how many sound ones were read just now,
    of some tables: where there are no others nothing is examined again.
    """
    counts = {}
    for table in tables:
        if table in read and read[table] == connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:  # noqa: S608
            continue
        query = f"SELECT count(*) FROM {table} WHERE NOT ({sound(connection, table)})"  # noqa: S608 - a table of ours
        counts[table] = int(connection.execute(query).fetchone()[0])
    return {table: count for table, count in counts.items() if count}


def in_words(file: str, counts: dict[str, int], advice: str = AGAIN) -> str:
    """What was left out of a database, and the next step, for people; empty where nothing was."""
    if not counts:
        return ""
    rows = ", ".join(f"{count} of {table}" for table, count in sorted(counts.items()))
    return f"{file}: damaged rows are left out ({rows}); {advice}"


def is_text(name: str) -> bool:
    """Whether every byte of a name could be read (`database.as_text` has a sign for those that cannot): else no query
    finds it.
    """
    return "\ufffd" not in name


def is_moment(text: str) -> bool:
    """Whether a text is a time with its zone that can be told in any other one."""
    try:
        at = datetime.fromisoformat(text)
        return at.tzinfo is not None and at.astimezone(UTC) is not None
    except (ValueError, TypeError, OverflowError):
        return False


def _fits(column: str, kind: str, *, may_be_null: bool) -> str:
    kinds = KINDS.get(kind, ("text", "blob", "integer", "real"))
    is_one = f"typeof({column}) IN ({', '.join(map(repr, kinds))})"
    return f"({column} IS NULL OR {is_one})" if may_be_null else is_one  # whether it is NULL is asked at half the price
