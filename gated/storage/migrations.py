"""Schema changes of the databases: append-only lists of scripts, applied in one transaction and never changed later.

sqlite-utils applies and records the scripts. `PRAGMA user_version` holds the number of applied scripts, so a database
with the current schema opens without sqlite-utils.

The part of a script after `BACK` undoes the change. It is stored in the database. So an older gated can undo a change
that it does not know (`go_back`). It loses only data that the newer gated added. An old copy never replaces a database:
it would restore erased people, undo a revocation, and lose acknowledged data.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gated.errors import StateError
from gated.storage.sql import prepare, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

BACK = "-- back\n"
"""The separator in a script between the change and its undo part."""
UNDO_TABLE = "CREATE TABLE IF NOT EXISTS _gated_back (number INTEGER PRIMARY KEY, script TEXT NOT NULL) STRICT"
SET = "gated"
"""The name of our migrations in the record of sqlite-utils."""


def is_current(connection: sqlite3.Connection, migrations: Sequence[str]) -> bool:
    """Return whether exactly these migrations are applied. Cheap.

    False for a database from before `user_version` was used. `migrate` then sets it.
    """
    return bool(connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations))


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the missing scripts and record them, all in one transaction. Take no lock if none is missing."""
    if is_current(connection, migrations):
        return
    from sqlite_utils import Migrations  # saves 0.1 s and 25 MB if the schema is current

    known = Migrations(SET)
    for number, script in enumerate(migrations, 1):
        known(name=str(number))(_migration(number, script))
    with transaction(connection):
        done = applied(connection)
        if done > len(migrations):
            advice = "install the newer gated again, or go back with `gated update --back`"
            raise sqlite3.DatabaseError(f"it has schema {done}, this gated knows {len(migrations)}; {advice}")
        known.apply(_helper(connection))
        _mark_undo_scripts(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def applied(connection: sqlite3.Connection) -> int:
    """Return the number of applied migrations, from the record of sqlite-utils."""
    from sqlite_utils import Migrations

    return len(Migrations(SET).applied(_helper(connection)))


def _helper(connection: sqlite3.Connection) -> "Database":
    """Return the connection as sqlite-utils needs it.

    Loads no plugin. The search for plugins reads the metadata of every installed package (40 ms), and a plugin is
    foreign code in the brain.
    """
    from sqlite_utils import Database

    return Database(connection, execute_plugins=False)


def _migration(number: int, script: str) -> Callable[[Any], None]:
    """Return a script as a migration of sqlite-utils.

    It runs the statements singly, because sqlite3's `executescript` commits first.
    """
    forth, _, back = script.partition(BACK)

    def migration(database: Any) -> None:
        """Apply the statements, and store the way back."""
        for statement in statements(forth):
            database.execute(statement)
        if back:
            database.execute(UNDO_TABLE)
            database.execute("INSERT INTO _gated_back VALUES (?, ?)", (number, back))

    return migration


def _mark_undo_scripts(connection: sqlite3.Connection) -> None:
    """Let each stored undo script reset `user_version`. An older gated does not know that number, and resets it too."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_gated_back'").fetchone():
        connection.execute(
            "UPDATE _gated_back SET script = script || ';\nPRAGMA user_version = ' || (number - 1)"
            " WHERE script NOT LIKE '%PRAGMA user_version%'"
        )


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script. A trigger contains semicolons."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield from filter(lambda each: each.strip(" \n;"), [statement])
            statement = ""


def go_back(path: Path, known: int) -> int:
    """Undo the migrations after the first `known`, newest first, all or none. Return the number of undone migrations.

    Raises `StateError` if a migration has no undo script, if rows would then refer to missing rows, or if the database
    cannot be used. In that case nothing changes.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            prepare(connection)
            if applied(connection) <= known:
                return 0
            connection.execute("PRAGMA foreign_keys = OFF")  # an undo script may recreate a table that others refer to
            with transaction(connection):
                numbers = range(applied(connection), known, -1)
                for number in numbers:
                    _undo(connection, number)
                if connection.execute("PRAGMA foreign_key_check").fetchone():
                    raise sqlite3.IntegrityError("its undo scripts leave rows that refer to missing rows")
            return len(numbers)
    except sqlite3.Error as error:
        raise StateError(f"{path}: cannot go back ({error}); install the newer gated again") from error


def _undo(connection: sqlite3.Connection, number: int) -> None:
    from sqlite_utils import Migrations

    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_gated_back'").fetchone()
    row = known and connection.execute("SELECT script FROM _gated_back WHERE number = ?", (number,)).fetchone()
    if not row:
        raise sqlite3.DatabaseError(f"schema {number} has no undo script")
    for statement in statements(row[0]):
        connection.execute(statement)
    connection.execute("DELETE FROM _gated_back WHERE number = ?", (number,))
    record = _helper(connection).table(Migrations.migrations_table)
    record.delete_where("migration_set = ? AND name = ?", (SET, str(number)))
    connection.execute(f"PRAGMA user_version = {number - 1}")
