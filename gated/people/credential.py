"""Cards and PINs that this gate stores, and their database rows.

A time window is `valid_from <= at < valid_until`. None leaves that end open. All times are aware.
"""

import secrets
import sqlite3
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Literal, assert_never, get_args

from gated.people.stored_time import LONG_PAST, NEVER_YET, text_of, time_or_none
from gated.storage.vault import READING_BYTES
from gated.types import CredentialKind, SubjectId

StoredKind = Literal[CredentialKind.CARD, CredentialKind.PIN]
"""The kinds of credential that a gate stores. The column `way` holds their values."""
KINDS: dict[str, StoredKind] = {each.value: each for each in get_args(StoredKind)}
"""The kind for each value of the column `way`."""
READING = struct.Struct(f"{READING_BYTES}s")


@dataclass(frozen=True, slots=True)
class Credential:
    """One card or PIN. `subject` is None for a guest's card. `uses_left` is None if uses are not counted."""

    id: str
    kind: StoredKind
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


def new_id() -> str:
    """Return a new id for a credential: 16 random hex digits."""
    return secrets.token_hex(8)


def by_kind(credentials: Iterable[Credential]) -> tuple[list[Credential], list[Credential]]:
    """Return the cards and the PINs."""
    cards, pins = list[Credential](), list[Credential]()
    for each in credentials:
        match each.kind:
            case CredentialKind.CARD:
                cards.append(each)
            case CredentialKind.PIN:
                pins.append(each)
            case _:
                assert_never(each.kind)
    return cards, pins


def read_credential(row: sqlite3.Row) -> Credential:
    """Return the credential of a row of `credentials`."""
    return Credential(
        id=row["id"],
        kind=KINDS[row["way"]],
        subject=row["subject"],
        digest=row["digest"],
        pin_hash=row["pin_hash"],
        label=row["label"],
        valid_from=time_or_none(row["valid_from"], NEVER_YET),
        valid_until=time_or_none(row["valid_until"], LONG_PAST),
        uses_left=row["uses_left"],
        first_used_at=time_or_none(row["first_used_at"], LONG_PAST),
        last_used_at=time_or_none(row["last_used_at"], LONG_PAST),
        is_duress=bool(row["is_duress"]),
        readings=unpack_readings(row["readings"]) if "readings" in row.keys() else frozenset(),  # noqa: SIM118 - of a row
    )


def pack_readings(readings: Iterable[bytes]) -> bytes:
    """Return the readings of a card as one blob for storage."""
    return b"".join(sorted(readings))


def unpack_readings(stored: bytes) -> frozenset[bytes]:
    """Return the readings of a card from its stored blob."""
    return frozenset(chain.from_iterable(READING.iter_unpack(stored[: len(stored) // READING_BYTES * READING_BYTES])))


def put_credential(connection: sqlite3.Connection, new: Credential) -> None:
    """Store a checked card or PIN. The caller holds the transaction."""
    window = map(text_of, (new.valid_from, new.valid_until))
    connection.execute(
        "INSERT INTO credentials (id, way, subject, digest, pin_hash, label, uses_left, is_duress, readings,"
        " valid_from, valid_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.id,
            new.kind,
            new.subject,
            new.digest,
            new.pin_hash,
            new.label,
            new.uses_left,
            new.is_duress,
            pack_readings(new.readings),
            *window,
        ),
    )


def put_pins(connection: sqlite3.Connection, subject: SubjectId, pins: Iterable[Credential]) -> None:
    """Replace all PINs of a person. The caller holds the transaction.

    All PINs get new ids and are stored in the order of their verifiers. All get the first and last time at which any
    PIN was used. So no id, order or time shows the older PIN, or the PIN of daily use.
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
