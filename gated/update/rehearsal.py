"""Migrates copies of a gate's databases to another version and back, and migrates the databases back for real.

A copy exists only during the rehearsal: it holds keys of people who may be erased meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from gated.access import guess_store, pass_ledger
from gated.errors import StateError, UpdateError
from gated.journal import journal_file as journal
from gated.people import schema, template_store
from gated.storage import database
from gated.storage.migrations import go_back as undo_migrations
from gated.storage.owner import Owner, acting_as
from gated.sync import command_log, snapshot

SCHEMAS: dict[str, Sequence[str]] = {
    journal.JOURNAL_DB: journal.MIGRATIONS,
    "people.db": schema.MIGRATIONS,
    "templates.db": template_store.MIGRATIONS,
    "passes.db": pass_ledger.MIGRATIONS,
    guess_store.GUESSES_DB: guess_store.MIGRATIONS,
    "commands.db": command_log.MIGRATIONS,
    "snapshot.db": snapshot.MIGRATIONS,
}
"""Every database in the state folder, with this version's migrations."""

COPIES = "rehearsal"
"""Name of the folder of copies, in the state folder."""
SPARE_BYTES = 20_000_000
"""Free space that must remain beside the copies, in bytes."""

Shape = dict[str, tuple[list[tuple[object, ...]], int]]
"""For each table, its columns and indexes, and its number of rows."""


def rehearse(state: Path, owner: Owner | None, migrate: Callable[[], object]) -> None:
    """Copy the databases, let `migrate` (the other version) migrate the copies, and migrate them back.

    Raises `UpdateError` if a copy differs after the way back, `StateError` if the disk fails, and any error of
    `migrate`. Only reads the databases themselves.
    """
    folder = state / COPIES
    try:
        with acting_as(owner):
            forget_copies(state, None)
            folder.mkdir(mode=0o700)
            shapes = {name: _copy(state / name, folder / name) for name in SCHEMAS if (state / name).exists()}
        migrate()
        with acting_as(owner):
            for name, shape in shapes.items():
                _return(folder / name, SCHEMAS[name], shape)
    except (OSError, sqlite3.Error) as error:
        raise StateError(
            f"{folder}: the databases cannot be copied for the rehearsal ({error}); free some space"
        ) from error
    finally:
        forget_copies(state, owner)


def forget_copies(state: Path, owner: Owner | None) -> None:
    """Remove the copies, including those that a power cut left. Acts as the gate's user, who owns the folder."""
    with acting_as(owner):
        shutil.rmtree(state / COPIES, ignore_errors=True)


def migrate_copies(state: Path) -> None:
    """Migrate the copies to this version's schema. Raises `StateError`."""
    for name, migrations in SCHEMAS.items():
        if (state / COPIES / name).exists():
            database.connect(state / COPIES / name, migrations).close()


def go_back(state: Path) -> list[str]:
    """Undo a newer version's schema changes. Return the names of the databases that changed.

    Call it only while no brain runs. Each database is changed permanently, and a second call continues. Raises
    `StateError`.
    """
    present = {name: migrations for name, migrations in SCHEMAS.items() if (state / name).exists()}
    return [name for name, migrations in present.items() if undo_migrations(state / name, len(migrations))]


def _copy(path: Path, copy: Path) -> Shape:
    """Copy a database at one moment, even while another process writes. Return its shape.

    Raises `StateError` if space is low.
    """
    if shutil.disk_usage(path.parent).free < path.stat().st_size + SPARE_BYTES:
        raise StateError(f"{path.parent}: has no room for a copy of {path.name}; free some space, then update")
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return shape_of(copy)


def _return(copy: Path, migrations: Sequence[str], before: Shape) -> None:
    """Migrate a copy back to this version's schema. Raises `UpdateError` if its shape differs from `before`."""
    try:
        undo_migrations(copy, len(migrations))
        database.connect(copy, migrations).close()
    except StateError as error:
        raise UpdateError(f"going back would fail: {error}") from error
    if shape_of(copy) != before:
        raise UpdateError(f"{copy.name}: changed after migrating and going back; this version is not fit for this gate")


def shape_of(path: Path) -> Shape:
    """Return the shape of a database, after a check for damage. Raises `sqlite3.Error`."""
    with closing(sqlite3.connect(path)) as connection:
        if (flaw := connection.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"{path.name} is damaged: {flaw}")
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'"
        )
        return {name: _table(connection, name) for (name,) in names.fetchall()}


def _table(connection: sqlite3.Connection, name: str) -> tuple[list[tuple[object, ...]], int]:
    quoted = '"' + name.replace('"', '""') + '"'
    columns = connection.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
    indexes = connection.execute(f"PRAGMA index_list({quoted})").fetchall()
    rows = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608 - a name from the schema
    return [*columns, *sorted(row[1:] for row in indexes)], rows
