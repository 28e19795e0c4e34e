"""Read a database that cannot be opened normally: the disk accepts no writes, or the file is damaged.

`open_best` returns the database itself, or a read-only copy in memory. With the copy, reading goes on, and every change
fails as on a broken disk. It changes nothing on the disk. SQLite's "immutable" mode would need no copy, but it ignores
the write-ahead log, which may hold the only record of a revocation. `set_aside` makes room for a new database and
deletes nothing.
"""

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from gated.atomic_files import sync_folder
from gated.errors import DiskError, TornError
from gated.storage import database
from gated.storage.read_only import is_read_only_mode
from gated.storage.salvage import DenyLost, is_sound, readable_copy
from gated.storage.sqlite_errors import SQL_ERRORS, is_mounted_read_only, state_error
from gated.storage.unchecked_copy import PARTS

log = logging.getLogger(__name__)

ASIDE = ".torn-"
"""The part of a set-aside file's name before the time."""


class OpenedDatabase(Struct, frozen=True):
    """The best available form of a database. `why`: why it is not the file on the disk; empty if it is.

    `torn`: the tables that lost rows.
    """

    connection: sqlite3.Connection
    why: str = ""
    torn: frozenset[str] = frozenset()


def open_best(
    path: Path, migrations: Sequence[str], deny_lost: DenyLost = lambda *_: None, *, why: str = ""
) -> OpenedDatabase:
    """Open a database, or a copy in memory if the disk takes no write.

    `why`: the known damage. If it is given, return a copy of the readable rows. If it is empty, a damaged database
    raises `TornError`. Raises `StateError` if a newer gated wrote the database, or if it is busy.
    """
    reason = why
    try:
        if not why:
            return OpenedDatabase(database.connect(path, migrations), _seen_only(path))
    except DiskError as error:
        reason = str(error)
    copy, torn = readable_copy(path, migrations, deny_lost)
    if torn and not why:
        copy.close()
        raise TornError(f"{path}: is damaged, and the disk takes no write: {reason}")
    copy.execute("PRAGMA query_only = ON")
    return OpenedDatabase(copy, reason, torn)


def _seen_only(path: Path) -> str:
    """Return why a change would fail, for a command that only reads. Return an empty string if it would succeed."""
    if is_read_only_mode() and is_mounted_read_only(path):
        return f"{path}: the disk is read-only"
    return ""


def open_or_replace(path: Path, migrations: Sequence[str]) -> tuple[OpenedDatabase, bool]:
    """Open a small database that the gate can do without. A damaged one is set aside and replaced by an empty one.

    Return the database, and whether it was replaced.
    """
    try:
        best = open_best(path, migrations)
        if best.why or is_sound(best.connection):
            return best, False
        best.connection.close()
    except TornError:
        log.debug("%s is damaged", path)
    try:
        set_aside(path)
    except DiskError as error:
        return open_best(path, migrations, why=str(error)), False
    return open_best(path, migrations), True


def open_repaired(path: Path, migrations: Sequence[str], deny_lost: DenyLost) -> OpenedDatabase:
    """Open a small database that must lose no readable row. A damaged one is set aside, and its readable rows go into a
    new one.
    """
    try:
        best = open_best(path, migrations, deny_lost)
        if best.why or is_sound(best.connection):
            return best
        best.connection.close()
    except TornError:
        log.debug("%s is damaged", path)
    fresh, _ = readable_copy(path, migrations, deny_lost)
    try:
        with closing(fresh):
            replace_database(fresh, path)
    except DiskError as error:
        return open_best(path, migrations, deny_lost, why=str(error))
    return open_best(path, migrations, deny_lost)


def set_aside(path: Path) -> Path:
    """Rename a damaged database and its log, to make room for a new one. Return the new name. If there was no database,
    create an empty file with this name.

    Raises `DiskError` if the files cannot be renamed.
    """
    name = f"{path.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    try:
        for part in PARTS:
            with suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(path.with_name(name + part))
        path.with_name(name).touch(mode=0o600)
    except OSError as error:
        raise state_error(error, path) from error
    log.error("%s is damaged and was set aside as %s; keep it until nobody needs it any more", path, name)
    return path.with_name(name)


def aside(path: Path) -> list[Path]:
    """Return the set-aside files of a database that still exist."""
    return sorted(each for each in path.parent.glob(f"{path.name}{ASIDE}*") if not each.name.endswith(PARTS[1:]))


def replace_database(connection: sqlite3.Connection, path: Path) -> Path:
    """Set a damaged database aside, and write the one in memory in its place. Return the new name of the old one.

    Raises `DiskError`. The damaged database then stays in place, or is only set aside.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        with closing(sqlite3.connect(fresh)) as target:
            connection.backup(target)
        number = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
        kept = set_aside(path)
        fresh.replace(path)
        sync_folder(path.parent)
    except (OSError, *SQL_ERRORS) as error:
        raise state_error(error, path) from error
    return kept


def trouble(best: Sequence[OpenedDatabase]) -> str:
    """Return the reasons why several open databases differ from the databases on the disk.

    Return an empty string if they are.
    """
    return "; ".join(dict.fromkeys(each.why for each in best if each.why))
