"""Select the valid rows of a table. Rows that a failing card or a manual change has damaged are left out and counted.

Tables are STRICT, but SQLite checks types only on writes. Code that reads long-lived rows therefore asks for sound
rows. A damaged value then costs only its own row, and causes no error elsewhere.

A value may also change to another valid value. If that could let somebody pass, the row stores its protected columns a
second time, in the column `COPY`. Triggers write the copy. A row that differs from its copy is not sound.
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
"""The results of `typeof` for a STRICT column (sqlite.org/stricttables.html), apart from NULL."""

MOST_INTEGER = 2**62
"""The largest sound integer; its negative is the smallest one. No counter of gated comes so far, so a larger integer is
damage. A counter near 2**63 would overflow: SQLite then makes a REAL, which a STRICT table refuses.
"""
POSSIBLE = f"BETWEEN -{MOST_INTEGER} AND {MOST_INTEGER}"

COPY, BETWEEN, NOTHING = "copy", "\x1f", "\x1e"
COPIED = {
    "people": ("subject", "household", "role", "status"),
    "credentials": ("subject", "way", "valid_from", "valid_until", "uses_left", "is_duress", "length(readings)"),
    "claims": ("subject", "id", "valid_from", "valid_until", "uses", "length(readings)"),
    "rights": ("subject", "household", "role", "door", "schedule", "valid_from", "valid_until"),
    "rights_said": ("whose", "value", "rows"),
    "marks": ("subject", "kind", "until"),
    "schedules": ("name", "days", "start", "until"),
    "calendars": ("name", "holidays", "workdays"),
    "spent": ("hex(pass)", "uses", "not_after"),
    "horizon": ("one", "at"),
    "guesses": ("number", "hex(place)", "at"),
    "clock": ("at", "hex(salt)"),
    "commands": ("id", "number"),
    "snapshot": ("version", "digest", "parts"),
}
"""The columns that a copy contains, by table: the columns that decide who may pass. A blob counts by its length if
changed bits in it let nobody in. The first column is the row's name or its owner.

Applied migrations never change. A new column here needs a migration that recreates the triggers.
"""

AGAIN = "start the gate again, and it keeps what can be read"


def sound(connection: sqlite3.Connection, table: str) -> str:
    """Return the SQL condition for WHERE that every value of a row is valid for its column.

    Raises `sqlite3.OperationalError` for a missing table, as a query of the table does.
    """
    row = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ? AND type = 'table'", (table,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"no such table: {table}")
    return _condition(table, row[0])


def has_impossible_integer(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether an integer of the table is beyond `MOST_INTEGER`. Reads the whole table."""
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    beyond = [f"{name} NOT {POSSIBLE}" for _, name, kind, *_ in info if KINDS.get(kind) == KINDS["INTEGER"]]
    query = f"SELECT 1 FROM {table} WHERE {' OR '.join(beyond)} LIMIT 1"  # noqa: S608 - our table
    return bool(beyond) and connection.execute(query).fetchone() is not None


def copied(table: str, of: str = "", **instead: str) -> str:
    """Return the SQL expression of a row's copy. `of`: the prefix of the row, such as "NEW.". `instead`: other
    expressions for some columns.
    """
    names = [instead.get(each, each) for each in COPIED[table]]
    columns = [each.replace("(", f"({of}") if "(" in each else f"{of}{each}" for each in names]
    return " || char(31) || ".join(f"ifnull({each}, char(30))" for each in columns)


def copy_of(*values: str | None) -> str:
    """Return the copy of these values, as `copied` computes it in SQL. Fewer values give the beginning of the copy."""
    return BETWEEN.join(NOTHING if each is None else each for each in values)


def possible_values(row: sqlite3.Row | Mapping[str, object], table: str, column: str) -> set[str]:
    """Return the texts of a damaged row's column and of its copy. One of them may be right."""
    texts = [row[column]]
    if COPY in row.keys() and column in COPIED.get(table, ()):  # noqa: SIM118 - `in` searches a row's values
        parts = str(row[COPY]).split(BETWEEN)
        texts += parts[COPIED[table].index(column) :][:1] if len(parts) == len(COPIED[table]) else []
    return {each for each in texts if isinstance(each, str) and each != NOTHING}


def with_copies(table: str, texts: str, others: Mapping[str, str] = {}) -> str:
    """Return the migration that adds copies to a table. `texts`: its columns that are always text, separated by spaces.
    `others`: the other columns, with the result of `typeof` that is allowed besides "null".

    An INSERT with a copy keeps that copy, so that damaged rows stay damaged in a new database. An UPDATE renews the
    copy if the old copy was right, or if the UPDATE empties the copy. So an UPDATE of some columns never makes a
    damaged row sound.
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
    """Return the undo script of `with_copies`."""
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
    """Return the number of unsound rows by table, without tables that have none.

    `read`: the number of sound rows that the caller has just read, for some tables. If it equals the table's row count,
    the table is not examined again.
    """
    counts = {}
    for table in tables:
        if table in read and read[table] == connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:  # noqa: S608
            continue
        query = f"SELECT count(*) FROM {table} WHERE NOT ({sound(connection, table)})"  # noqa: S608 - our table
        counts[table] = int(connection.execute(query).fetchone()[0])
    return {table: count for table, count in counts.items() if count}


def in_words(file: str, counts: dict[str, int], advice: str = AGAIN) -> str:
    """Return a sentence about the rows that were left out, with the next step. Return an empty string if there are
    none.
    """
    if not counts:
        return ""
    rows = ", ".join(f"{count} of {table}" for table, count in sorted(counts.items()))
    return f"{file}: damaged rows are left out ({rows}); {advice}"


def is_text(name: str) -> bool:
    """Return whether every byte of a name could be decoded. `sql.as_text` replaces the others, and then no query
    finds the name.
    """
    return "\ufffd" not in name


def is_moment(text: str) -> bool:
    """Return whether a text is a time with an offset that can be converted to UTC."""
    try:
        at = datetime.fromisoformat(text)
        return at.tzinfo is not None and at.astimezone(UTC) is not None
    except (ValueError, TypeError, OverflowError):
        return False


def _fits(column: str, kind: str, *, may_be_null: bool) -> str:
    kinds = KINDS.get(kind, ("text", "blob", "integer", "real"))
    is_one = f"typeof({column}) IN ({', '.join(map(repr, kinds))})"
    if kinds == KINDS["INTEGER"]:
        is_one += f" AND {column} {POSSIBLE}"
    return f"({column} IS NULL OR {is_one})" if may_be_null else is_one  # the NULL test takes half the time
