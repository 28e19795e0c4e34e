"""Who is enrolled, where they live and what they agreed to. No template ever lies here."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from gated import database
from gated.errors import BusyError, StateError, SubjectNotFoundError
from gated.gallery import entitlement, erasure, holding
from gated.types import SubjectId

Status = Literal["active", "suspended"]

RECOGNISE = "recognise"
"""The purpose that a template is made for; others need a consent of their own (PIPL art. 29)."""

MIGRATIONS = (
    f"""
    CREATE TABLE people (
        subject TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        household TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
        enrolled_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE consents (
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        purpose TEXT NOT NULL,
        reference TEXT NOT NULL,
        notice_version TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (subject, purpose)
    ) STRICT;
    {erasure.SCHEMA}
    """,
    entitlement.SCHEMA,
    holding.SCHEMA,
)


@dataclass(frozen=True, slots=True)
class Consent:
    """What somebody agreed to, on which paper, after which notice."""

    purpose: str
    reference: str = field(repr=False)
    notice_version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled. Name and household stay out of its `repr`, and so out of every log."""

    subject: SubjectId
    name: str = field(repr=False)
    household: str = field(repr=False)
    status: Status
    enrolled_at: datetime
    consents: tuple[Consent, ...]
    role: str = field(default=entitlement.RESIDENT, repr=False)


@dataclass(frozen=True, slots=True)
class Consented:
    """What the search must know of somebody whose face may be recognised."""

    household: str = field(repr=False)
    status: Status
    consent: str = field(repr=False)
    face: str = ""
    """Which of their faces counts."""


class People:
    """people.db."""

    def __init__(self, state: Path) -> None:
        self.connection = database.connect(state / "people.db", MIGRATIONS)

    def all(self) -> list[Person]:
        """Everybody, by household and name."""
        return self._persons("ORDER BY household, name, subject")

    def get(self, subject: SubjectId) -> Person:
        """One of them. Raises `SubjectNotFoundError`."""
        for person in self._persons("WHERE subject = ?", subject):
            return person
        raise SubjectNotFoundError(
            f"nobody with the id {subject!r} is enrolled here; `gated people list` shows the ids"
        )

    def subjects(self) -> set[SubjectId]:
        """Everybody's id."""
        return {SubjectId(row[0]) for row in self.connection.execute("SELECT subject FROM people").fetchall()}

    def consented(self) -> dict[SubjectId, Consented]:
        """Those who agreed to be recognised. What is not plainly active counts as suspended."""
        rows = self.connection.execute(
            "SELECT subject, household, status, reference, face FROM people JOIN consents USING (subject)"
            " WHERE purpose = ?",
            (RECOGNISE,),
        ).fetchall()
        return {
            SubjectId(row["subject"]): Consented(
                row["household"], _status(row["status"]), row["reference"], row["face"]
            )
            for row in rows
        }

    def faces(self) -> set[tuple[SubjectId, str]]:
        """Everybody's id with the name of the face that counts."""
        return {(SubjectId(s), face) for s, face in self.connection.execute("SELECT subject, face FROM people")}

    def has_credentials(self) -> bool:
        """Whether anybody has a card or a PIN, which only the site key that they were made with can tell."""
        return bool(self.connection.execute("SELECT EXISTS (SELECT 1 FROM credentials)").fetchone()[0])

    def add(self, person: Person) -> None:
        """Insert a person with all consents; the caller holds the transaction."""
        self.connection.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at, role) VALUES (?, ?, ?, ?, ?, ?)",
            (person.subject, person.name, person.household, person.status, person.enrolled_at.isoformat(), person.role),
        )
        self.connection.executemany(
            "INSERT INTO consents (subject, purpose, reference, notice_version, at) VALUES (?, ?, ?, ?, ?)",
            [(person.subject, c.purpose, c.reference, c.notice_version, c.at.isoformat()) for c in person.consents],
        )

    def set_face(self, subject: SubjectId, face: str) -> None:
        """Another of somebody's faces counts from now on; the caller holds the transaction, and is `tidy` after it."""
        self.connection.execute("UPDATE people SET face = ? WHERE subject = ?", (face, subject))

    def set_status(self, subject: SubjectId, status: Status) -> None:
        """Suspend or resume; the caller holds the transaction. Raises `SubjectNotFoundError`."""
        self.get(subject)
        self.connection.execute("UPDATE people SET status = ? WHERE subject = ?", (status, subject))

    def set_role(self, subject: SubjectId, role: str) -> None:
        """Give somebody another role; the caller holds the transaction. Raises `SubjectNotFoundError`."""
        self.get(subject)
        self.connection.execute("UPDATE people SET role = ? WHERE subject = ?", (role, subject))

    def delete(self, subject: SubjectId) -> None:
        """Delete a person with all that is theirs; the caller holds the transaction. Raises `SubjectNotFoundError`.

        What was said of a role stays, and what the office says of a household: else the next one who gets it would pass
        by every door at all hours.
        """
        self.get(subject)
        self.connection.execute("DELETE FROM people WHERE subject = ?", (subject,))
        self.connection.execute(
            "DELETE FROM rights WHERE household NOT IN (SELECT household FROM people)"
            " AND 'household/' || household NOT IN (SELECT key FROM records WHERE NOT is_gone)"
        )
        erasure.owe(self.connection)

    def _persons(self, which: str, *values: str) -> list[Person]:
        consents: dict[str, list[Consent]] = {}
        theirs = f"SELECT * FROM consents WHERE subject IN (SELECT subject FROM people {which}) ORDER BY purpose"  # noqa: S608
        for row in self.connection.execute(theirs, values).fetchall():
            consents.setdefault(row["subject"], []).append(
                Consent(row["purpose"], row["reference"], row["notice_version"], datetime.fromisoformat(row["at"]))
            )
        rows = self.connection.execute(f"SELECT * FROM people {which}", values).fetchall()  # noqa: S608 - a part of ours
        return [_person(row, tuple(consents.get(row["subject"], ()))) for row in rows]


@contextmanager
def plainly() -> Iterator[None]:
    """SQLite's errors in this gate's words. Raises `BusyError` and `StateError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise BusyError("the gallery is being changed by another process; try again in a moment") from error
        raise StateError(f"the gallery cannot be read or written ({error}); is the disk full or failing?") from error
    except sqlite3.Error as error:
        raise StateError(f"the gallery cannot be read or written ({error}); is the disk failing?") from error


def _person(row: sqlite3.Row, consents: tuple[Consent, ...]) -> Person:
    return Person(
        SubjectId(row["subject"]),
        row["name"],
        row["household"],
        _status(row["status"]),
        datetime.fromisoformat(row["enrolled_at"]),
        consents,
        row["role"],
    )


def _status(text: str) -> Status:
    return "active" if text == "active" else "suspended"
