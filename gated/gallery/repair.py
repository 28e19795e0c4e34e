"""Repairs a damaged gallery at gate start: copies readable rows into a new database, and keeps the damaged file.

The brain uses it. Only rows of the damaged file itself are copied: no deleted data returns. Record versions stay: old
messages of the office have no effect. The gate requests office records again and so restores lost data. No office can
restore people that only this gate knows. The log and an event list their ids for a new enrolment.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from gated.errors import DiskError
from gated.people import held_records, lost_database, schema, store, template_store
from gated.people.lost_rows import deny_for_lost_rows
from gated.storage.rescue import replace_database
from gated.storage.salvage import is_sound, readable_copy
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.unchecked_copy import copy_unchecked
from gated.types import SubjectId

log = logging.getLogger(__name__)

OF_THE_OFFICE = "SELECT substr(key, 8) FROM records WHERE n > 0 AND NOT is_gone AND key LIKE 'person/%'"


class RepairedDatabase(Struct, frozen=True):
    """One database that was rebuilt. `torn`: the tables that lost rows. `anew`: ids of people to enrol again, because
    no office can restore them.
    """

    file: str
    kept_as: str
    torn: tuple[str, ...]
    anew: tuple[str, ...] = ()


def repair(state: Path) -> list[RepairedDatabase]:
    """Check both databases and repair damaged ones. Call it only at start, before other users of the databases.

    If the disk accepts no writes, nothing changes; the gallery then reads the readable part.
    """
    lost, done = lost_database.problem(state), list[RepairedDatabase]()
    for name, migrations, careful in (
        (store.NAME, schema.MIGRATIONS, deny_for_lost_rows),
        (template_store.NAME, template_store.MIGRATIONS, lambda *_: None),
    ):
        path = state / name
        if not (lost.startswith(f"{path}:") or _is_torn(path)):
            continue
        log.error("%s is damaged: its readable rows are copied to a new database", path)
        was_there = not (lost_database.is_empty(path) and lost_database.is_empty(path.with_name(f"{name}-wal")))
        fresh, torn = readable_copy(path, migrations, careful)
        try:
            with closing(fresh):
                if name == store.NAME:
                    held_records.want(fresh)
                kept = replace_database(fresh, path)
        except DiskError as error:
            log.error("the database cannot be repaired: %s", error)
            return done
        done.append(RepairedDatabase(name, kept.name, tuple(sorted(torn)) if was_there else ("everything",)))
    return _with_people(state, done) if done else done


def _is_torn(path: Path) -> bool:
    """Return whether SQLite finds the file damaged, or finds a log without a file; False if it cannot check."""
    log_file = path.with_name(f"{path.name}-wal")
    if lost_database.is_empty(path):
        return not lost_database.is_empty(log_file)
    try:
        with closing(sqlite3.connect(path)) as connection:
            if is_sound(connection):
                return False
    except SQL_ERRORS:
        return True
    try:  # the disk may have failed instead of the file
        with closing(copy_unchecked(path)) as copy:
            return not is_sound(copy)
    except OSError:
        return False
    except SQL_ERRORS:
        return True


def _with_people(state: Path, done: list[RepairedDatabase]) -> list[RepairedDatabase]:
    """Mark office records of people without a face to come again, and list the other people without a face."""
    stored, sealed = store.People(state), template_store.Templates(state)
    with closing(stored.connection) as connection, closing(sealed.connection), stored.guard:
        faces, here = sealed.keys().keys(), stored.subjects()
        rows = connection.execute(OF_THE_OFFICE).fetchall()
        office = {SubjectId(row[0]) for row in rows}
        faceless = {subject for subject, person in stored.consented().items() if (subject, person.face) not in faces}
        for subject in faceless & office:
            connection.execute("UPDATE records SET face = NULL, is_wanted = 1 WHERE key = ?", (f"person/{subject}",))
        strays = {subject for subject, _ in faces} - here - stored.deleted_subjects()
    anew = tuple(sorted((faceless | strays) - office))
    if anew:
        log.error("enrol %d people again, because no office can restore them: %s", len(anew), ", ".join(anew))
    return [RepairedDatabase(each.file, each.kept_as, each.torn, anew) for each in done]
