"""The databases of a gate: the schema changes of another version gone there and back on copies, and gone back for real.

A copy lives while it is rehearsed with, and never longer: it holds the keys of people who may be erased meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from gated import database
from gated.access import guess_log, passes
from gated.errors import StateError, UpdateError
from gated.gallery import people, templates
from gated.journal import file as journal
from gated.runtime.owner import Owner, acting_as
from gated.sync import ledger, snapshot

SCHEMAS: dict[str, Sequence[str]] = {
    journal.NAME: journal.MIGRATIONS,
    "people.db": people.MIGRATIONS,
    "templates.db": templates.MIGRATIONS,
    "passes.db": passes.MIGRATIONS,
    guess_log.NAME: guess_log.MIGRATIONS,
    "commands.db": ledger.MIGRATIONS,
    "snapshot.db": snapshot.MIGRATIONS,
}
"""Every database in the state folder, with what this version knows of its schema."""

COPIES = "rehearsal"
"""The folder of copies, in the state folder."""
SPARE_BYTES = 20_000_000
"""So much room must be left beside the copies."""

Shape = dict[str, tuple[list[tuple[object, ...]], int]]
"""Of each table its columns, and how many rows it has."""


def rehearse(state: Path, owner: Owner | None, migrate: Callable[[], object]) -> None:
    """Have `migrate`, the other version, bring copies of the databases up to its schema, and go back on them.

    Raises `UpdateError` where what comes back is not what went, and whatever `migrate` raises; `StateError` where the
    disk cannot be used. The databases themselves are read, and no more.
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
        raise StateError(f"{folder}: the databases cannot be rehearsed with ({error}); make room") from error
    finally:
        forget_copies(state, owner)


def forget_copies(state: Path, owner: Owner | None) -> None:
    """Remove the copies, also those that a power cut has left; by the gate's user, whose folder it is."""
    with acting_as(owner):
        shutil.rmtree(state / COPIES, ignore_errors=True)


def migrate_copies(state: Path) -> None:
    """Bring the copies up to the schema of this version. Raises `StateError`."""
    for name, migrations in SCHEMAS.items():
        if (state / COPIES / name).exists():
            database.connect(state / COPIES / name, migrations).close()


def go_back(state: Path) -> list[str]:
    """Undo what a newer version has changed in the schemas; gives the databases it was done in.

    Only while no brain runs. What was done in one is done for good, and a second call goes on. Raises `StateError`.
    """
    there = {name: migrations for name, migrations in SCHEMAS.items() if (state / name).exists()}
    return [name for name, migrations in there.items() if database.go_back(state / name, len(migrations))]


def _copy(path: Path, copy: Path) -> Shape:
    """A copy as it is at one moment, whoever writes meanwhile; gives its shape."""
    if shutil.disk_usage(path.parent).free < path.stat().st_size + SPARE_BYTES:
        raise StateError(f"{path.parent}: has no room for a copy of {path.name}; make room, then update")
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return shape_of(copy)


def _return(copy: Path, migrations: Sequence[str], before: Shape) -> None:
    try:
        database.go_back(copy, len(migrations))
        database.connect(copy, migrations).close()
    except StateError as error:
        raise UpdateError(f"there would be no way back: {error}") from error
    if shape_of(copy) != before:
        raise UpdateError(f"{copy.name}: does not come back as it went; this version is not fit for this gate")


def shape_of(path: Path) -> Shape:
    """The tables of a database. Raises `sqlite3.Error`."""
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
