"""Credentials, access rules and preferences: their values and their database rows.

A time window is `valid_from <= at < valid_until`. None leaves that end open. All times are aware.
"""

import re
import secrets
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Literal, get_args

import msgspec

from gated import names
from gated.config import Schedule
from gated.errors import CredentialError
from gated.storage.database import BACK
from gated.storage.valid_rows import copy_of
from gated.storage.vault import READING_BYTES
from gated.types import SubjectId

Way = Literal["card", "pin"]
First = Literal["speech", "light", "touch"]
READING = struct.Struct(f"{READING_BYTES}s")
Whose = Literal["subject", "household", "role"]
"""Owner of an access rule: one person, one household, or one role. A rule of a more specific owner
replaces the others.
"""

RESIDENT = "resident"
"""Role of everybody without another role."""
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
"""`digest`: for a card, the whole keyed digest of its number; for a PIN, its verifier (see `verifiers`). `pin_hash`:
the argon2 parameters of a PIN. No number is stored.
"""

READINGS = """
    ALTER TABLE credentials ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    ALTER TABLE claims ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    -- back
    ALTER TABLE claims DROP COLUMN readings;
    ALTER TABLE credentials DROP COLUMN readings;
"""
"""`readings`: for a card, the first `READING_BYTES` of the keyed digest of each of its readings (see `cards`), joined.
Empty for a card from before readings existed.
"""

VEIL = f"""
    DROP INDEX credentials_pin;
    CREATE TABLE veil (one INTEGER PRIMARY KEY CHECK (one = 1), since TEXT NOT NULL) STRICT;
    INSERT INTO veil VALUES (1, datetime('now'));
    {BACK}
    DELETE FROM credentials WHERE way = 'pin' AND length(digest) <> 2;
    CREATE UNIQUE INDEX credentials_pin ON credentials (subject, is_duress) WHERE way = 'pin';
    DROP TABLE veil
"""  # noqa: S608 - a constant
"""After this migration, no row shows which of two PINs is the duress PIN (see `verifiers`).

`is_duress` is 0 in every row except old rows. Old rows are converted one day after `since`, when the trial of the new
version is over. An older gated finds its own PINs but no newer ones.
"""
WEAK = f"""
    CREATE TABLE weak_pins (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        at TEXT NOT NULL
    ) STRICT;
    {BACK}
    DROP TABLE weak_pins
"""
"""People who entered a weak PIN of their own, until they receive a new PIN. The table does not say which PIN."""
VEIL_AFTER = "+1 day"


@dataclass(frozen=True, slots=True)
class Credential:
    """One card or PIN. `subject` is None for a guest's card. `uses_left` is None if uses are not counted."""

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
    """Known for a PIN that was just entered, and for rows from before verifiers. Other rows do not show it."""
    readings: frozenset[bytes] = field(default=frozenset(), repr=False, compare=False)
    """Digests of all readings of a card; empty for a card from before readings existed."""


@dataclass(frozen=True, slots=True)
class Right:
    """One access rule: the door and the schedule that allow a person to pass. None: every door, or all hours.

    `door`: "main" or "second"; for one gate only, "GATE/main", or "GATE/*" for all doors of the gate. An older gated
    knows no gates in access rules. It finds no door with such a name and denies access.
    """

    door: str | None = None
    schedule: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


UNKNOWN = "?"
"""Placeholder for schedules or days that a damaged database has lost. Nobody can enter this name."""


@dataclass(frozen=True, slots=True)
class Days:
    """Calendar days that the office sent, as YYYY-MM-DD."""

    holidays: frozenset[str] = frozenset()
    workdays: frozenset[str] = frozenset()
    """Make-up working days."""
    doubtful: frozenset[str] = frozenset()
    """Days in damaged rows: nobody knows whether they are holidays or working days."""
    is_doubtful: bool = False
    """Whether every day is doubtful."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences of one person for the gate's behaviour. None: the default for everybody. The
    reason is never stored.
    """

    release_s: float | None = None
    """Seconds that the lock stays released for this person, 5 to 30."""
    search_s: float | None = None
    """Seconds that the gate searches for the face before it names other credentials, 1 to 30."""
    first: First | None = None
    """Cue that the person wants before the others. The person also gets the other cues."""


NEVER_YET, LONG_PAST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
AS_EVERYBODY = Preferences()
"""Preferences of a person who has set none."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One person with a credential or a face, as access decisions need the person.

    `rights`: the person's own access rules, else the household's, else the role's. A person without any rule may pass
    by every door at all hours.
    """

    is_suspended: bool = False
    rights: tuple[Right, ...] = ()
    also: tuple[tuple[Right, ...], ...] = ()
    """Access rules under other spellings of the same household or role. Each of these sets must
    also allow the access.
    """
    preferences: Preferences = AS_EVERYBODY
    home: str = field(default="", repr=False, compare=False)
    """The person's household, in normal form."""


def new_id() -> str:
    """Return a new id for a credential: 16 random hex digits."""
    return secrets.token_hex(8)


def plain_role(name: str) -> str:
    """Return the normal form of a role's name. A role describes a person's work here, never the person's condition.

    Raises `CredentialError`, without the name in its message.
    """
    plain = names.plain(name)
    if not ROLE.fullmatch(plain):
        raise CredentialError("a role has a name of 1 to 20 letters, digits, _ or -, as in staff; write one word")
    return plain


def credential(row: sqlite3.Row) -> Credential:
    """Return the credential of a row of `credentials`."""
    return Credential(
        id=row["id"],
        way=row["way"],
        subject=row["subject"],
        digest=row["digest"],
        pin_hash=row["pin_hash"],
        label=row["label"],
        valid_from=bound(row["valid_from"], NEVER_YET),
        valid_until=bound(row["valid_until"], LONG_PAST),
        uses_left=row["uses_left"],
        first_used_at=bound(row["first_used_at"], LONG_PAST),
        last_used_at=bound(row["last_used_at"], LONG_PAST),
        is_duress=bool(row["is_duress"]),
        readings=unpacked(row["readings"]) if "readings" in row.keys() else frozenset(),  # noqa: SIM118 - of a row
    )


def packed(readings: Iterable[bytes]) -> bytes:
    """Return the readings of a card as one blob for storage."""
    return b"".join(sorted(readings))


def unpacked(stored: bytes) -> frozenset[bytes]:
    """Return the readings of a card from its stored blob."""
    return frozenset(chain.from_iterable(READING.iter_unpack(stored[: len(stored) // READING_BYTES * READING_BYTES])))


def wishes(row: sqlite3.Row) -> Preferences:
    """Return the preferences of a row; `AS_EVERYBODY` if a value is out of range."""
    asked = Preferences(row["release_s"], row["search_s"], row["first"])
    is_possible = (
        (asked.release_s is None or 5 <= asked.release_s <= 30)
        and (asked.search_s is None or 1 <= asked.search_s <= 30)
        and asked.first in (None, *get_args(First))
    )
    return asked if is_possible else AS_EVERYBODY


def right(row: sqlite3.Row) -> Right:
    """Return the access rule of a row of `rights`."""
    begins, ends = bound(row["valid_from"], NEVER_YET), bound(row["valid_until"], LONG_PAST)
    return Right(row["door"], row["schedule"], begins, ends)


def hours(days: Iterable[str], start: str, end: str) -> Schedule:
    """Return a weekly schedule from the office's values. Invalid values give a schedule without days."""
    try:
        return msgspec.convert({"days": tuple(days), "start": start, "end": end}, Schedule)
    except msgspec.ValidationError:
        return Schedule(days=())


def both(one: Schedule, other: Schedule) -> Schedule:
    """Return the hours that two schedules share; no hours if one schedule cannot express them."""
    days = tuple(day for day in one.days if day in other.days)
    for whole, part in ((one, other), (other, one)):
        if whole.start == whole.end:
            return Schedule(days, part.start, part.end)
    if (one.start < one.end) != (other.start < other.end):
        return Schedule(days=())  # one of them runs past midnight: the shared hours may be two intervals
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Schedule(days, start, end) if start < end or one.start > one.end else Schedule(days=())


def put_rights(connection: sqlite3.Connection, whose: Whose, value: str, rights: Sequence[Right]) -> None:
    """Replace the access rules of one person, household or role. The caller holds the transaction.

    `value` is stored unchanged, because it is the key of the office's record in its current spelling. Rules under any
    spelling apply to everybody with that name (see `Credentials.holders`).
    """
    rows = [(value, r.door, r.schedule and names.plain(r.schedule), text(r.valid_from), text(r.valid_until))
            for r in rights]  # fmt: skip
    insert = f"INSERT INTO rights ({whose}, door, schedule, valid_from, valid_until) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    said = copy_of(*(value if each == whose else None for each in get_args(Whose)), "")
    delete = f"DELETE FROM rights WHERE {whose} = ?1 OR substr(copy, 1, length(?2)) = ?2"  # noqa: S608 - one of three
    connection.execute(delete, (value, said))  # also rows whose owner a damaged memory card has changed
    connection.execute("DELETE FROM rights_said WHERE whose = ? AND value = ?", (whose, value))
    connection.executemany(insert, rows)


def put_preferences(connection: sqlite3.Connection, subject: SubjectId, preferences: Preferences) -> None:
    """Store a person's preferences. The caller holds the transaction."""
    connection.execute("DELETE FROM preferences WHERE subject = ?", (subject,))
    if preferences != AS_EVERYBODY:
        connection.execute("INSERT INTO preferences VALUES (?, ?, ?, ?)", (subject, *astuple(preferences)))


def put_credential(connection: sqlite3.Connection, new: Credential) -> None:
    """Store a checked card or PIN. The caller holds the transaction."""
    window = map(text, (new.valid_from, new.valid_until))
    connection.execute(
        "INSERT INTO credentials (id, way, subject, digest, pin_hash, label, uses_left, is_duress, readings,"
        " valid_from, valid_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.id,
            new.way,
            new.subject,
            new.digest,
            new.pin_hash,
            new.label,
            new.uses_left,
            new.is_duress,
            packed(new.readings),
            *window,
        ),
    )


def put_pins(connection: sqlite3.Connection, subject: SubjectId, pins: Iterable[Credential]) -> None:
    """Replace all PINs of a person. The caller holds the transaction.

    All PINs get new ids and are stored in the order of their verifiers. All get the first and last time at which any
    PIN was used. So no id, order or time shows which PIN is older, or which PIN the person uses every day.
    """
    used = "SELECT min(first_used_at), max(last_used_at) FROM credentials WHERE subject = ? AND way = 'pin'"
    first, last = connection.execute(used, (subject,)).fetchone()
    connection.execute("DELETE FROM credentials WHERE subject = ? AND way = 'pin'", (subject,))
    connection.execute("DELETE FROM weak_pins WHERE subject = ?", (subject,))
    for each in sorted(pins, key=lambda pin: pin.digest):
        put_credential(connection, replace(each, id=new_id(), subject=subject, is_duress=False))
    if first is not None or last is not None:
        used = "UPDATE credentials SET first_used_at = ?, last_used_at = ? WHERE subject = ? AND way = 'pin'"
        connection.execute(used, (first, last, subject))


def bound(stored: str | None, odd: datetime) -> datetime | None:
    """Return a stored time, or None. For an invalid time return `odd`; the caller chooses a value
    that denies access.
    """
    return None if stored is None else time_of(stored, odd)


def time_of(stored: str, odd: datetime) -> datetime:
    """Return a stored time. Return `odd` for a text that is no time, has no zone, or cannot be converted to another
    zone.
    """
    try:
        at = datetime.fromisoformat(stored)
        at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return odd
    return odd if at.tzinfo is None else at


def text(at: datetime | None) -> str | None:
    """Return a time as text for storage."""
    return None if at is None else at.isoformat()
