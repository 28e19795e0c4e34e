"""Cards, PINs, roles, rights and preferences in `people.db`, over a connection of its own: needs no model."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from gated import database
from gated.config import Schedule
from gated.gallery import entitlement, erasure
from gated.gallery.entitlement import AS_EVERYBODY, Credential, Holder, Preferences, Right, Whose
from gated.gallery.people import People, plainly
from gated.gallery.templates import Templates
from gated.gallery.vault import Vault, site_key
from gated.types import SubjectId


class Credentials:
    """What is stored. Every method may be called from any thread, and may raise `BusyError` and `StateError`."""

    def __init__(self, people: People, vault: Vault) -> None:
        self._people, self.vault = people, vault
        self._connection = people.connection
        self._mine = threading.RLock()
        self._uses = 0

    @classmethod
    def open(cls, state: Path, site: str) -> "Credentials":
        """Open, or make, what is stored. Raises `StateError` when the folder or the site key cannot be used."""
        with ExitStack() as opened:
            people = People(state)
            opened.callback(people.connection.close)
            templates = Templates(state)
            with plainly():
                is_new = not templates.keys() and not people.has_credentials()
            templates.connection.close()
            key = site_key(state, may_create=is_new)
            opened.pop_all()
        return cls(people, Vault(key, site))

    def close(self) -> None:
        """Give the file back. May be called twice."""
        with self._mine:
            self._connection.close()

    def version(self) -> tuple[int, int]:
        """Another one whenever anybody has changed something, but for the uses that we wrote down; cheap to ask."""
        with self.reading() as connection:
            return database.version(connection), connection.total_changes - self._uses

    def all(self) -> list[Credential]:
        """Every card and PIN."""
        with self.reading() as connection:
            rows = connection.execute("SELECT * FROM credentials ORDER BY rowid").fetchall()
        return [entitlement.credential(row) for row in rows]

    def of(self, subject: SubjectId) -> list[Credential]:
        """Somebody's cards and PINs."""
        return [credential for credential in self.all() if credential.subject == subject]

    def holders(self) -> dict[SubjectId, Holder]:
        """Everybody, with the rights and preferences that count for them. What is not plainly active is suspended."""
        with self.reading() as connection:
            people = connection.execute("SELECT subject, household, role, status FROM people").fetchall()
            wishes = {row[0]: Preferences(*row[1:]) for row in connection.execute("SELECT * FROM preferences")}
            rights: dict[tuple[str | None, str | None, str | None], tuple[Right, ...]] = {}
            for row in connection.execute("SELECT * FROM rights ORDER BY rowid"):
                whose = (row["subject"], row["household"], row["role"])
                rights[whose] = (*rights.get(whose, ()), entitlement.right(row))
        return {
            SubjectId(subject): Holder(
                is_suspended=status != "active",
                rights=rights.get((subject, None, None))
                or rights.get((None, household, None))
                or rights.get((None, None, role), ()),
                preferences=wishes.get(subject, AS_EVERYBODY),
            )
            for subject, household, role, status in people
        }

    def schedules(self) -> dict[str, Schedule]:
        """The hours that the office named."""
        with self.reading() as connection:
            rows = connection.execute("SELECT name, days, start, until FROM schedules").fetchall()
        return {name: entitlement.hours(days.split(), start, until) for name, days, start, until in rows}

    def role_of(self, subject: SubjectId) -> str:
        """Somebody's role. Raises `SubjectNotFoundError`."""
        return self._named(subject, "role")

    def set_role(self, subject: SubjectId, name: str) -> str:
        """Give somebody another role; gives its plain name. Raises `CredentialError` and `SubjectNotFoundError`."""
        role = entitlement.plain_role(name)
        with self.changing():
            self._people.set_role(subject, role)
        return role

    def rights_of(self, subject: SubjectId, whose: Whose = "subject") -> list[Right]:
        """What was said of somebody, of all they live with, or of all of their role. Raises `SubjectNotFoundError`."""
        value = self._named(subject, whose)
        with self.reading() as connection:
            rows = connection.execute(f"SELECT * FROM rights WHERE {whose} = ? ORDER BY rowid", (value,))  # noqa: S608
            return [entitlement.right(row) for row in rows]

    def set_rights(self, subject: SubjectId, rights: Sequence[Right], whose: Whose = "subject") -> None:
        """Say anew by which doors and when somebody, all they live with, or all of their role may pass.

        Raises `SubjectNotFoundError`.
        """
        with self.changing() as connection:
            entitlement.put_rights(connection, whose, self._named(subject, whose), rights)

    def set_preferences(self, subject: SubjectId, preferences: Preferences) -> None:
        """Do as somebody asked, from now on. Raises `SubjectNotFoundError`."""
        with self.changing() as connection:
            self._people.get(subject)
            entitlement.put_preferences(connection, subject, preferences)

    def add(self, new: Credential) -> None:
        """Store a card or a PIN that was checked; whoever gives them out calls `issuing`. The caller is `changing`."""
        if new.subject is not None:
            self._people.get(new.subject)
        entitlement.put_credential(self._connection, new)

    def delete(self, which: str) -> None:
        """Delete a card or a PIN; the caller is `changing`, and calls `tidy` after it."""
        self._connection.execute("DELETE FROM credentials WHERE id = ?", (which,))
        erasure.owe(self._connection)

    def tidy(self) -> None:
        """Wipe the traces of what was deleted; what stands in the way now is done at the next start."""
        with self.reading() as connection:
            erasure.settle(connection)

    def use(self, which: str, at: datetime | None) -> bool:
        """Write down a use; False when it is gone, or was counted and none is left. On disk when it returns."""
        with self.changing() as connection:
            done = connection.execute(
                "UPDATE credentials SET uses_left = uses_left - 1, last_used_at = coalesce(:at, last_used_at),"
                " first_used_at = coalesce(first_used_at, :at)"
                " WHERE id = :which AND (uses_left IS NULL OR uses_left > 0)",
                {"at": entitlement.text(at), "which": which},
            ).rowcount
            self._uses += done
        return done == 1

    def give_back(self, which: str) -> None:
        """A use that was counted came to nothing, because the door could not be asked."""
        with self.changing() as connection:
            give = "UPDATE credentials SET uses_left = uses_left + 1 WHERE id = ?"
            self._uses += connection.execute(give, (which,)).rowcount

    def _named(self, subject: SubjectId, whose: Whose) -> str:
        """Somebody's id, household or role."""
        with self.reading():
            return str(getattr(self._people.get(subject), whose))

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else changes `people.db` meanwhile."""
        with self.reading() as connection, database.transaction(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for this thread alone, with SQLite's errors in this gate's words."""
        with self._mine, plainly():
            yield self._connection
