"""The people database `people.db`: enrolled people, their households and their consents. It never
contains a template.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from gated import names
from gated.errors import SubjectNotFoundError
from gated.people import acceptances, damaged_rows
from gated.people.access_rule import RESIDENT, put_access_rules
from gated.people.lost_rows import deny_for_lost_rows
from gated.people.schema import MIGRATIONS
from gated.people.stored_time import LONG_PAST, time_or_none
from gated.storage import database, erasure, sql
from gated.storage.rescue import open_best
from gated.storage.valid_rows import in_words, left_out, sound
from gated.types import SubjectId

Status = Literal["active", "suspended"]

RECOGNISE = "recognise"
"""Purpose of a template. Any other purpose needs a separate consent (PIPL art. 29)."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One consent of a person: its purpose, the paper's reference, the version of the notice, and the time."""

    purpose: str
    reference: str = field(repr=False)
    notice_version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """One enrolled person. Name and household are not in `repr`, so they are in no log."""

    subject: SubjectId
    name: str = field(repr=False)
    household: str = field(repr=False)
    status: Status
    enrolled_at: datetime
    consents: tuple[Consent, ...]
    role: str = field(default=RESIDENT, repr=False)


@dataclass(frozen=True, slots=True)
class SearchablePerson:
    """One person with consent to recognition, as the search needs the person."""

    household: str = field(repr=False)
    status: Status
    consent: str = field(repr=False)
    face: str = ""
    """Name of the person's valid face."""


NAME = "people.db"


class People:
    """The database people.db of one gate, or a read-only copy of it."""

    def __init__(self, state: Path, why: str = "") -> None:
        """Open the database. `why`: the damage of the file. With it, only a copy is opened."""
        self.path = state / NAME
        self.best = open_best(self.path, MIGRATIONS, deny_for_lost_rows, why=why)
        self.connection = self.best.connection
        self.guard = database.Guard(self.connection, self.path)

    def all(self) -> list[Person]:
        """Return all people, by household and name."""
        return self._persons("ORDER BY household, name, subject")

    def get(self, subject: SubjectId) -> Person:
        """Return one person. Raises `SubjectNotFoundError`."""
        for person in self._persons("WHERE subject = ?", subject) if self.has(subject) else ():
            return person
        raise _unknown(subject)

    def has(self, subject: SubjectId) -> bool:
        """Return whether a row with this id exists, damaged or not."""
        return self.connection.execute("SELECT 1 FROM people WHERE subject = ?", (subject,)).fetchone() is not None

    def subjects(self) -> set[SubjectId]:
        """Return the ids of all people."""
        return {SubjectId(row[0]) for row in self._rows("subject")}

    def consented(self) -> dict[SubjectId, SearchablePerson]:
        """Return the people with consent to recognition. Any status other than "active" counts as suspended."""
        rows = sql.rows(
            self.connection,
            "SELECT people.subject, household, status, reference, face FROM people JOIN consents USING (subject)"  # noqa: S608
            f" WHERE purpose = ? AND {sound(self.connection, 'people')} AND {sound(self.connection, 'consents')}",
            (RECOGNISE,),
        )
        return {
            SubjectId(row["subject"]): SearchablePerson(
                names.plain(row["household"]), _status(row["status"]), row["reference"], row["face"]
            )
            for row in rows
        }

    def fingerprint(self) -> int:
        """Return a hash of all rows of people and consents. It does not check the rows, so it is cheap."""
        tables = [sql.rows(self.connection, f"SELECT * FROM {each}") for each in ("people", "consents")]  # noqa: S608
        return hash(tuple(tuple(map(tuple, table)) for table in tables))

    def faces(self, among: Collection[SubjectId] | None = None) -> set[tuple[SubjectId, str]]:
        """Return (id, face name) for all valid and all waiting faces. `among`: limit the result to these people."""
        is_one, ids = sql.is_one_of("people.subject", among)
        waiting = (
            f"SELECT subject, face FROM people WHERE {is_one} UNION ALL SELECT subject, pending FROM records"  # noqa: S608
            f" CROSS JOIN people ON records.key = 'person/' || subject WHERE pending IS NOT NULL AND {is_one}"
        )  # CROSS reads the records first, because very few have a waiting face
        return {(SubjectId(subject), face) for subject, face in self.connection.execute(waiting, (*ids, *ids))}

    def deleted_subjects(self) -> set[SubjectId]:
        """Return the ids of all people whom the office has deleted."""
        of = f"is_gone AND key LIKE 'person/%' AND {sound(self.connection, 'records')}"
        rows = self.connection.execute(f"SELECT substr(key, 8) FROM records WHERE {of}")  # noqa: S608
        return {SubjectId(row[0]) for row in rows.fetchall()}

    def has_credentials(self) -> bool:
        """Return whether any card or PIN is stored. Only the site key that made their digests can recognise them."""
        return bool(self.connection.execute("SELECT EXISTS (SELECT 1 FROM credentials)").fetchone()[0])

    def add(self, person: Person) -> None:
        """Insert a person with all consents. The caller holds the transaction."""
        self.connection.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at, role) VALUES (?, ?, ?, ?, ?, ?)",
            (
                person.subject,
                person.name,
                names.tidy(person.household),
                person.status,
                person.enrolled_at.isoformat(),
                person.role,
            ),
        )
        self.connection.executemany(
            "INSERT INTO consents (subject, purpose, reference, notice_version, at) VALUES (?, ?, ?, ?, ?)",
            [(person.subject, c.purpose, c.reference, c.notice_version, c.at.isoformat()) for c in person.consents],
        )
        for consent in person.consents:
            acceptances.agree(self.connection, person.subject, consent.purpose, consent.reference)

    def give(self, subject: SubjectId, consents: Collection[Consent]) -> None:
        """Store further consents that the person gave here. Known consents stay unchanged. The caller holds the
        transaction.
        """
        for consent in consents:
            self.connection.execute(
                "INSERT OR IGNORE INTO consents (subject, purpose, reference, notice_version, at)"
                " VALUES (?, ?, ?, ?, ?)",
                (subject, consent.purpose, consent.reference, consent.notice_version, consent.at.isoformat()),
            )
            acceptances.give(self.connection, subject, consent.purpose)

    def set_face(self, subject: SubjectId, face: str) -> None:
        """Make another face of the person valid. The caller holds the transaction, and calls `tidy` afterwards."""
        self.connection.execute("UPDATE people SET face = ? WHERE subject = ?", (face, subject))

    def drop_pending(self, subject: SubjectId) -> None:
        """Discard a waiting face of the person. The caller holds the transaction."""
        self.connection.execute(
            "UPDATE records SET pending = NULL, pending_face = NULL, quarantine = NULL"
            " WHERE key = 'person/' || ? AND pending IS NOT NULL",
            (subject,),
        )

    def set_status(self, subject: SubjectId, status: Status) -> None:
        """Set the status of a person. The caller holds the transaction. Raises `SubjectNotFoundError`."""
        self.get(subject)
        self.connection.execute("UPDATE people SET status = ? WHERE subject = ?", (status, subject))

    def set_role(self, subject: SubjectId, role: str) -> None:
        """Set the role of a person. The caller holds the transaction. Raises `SubjectNotFoundError`."""
        self.get(subject)
        self.connection.execute("UPDATE people SET role = ? WHERE subject = ?", (role, subject))

    def delete(self, subject: SubjectId) -> None:
        """Delete a person with all their data. The caller holds the transaction. Raises `SubjectNotFoundError`.

        Access rules of a role stay. The office's access rules for a household stay, too: otherwise the next residents
        could use every door at all hours.
        """
        if not self.has(subject):
            raise _unknown(subject)
        put_access_rules(self.connection, "subject", subject, ())
        self.connection.execute("DELETE FROM people WHERE subject = ?", (subject,))
        damaged_rows.forget(self.connection, subject)
        self._forget_households()
        erasure.record_erasure(self.connection)

    def _forget_households(self) -> None:
        """Delete the access rules of households without residents. Do nothing while `people` has damaged rows, because
        their households are unknown.
        """
        if left_out(self.connection, ("people",)):
            return
        lived_in = {names.plain(row[0]) for row in self._rows("household")}
        kept = "SELECT substr(key, 11) FROM records WHERE NOT is_gone AND key LIKE 'household/%'"
        with_rules = {
            row[0] for row in self.connection.execute("SELECT value FROM rights_said WHERE whose = 'household'")
        }
        for household in with_rules - {row[0] for row in self.connection.execute(kept)}:
            if isinstance(household, str) and names.plain(household) not in lived_in:
                put_access_rules(self.connection, "household", household, ())

    def left_out(self) -> str:
        """Return text that names the damaged rows of people and consents; empty without such rows."""
        return in_words(NAME, left_out(self.connection, ("people", "consents")))

    def _rows(self, columns: str) -> list[sqlite3.Row]:
        """Return these columns of all undamaged rows."""
        return sql.rows(self.connection, f"SELECT {columns} FROM people WHERE {sound(self.connection, 'people')}")  # noqa: S608

    def _persons(self, clause: str, *values: str) -> list[Person]:
        consents: dict[str, list[Consent]] = {}
        whole = sound(self.connection, "consents")
        among = f"(SELECT subject FROM people {clause})"  # noqa: S608 - a part of ours
        query = f"SELECT * FROM consents WHERE {whole} AND subject IN {among} ORDER BY purpose"  # noqa: S608
        for row in self.connection.execute(query, values).fetchall():
            consents.setdefault(row["subject"], []).append(
                Consent(row["purpose"], row["reference"], row["notice_version"], _at(row["at"]))
            )
        people = f"(SELECT * FROM people WHERE {sound(self.connection, 'people')})"  # noqa: S608
        rows = self.connection.execute(f"SELECT * FROM {people} {clause}", values).fetchall()  # noqa: S608 - a part of ours
        return [_person(row, tuple(consents.get(row["subject"], ()))) for row in rows]


def _unknown(subject: SubjectId) -> SubjectNotFoundError:
    return SubjectNotFoundError(f"nobody with the id {subject!r} is enrolled here; `gated people list` shows the ids")


def _person(row: sqlite3.Row, consents: tuple[Consent, ...]) -> Person:
    return Person(
        SubjectId(row["subject"]),
        row["name"],
        names.tidy(row["household"]),
        _status(row["status"]),
        _at(row["enrolled_at"]),
        consents,
        names.plain(row["role"]),
    )


def _at(stored: str) -> datetime:
    """Return a stored time; `LONG_PAST` for a time that a damaged memory card has made invalid."""
    return time_or_none(stored, LONG_PAST) or LONG_PAST


def _status(text: str) -> Status:
    return "active" if text == "active" else "suspended"
