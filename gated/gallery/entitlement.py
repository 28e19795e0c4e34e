"""What lets people in beside their faces, when it does, and how they like the gate to behave: values and their rows.

A time window is `valid_from <= at < valid_until`, either end open where it is None; all times are aware.
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
from gated.database import BACK
from gated.errors import CredentialError
from gated.gallery.vault import READING_BYTES
from gated.soundness import copy_of
from gated.types import SubjectId

Way = Literal["card", "pin"]
First = Literal["speech", "light", "touch"]
READING = struct.Struct(f"{READING_BYTES}s")
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
"""`digest`: of a card the whole keyed digest of its number, of a PIN its verifier (see `verifiers`), and `pin_hash` how
argon2 is asked about it. No number is kept."""

READINGS = """
    ALTER TABLE credentials ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    ALTER TABLE claims ADD COLUMN readings BLOB NOT NULL DEFAULT x'';
    -- back
    ALTER TABLE claims DROP COLUMN readings;
    ALTER TABLE credentials DROP COLUMN readings;
"""
"""`readings`: of a card the first `READING_BYTES` of the keyed digest of each of its readings (see `cards`), one after
the other; none for a card that was given before there were readings."""

VEIL = f"""
    DROP INDEX credentials_pin;
    CREATE TABLE veil (one INTEGER PRIMARY KEY CHECK (one = 1), since TEXT NOT NULL) STRICT;
    INSERT INTO veil VALUES (1, datetime('now'));
    {BACK}
    DELETE FROM credentials WHERE way = 'pin' AND length(digest) <> 2;
    CREATE UNIQUE INDEX credentials_pin ON credentials (subject, is_duress) WHERE way = 'pin';
    DROP TABLE veil
"""  # noqa: S608 - a constant
"""Nothing says any more which of two PINs is the duress PIN (see `verifiers`): `is_duress` is 0 of every row but those
from before, which are veiled a day after `since`, when the version that did this is not on trial any more. A gated from
before finds its own PINs, and none of the others."""
WEAK = f"""
    CREATE TABLE weak_pins (
        subject TEXT PRIMARY KEY REFERENCES people (subject) ON DELETE CASCADE,
        at TEXT NOT NULL
    ) STRICT;
    {BACK}
    DROP TABLE weak_pins
"""
"""Who has typed a PIN of theirs that strangers try early, until they are given another; not which of their PINs."""
VEIL_AFTER = "+1 day"


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
    """Known of a PIN that was typed, and of rows from before verifiers; of other rows nothing tells it."""
    readings: frozenset[bytes] = field(default=frozenset(), repr=False, compare=False)
    """Digests of all readings of a card; empty for one that was given before there were readings."""


@dataclass(frozen=True, slots=True)
class Right:
    """By which door and in which schedule's hours somebody may pass; None: by every door, at all hours.

    `door`: "main" or "second"; of one gate alone "GATE/main", or "GATE/*" for all of its doors. A gated that knows
    nothing of gates in rights has no door of such a name, and so lets nobody pass by it.
    """

    door: str | None = None
    schedule: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


UNKNOWN = "?"
"""Hours, or days, that a damaged database has lost: nobody can write such a name down."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days that the office named, YYYY-MM-DD."""

    holidays: frozenset[str] = frozenset()
    workdays: frozenset[str] = frozenset()
    """Make-up working days."""
    doubtful: frozenset[str] = frozenset()
    """Days of which a damaged row tells: nobody knows any more whether they are either."""
    is_doubtful: bool = False
    """Whether that is so of every day."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody asked for; None: as for everybody. Never why."""

    release_s: float | None = None
    """5 to 30: how long the lock stays released for them."""
    search_s: float | None = None
    """1 to 30: how long their face is looked for before other ways in are named."""
    first: First | None = None
    """The cue that they want before the others; they get the others as well."""


NEVER_YET, LONG_PAST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
AS_EVERYBODY = Preferences()
"""What somebody gets who asked for nothing."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What the gate must know of somebody who has a credential or a face.

    `rights`: their own, else their household's, else their role's; without any they pass by every door at all hours.
    """

    is_suspended: bool = False
    rights: tuple[Right, ...] = ()
    also: tuple[tuple[Right, ...], ...] = ()
    """What was said under other spellings of the same household or role. Each of them must let them pass as well."""
    preferences: Preferences = AS_EVERYBODY
    home: str = field(default="", repr=False, compare=False)
    """The household that they live in, in its normal form."""


def new_id() -> str:
    """An id for a credential: 16 random hex digits."""
    return secrets.token_hex(8)


def plain_role(name: str) -> str:
    """A role's name, the same however it is typed: what somebody does here, never how they are.

    The name stays out of the error. Raises `CredentialError`.
    """
    plain = names.plain(name)
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
        valid_from=bound(row["valid_from"], NEVER_YET),
        valid_until=bound(row["valid_until"], LONG_PAST),
        uses_left=row["uses_left"],
        first_used_at=bound(row["first_used_at"], LONG_PAST),
        last_used_at=bound(row["last_used_at"], LONG_PAST),
        is_duress=bool(row["is_duress"]),
        readings=unpacked(row["readings"]) if "readings" in row.keys() else frozenset(),  # noqa: SIM118 - of a row
    )


def packed(readings: Iterable[bytes]) -> bytes:
    """The readings of a card as they are stored."""
    return b"".join(sorted(readings))


def unpacked(stored: bytes) -> frozenset[bytes]:
    """The readings of a card out of its row."""
    return frozenset(chain.from_iterable(READING.iter_unpack(stored[: len(stored) // READING_BYTES * READING_BYTES])))


def wishes(row: sqlite3.Row) -> Preferences:
    """A row of `preferences`; one that nobody can have asked for is as everybody's."""
    asked = Preferences(row["release_s"], row["search_s"], row["first"])
    is_possible = (
        (asked.release_s is None or 5 <= asked.release_s <= 30)
        and (asked.search_s is None or 1 <= asked.search_s <= 30)
        and asked.first in (None, *get_args(First))
    )
    return asked if is_possible else AS_EVERYBODY


def right(row: sqlite3.Row) -> Right:
    """A row of `rights`."""
    begins, ends = bound(row["valid_from"], NEVER_YET), bound(row["valid_until"], LONG_PAST)
    return Right(row["door"], row["schedule"], begins, ends)


def hours(days: Iterable[str], start: str, end: str) -> Schedule:
    """Hours of the week as the office says them; what makes no sense never holds."""
    try:
        return msgspec.convert({"days": tuple(days), "start": start, "end": end}, Schedule)
    except msgspec.ValidationError:
        return Schedule(days=())


def both(one: Schedule, other: Schedule) -> Schedule:
    """The hours that two schedules share; none where one schedule cannot say them."""
    days = tuple(day for day in one.days if day in other.days)
    for whole, part in ((one, other), (other, one)):
        if whole.start == whole.end:
            return Schedule(days, part.start, part.end)
    if (one.start < one.end) != (other.start < other.end):
        return Schedule(days=())  # one of them runs past midnight: what they share may be two pieces
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Schedule(days, start, end) if start < end or one.start > one.end else Schedule(days=())


def put_rights(connection: sqlite3.Connection, whose: Whose, value: str, rights: Sequence[Right]) -> None:
    """Say anew when one, a household or a role may pass; the caller holds the transaction.

    `value` is kept as it is: it is the key under which the office says it, in the spelling of that day. What is said
    under any spelling binds everybody of that name (`Credentials.holders`).
    """
    rows = [(value, r.door, r.schedule and names.plain(r.schedule), text(r.valid_from), text(r.valid_until))
            for r in rights]  # fmt: skip
    insert = f"INSERT INTO rights ({whose}, door, schedule, valid_from, valid_until) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    said = copy_of(*(value if each == whose else None for each in get_args(Whose)), "")
    delete = f"DELETE FROM rights WHERE {whose} = ?1 OR substr(copy, 1, length(?2)) = ?2"  # noqa: S608 - one of three
    connection.execute(delete, (value, said))  # also what a card has made another's
    connection.execute("DELETE FROM rights_said WHERE whose = ? AND value = ?", (whose, value))
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
    """Somebody has these PINs now and no others; the caller holds the transaction.

    They all come anew and in the order of their verifiers, and were used when any of them was: neither an id nor a
    place nor a time tells which of them is the older one, or the one of every day.
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
    """A time as it is stored; `odd`, which denies, for what a damaged card has made of one."""
    return None if stored is None else time_of(stored, odd)


def time_of(stored: str, odd: datetime) -> datetime:
    """A time as it is stored; `odd` for what is no time, has no zone, or cannot be told in another one."""
    try:
        at = datetime.fromisoformat(stored)
        at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return odd
    return odd if at.tzinfo is None else at


def text(at: datetime | None) -> str | None:
    """A time as it will be stored."""
    return None if at is None else at.isoformat()
