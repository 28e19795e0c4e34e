"""Credentials, roles, access rules and preferences in `people.db`, over a separate connection. Needs no model.

`keyring.KeyRing` reads this store, and the commands change it.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

from gated import names
from gated.config import Schedule
from gated.people import pin_verifiers, stored_rules
from gated.people.access_rule import AccessRule, Holder, RuleOwner, plain_role, put_access_rules, read_access_rule
from gated.people.credential import KINDS, Credential, put_credential, put_pins, read_credential
from gated.people.face_mark import FaceMark, put_mark
from gated.people.opening import open_stores
from gated.people.preferences import Preferences, put_preferences
from gated.people.schedule_values import CalendarDays
from gated.people.store import NAME, People, Person
from gated.people.stored_time import text_of
from gated.storage import database, erasure, sql
from gated.storage.valid_rows import in_words, left_out, sound
from gated.storage.vault import Vault
from gated.types import SubjectId

CONVERT_AFTER = "+1 day"
"""Time after the migration `schema.VEIL` at which old PIN rows are converted: the trial of the new version is over."""
READ = (
    "people", "credentials", "claims", "rights", "rights_said",
    "preferences", "marks", "schedules", "calendars", "gates",
)  # fmt: skip
"""Tables that this module reads."""

STORED = ", ".join(f"'{kind}'" for kind in KINDS)
"""The known values of the column `way`, as SQL."""


class Credentials:
    """The stored credentials of one gate. Any thread may call any method. Every method may raise `BusyError` and
    `StateError`.
    """

    def __init__(self, people: People, vault: Vault) -> None:
        self._people, self.vault = people, vault
        self.why = people.best.why
        """Why the store is a read-only copy; empty for the real store."""
        self._connection = people.connection
        self._lock = threading.RLock()
        self._guard = database.Guard(self._connection, people.path, self._lock)
        self._uses = 0

    @classmethod
    def open(cls, state: Path, site: str, why: str = "") -> "Credentials":
        """Open the store; create it if missing. Open a read-only copy of the readable part if the disk accepts no
        writes or `why` names a damage. Raises `StateError` if a database or the site key cannot be used.
        """
        stores = open_stores(state, site, why)
        stores.templates.connection.close()
        store = cls(stores.people, stores.vault)
        if not stores.why:
            store.convert_old_pins()
        return store

    def close(self) -> None:
        """Close the file. Callers may call it twice."""
        with self._lock:
            self._connection.close()

    def version(self) -> tuple[int, int]:
        """Return a value that differs after any change by any process. Uses that this store counts do not change it.
        Cheap.
        """
        with self.reading() as connection:
            return sql.version(connection), connection.total_changes - self._uses

    def all(self) -> list[Credential]:
        """Return all cards and PINs."""
        with self.reading() as connection:
            known = f"way IN ({STORED}) AND {sound(connection, 'credentials')}"
            query = f"SELECT * FROM credentials WHERE {known} ORDER BY rowid"  # noqa: S608
            rows = sql.rows(connection, query)
        return [read_credential(row) for row in rows]

    def left_out(self, read: Mapping[str, int] = {}) -> str:
        """Return text that names the rows too damaged to read; empty without such rows. `read`: as in
        `valid_rows.left_out`.
        """
        with self.reading() as connection:
            return in_words(NAME, left_out(connection, READ, read))

    def of(self, subject: SubjectId) -> list[Credential]:
        """Return the cards and PINs of a person."""
        return [credential for credential in self.all() if credential.subject == subject]

    def holders(self) -> dict[SubjectId, Holder]:
        """Return all people with the access rules and preferences that apply to them."""
        with self.reading() as connection:
            return stored_rules.read_holders(connection)

    def people(self) -> list[Person]:
        """Return all people, by household and name."""
        with self.reading():
            return self._people.all()

    def weak(self) -> set[SubjectId]:
        """Return the people who typed their weak PIN and have received no new PIN since then."""
        with self.reading() as connection:
            query = f"SELECT subject FROM weak_pins WHERE {sound(connection, 'weak_pins')}"  # noqa: S608
            return {SubjectId(row[0]) for row in connection.execute(query)}

    def record_weak_pin(self, subject: SubjectId, at: datetime) -> None:
        """Record that a person has a weak PIN. `at`: now, aware. This changes no access and does
        not change `version`.
        """
        with self._using() as connection:
            known = "INSERT OR IGNORE INTO weak_pins SELECT subject, ? FROM people WHERE subject = ?"
            connection.execute(known, (at.isoformat(), subject))

    def gates(self) -> list[str]:
        """Return the other gates of the site, as the office sent them."""
        with self.reading() as connection:
            query = f"SELECT gate FROM gates WHERE {sound(connection, 'gates')} ORDER BY gate"  # noqa: S608
            return [str(row[0]) for row in connection.execute(query)]

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules that the office sent, by normal name. A damaged schedule gives no hours."""
        with self.reading() as connection:
            return stored_rules.read_schedules(connection)

    def schedule_names(self) -> set[str]:
        """Return the names of the schedules that access rules use, in normal form."""
        with self.reading() as connection:
            named = f"schedule IS NOT NULL AND {sound(connection, 'rights')}"
            rows = connection.execute(f"SELECT DISTINCT schedule FROM rights WHERE {named}").fetchall()  # noqa: S608
        return {names.plain(row[0]) for row in rows}

    def days(self) -> CalendarDays:
        """Return the holidays and make-up working days that the office sent."""
        with self.reading() as connection:
            return stored_rules.read_days(connection)

    def role_of(self, subject: SubjectId) -> str:
        """Return a person's role. Raises `SubjectNotFoundError`."""
        return self._named(subject, "role")

    def set_role(self, subject: SubjectId, name: str) -> str:
        """Set a person's role, and return its plain name. Raises `CredentialError` and `SubjectNotFoundError`."""
        role = plain_role(name)
        with self.changing():
            self._people.set_role(subject, role)
        return role

    def access_rules_of(self, subject: SubjectId, owner: RuleOwner = "subject") -> list[AccessRule]:
        """Return the access rules of a person, or of the person's household or role. Raises `SubjectNotFoundError`."""
        value = names.plain(self._named(subject, owner))
        with self.reading() as connection:
            rows = connection.execute(f"SELECT * FROM rights WHERE {owner} IS NOT NULL ORDER BY rowid")  # noqa: S608
            return [read_access_rule(row) for row in rows if names.plain(row[owner]) == value]

    def set_access_rules(self, subject: SubjectId, rules: Sequence[AccessRule], owner: RuleOwner = "subject") -> None:
        """Replace the access rules of a person, or of the person's household or role.

        Raises `SubjectNotFoundError`.
        """
        value = names.plain(self._named(subject, owner))
        with self.changing() as connection:
            used = [row[0] for row in connection.execute(f"SELECT {owner} FROM rights WHERE {owner} IS NOT NULL")]  # noqa: S608
            for spelling in names.spellings(value, used):
                put_access_rules(connection, owner, spelling, rules if spelling == value else ())

    def set_preferences(self, subject: SubjectId, preferences: Preferences) -> None:
        """Store a person's preferences. Raises `SubjectNotFoundError`."""
        with self.changing() as connection:
            self._people.get(subject)
            put_preferences(connection, subject, preferences)

    def set_mark(self, subject: SubjectId, mark: FaceMark | None) -> None:
        """Store or remove a person's mark. Raises `SubjectNotFoundError`."""
        with self.changing() as connection:
            self._people.get(subject)
            put_mark(connection, subject, mark)

    def add(self, new: Credential) -> None:
        """Store a checked card or PIN. Use `issuing` to issue credentials; it does the checks. The caller is
        `changing`.
        """
        if new.subject is not None:
            self._people.get(new.subject)
        damaged = f"way = 'card' AND digest = ? AND NOT ({sound(self._connection, 'credentials')})"
        self._connection.execute(f"DELETE FROM credentials WHERE {damaged}", (new.digest,))  # noqa: S608
        put_credential(self._connection, new)

    def set_pins(self, subject: SubjectId, pins: Iterable[Credential]) -> None:
        """Replace all PINs of a person with these. The caller is `changing`, and calls `tidy` afterwards."""
        self._people.get(subject)
        put_pins(self._connection, subject, pins)
        erasure.record_erasure(self._connection)

    def convert_old_pins(self) -> None:
        """Convert PIN rows from before verifiers, so that they do not show which PIN is the duress PIN.

        Nothing happens before the time for this has come (`CONVERT_AFTER`).
        """
        due = "SELECT 1 FROM veil WHERE datetime('now') NOT BETWEEN since AND datetime(since, ?)"
        with self.reading() as connection:
            is_due = connection.execute(due, (CONVERT_AFTER,)).fetchone() is not None
            old = "SELECT * FROM credentials WHERE way = 'pin' AND length(digest) = 2"
            if not is_due or connection.execute(old).fetchone() is None:
                return
        with self.changing() as connection:
            rows = [read_credential(row) for row in connection.execute(old).fetchall()]
            for subject in {row.subject for row in rows if row.subject is not None}:
                stored = connection.execute("SELECT * FROM credentials WHERE way = 'pin' AND subject = ?", (subject,))
                pins = [pin_verifiers.as_verifier(self.vault, read_credential(row)) for row in stored.fetchall()]
                put_pins(connection, subject, pins)
            erasure.record_erasure(connection)
        self.tidy()

    def delete(self, credential_id: str) -> None:
        """Delete a card or a PIN. The caller is `changing`, and calls `tidy` afterwards."""
        self._connection.execute("DELETE FROM credentials WHERE id = ?", (credential_id,))
        erasure.record_erasure(self._connection)

    def tidy(self) -> None:
        """Wipe the traces of deleted rows. The next start finishes a wipe that another process blocks now."""
        with self.reading() as connection:
            erasure.finish_erasures(connection)

    def use(self, credential_id: str, at: datetime | None) -> bool:
        """Record a use of a credential on disk. Return False if the credential is gone or has no uses left.

        `credential_id`: the id of a card, or the id of the person whose PIN was used. For a person, update both PINs.
        `at`: the time of the use, aware.
        """
        spend = (
            "UPDATE credentials SET uses_left = uses_left - 1, last_used_at = coalesce(:at, last_used_at),"
            " first_used_at = coalesce(first_used_at, :at)"
            " WHERE (id = :which OR (subject = :which AND way = 'pin')) AND (uses_left IS NULL OR uses_left > 0)"
        )
        with self._using() as connection:
            return connection.execute(spend, {"at": text_of(at), "which": credential_id}).rowcount >= 1

    def give_back(self, credential_id: str) -> None:
        """Add one use back after a counted use failed because the door did not answer."""
        with self._using() as connection:
            connection.execute("UPDATE credentials SET uses_left = uses_left + 1 WHERE id = ?", (credential_id,))

    def _named(self, subject: SubjectId, owner: RuleOwner) -> str:
        """Return a person's id, household or role."""
        with self.reading():
            return str(getattr(self._people.get(subject), owner))

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction on `people.db` that locks out other writers."""
        with self.reading() as connection, sql.transaction(connection):
            yield connection

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction as in `changing`, without a change of `version`."""
        with self.changing() as connection:
            before = connection.total_changes
            yield connection
            self._uses += connection.total_changes - before

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give this thread sole use of the connection. SQLite's errors become this gate's errors."""
        return self._guard
