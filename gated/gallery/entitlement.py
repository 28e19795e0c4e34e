"""What lets people in beside their faces, when it does, and how they like the gate to behave: values and their rows.

A time window is `valid_from <= at < valid_until`, either end open where it is None; all times are aware.
"""

import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from gated.config import Schedule
from gated.errors import CredentialError
from gated.types import SubjectId

Way = Literal["card", "pin"]
First = Literal["speech", "light", "touch"]
Whose = Literal["subject", "household", "role"]
"""Rights are said of one, of all who live together, or of all of one role; each counts where nothing nearer is said."""

RESIDENT = "resident"
"""The role of everybody who was given no other."""
ROLE = re.compile(r"[\w-]{1,20}")

SCHEMA = """
    ALTER TABLE people ADD COLUMN role TEXT NOT NULL DEFAULT 'resident' CHECK (length(role) BETWEEN 1 AND 20);
    CREATE TABLE credentials (
        id TEXT PRIMARY KEY,
        subject TEXT REFERENCES people (subject) ON DELETE CASCADE,
        way TEXT NOT NULL CHECK (way = 'card' OR (way = 'pin' AND subject IS NOT NULL)),
        digest BLOB NOT NULL,
        pin_hash TEXT CHECK ((way = 'pin') = (pin_hash IS NOT NULL)),
        label TEXT NOT NULL,
        valid_from TEXT,
        valid_until TEXT,
        uses_left INTEGER CHECK (uses_left >= 0),
        first_used_at TEXT,
        last_used_at TEXT,
        is_duress INTEGER NOT NULL CHECK (is_duress IN (0, 1))
    ) STRICT;
    CREATE INDEX credentials_subject ON credentials (subject);
    CREATE UNIQUE INDEX credentials_card ON credentials (digest) WHERE way = 'card';
    CREATE UNIQUE INDEX credentials_pin ON credentials (subject, is_duress) WHERE way = 'pin';
    CREATE TABLE rights (
        subject TEXT REFERENCES people (subject) ON DELETE CASCADE,
        household TEXT,
        role TEXT,
        door TEXT,
        schedule TEXT,
        valid_from TEXT,
        valid_until TEXT,
        CHECK ((subject IS NOT NULL) + (household IS NOT NULL) + (role IS NOT NULL) = 1)
    ) STRICT;
    CREATE TABLE preferences (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        release_s REAL CHECK (release_s BETWEEN 5 AND 30),
        search_s REAL CHECK (search_s BETWEEN 1 AND 30),
        first TEXT CHECK (first IN ('speech', 'light', 'touch'))
    ) STRICT;
"""
"""`digest`: of a card the whole keyed digest of its number, of a PIN 12 bits of one (see `pins`). No number is kept."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A card or a PIN. `subject` is None for a guest's card; `uses_left` is None where uses are not counted."""

    id: str
    way: Way
    subject: SubjectId | None
    digest: bytes = field(repr=False)
    pin_hash: str | None = field(default=None, repr=False)
    label: str = field(default="", repr=False)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    uses_left: int | None = None
    first_used_at: datetime | None = None
    last_used_at: datetime | None = None
    is_duress: bool = False


@dataclass(frozen=True, slots=True)
class Right:
    """By which door and in which schedule's hours somebody may pass; None: by every door, at all hours."""

    door: str | None = None
    schedule: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody asked for; None: as for everybody. Never why."""

    release_s: float | None = None
    """5 to 30: how long the lock stays released for them."""
    search_s: float | None = None
    """1 to 30: how long their face is looked for before other ways in are named."""
    first: First | None = None
    """The cue that they want before the others; they get the others as well."""


AS_EVERYBODY = Preferences()
"""What somebody gets who asked for nothing."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What the gate must know of somebody who has a credential or a face.

    `rights`: their own, else their household's, else their role's; without any they pass by every door at all hours.
    """

    is_suspended: bool = False
    rights: tuple[Right, ...] = ()
    preferences: Preferences = AS_EVERYBODY


def new_id() -> str:
    """An id for a credential: 16 random hex digits."""
    return secrets.token_hex(8)


def plain_role(name: str) -> str:
    """A role's name, the same however it is typed: what somebody does here, never how they are.

    The name stays out of the error. Raises `CredentialError`.
    """
    plain = unicodedata.normalize("NFKC", name).strip().lower()
    if not ROLE.fullmatch(plain):
        raise CredentialError("a role has a name of 1 to 20 letters, digits, _ or -, as in staff; write one word")
    return plain


def credential(row: sqlite3.Row) -> Credential:
    """A row of `credentials`."""
    return Credential(
        id=row["id"],
        way=row["way"],
        subject=row["subject"],
        digest=row["digest"],
        pin_hash=row["pin_hash"],
        label=row["label"],
        valid_from=time(row["valid_from"]),
        valid_until=time(row["valid_until"]),
        uses_left=row["uses_left"],
        first_used_at=time(row["first_used_at"]),
        last_used_at=time(row["last_used_at"]),
        is_duress=bool(row["is_duress"]),
    )


def right(row: sqlite3.Row) -> Right:
    """A row of `rights`."""
    return Right(row["door"], row["schedule"], time(row["valid_from"]), time(row["valid_until"]))


def hours(days: Iterable[str], start: str, end: str) -> Schedule:
    """Hours of the week as the office says them; what makes no sense never holds."""
    try:
        return msgspec.convert({"days": tuple(days), "start": start, "end": end}, Schedule)
    except msgspec.ValidationError:
        return Schedule(days=())


def put_rights(connection: sqlite3.Connection, whose: Whose, value: str, rights: Sequence[Right]) -> None:
    """Say anew when one, a household or a role may pass; the caller holds the transaction."""
    rows = [(value, r.door, r.schedule, *map(text, (r.valid_from, r.valid_until))) for r in rights]
    insert = f"INSERT INTO rights ({whose}, door, schedule, valid_from, valid_until) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    connection.execute(f"DELETE FROM rights WHERE {whose} = ?", (value,))  # noqa: S608 - one of three columns
    connection.executemany(insert, rows)


def put_preferences(connection: sqlite3.Connection, subject: SubjectId, preferences: Preferences) -> None:
    """Do as somebody asked, from now on; the caller holds the transaction."""
    connection.execute("DELETE FROM preferences WHERE subject = ?", (subject,))
    if preferences != AS_EVERYBODY:
        connection.execute("INSERT INTO preferences VALUES (?, ?, ?, ?)", (subject, *astuple(preferences)))


def put_credential(connection: sqlite3.Connection, new: Credential) -> None:
    """Store a card or a PIN that was checked; the caller holds the transaction."""
    window = map(text, (new.valid_from, new.valid_until))
    connection.execute(
        "INSERT INTO credentials (id, way, subject, digest, pin_hash, label, uses_left, is_duress, valid_from,"
        " valid_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (new.id, new.way, new.subject, new.digest, new.pin_hash, new.label, new.uses_left, new.is_duress, *window),
    )


def time(text: str | None) -> datetime | None:
    """A time as it is stored."""
    return None if text is None else datetime.fromisoformat(text)


def text(at: datetime | None) -> str | None:
    """A time as it will be stored."""
    return None if at is None else at.isoformat()
