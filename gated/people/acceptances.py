"""Acceptances at this gate: other gates' keys, and consents beyond recognition. The office's records alone add none.

The rows are in `people.db`. A face leaves this gate only by these rows; the office's records alone allow no transfer.
"""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from gated.storage.valid_rows import sound
from gated.types import SubjectId

THIS_GATE, BEFORE, OVER = "", "*", "!"
"""Origin of an acceptance: by somebody at this gate; before acceptances were asked for; accepted once and replaced
since.
"""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another gate: its keys from the office, the signatures for them, and the keys that were accepted here."""

    gate: str
    keys: str
    vouches: tuple[str, ...] = ()
    accepted: str | None = None
    by: str = ""

    @property
    def is_trusted(self) -> bool:
        """Return whether faces may be transferred to this gate."""
        return self.accepted is not None and self.accepted == self.keys and self.by != OVER


@dataclass(frozen=True, slots=True)
class Claim:
    """One consent that only the office reports. `face`: the name of the person's face; the face may not exist."""

    subject: SubjectId
    purpose: str
    reference: str = field(repr=False)
    face: str = ""


def neighbours(connection: sqlite3.Connection) -> list[Neighbour]:
    """Return all gates that the office sent, by name."""
    accepted = f"(SELECT * FROM trusted_gates WHERE {sound(connection, 'trusted_gates')}) AS here"  # noqa: S608
    rows = connection.execute(
        f"SELECT gates.gate, gates.keys, vouches, here.keys, by FROM gates LEFT JOIN {accepted} USING (gate)"  # noqa: S608
        f" WHERE {sound(connection, 'gates')} ORDER BY gates.gate"
    ).fetchall()
    return [Neighbour(gate, keys, _texts(vouches), accepted, by or "") for gate, keys, vouches, accepted, by in rows]


def revoked_keys(connection: sqlite3.Connection) -> list[str]:
    """Return the keys of gates that are deleted or have new keys."""
    query = f"SELECT keys FROM gone_gates WHERE {sound(connection, 'gone_gates')}"  # noqa: S608
    return [row[0] for row in connection.execute(query).fetchall()]


def trust(connection: sqlite3.Connection, gate: str, keys: str, by: str) -> None:
    """Allow transfers of faces to a gate. The caller holds the transaction."""
    connection.execute("REPLACE INTO trusted_gates VALUES (?, ?, ?)", (gate, keys, by))


def put_gate(connection: sqlite3.Connection, gate: str, keys: str, vouches: Collection[str]) -> None:
    """Store the keys of a gate from the office. The caller holds the transaction.

    Replaced keys lose their trust, because another party may hold them. If they come again, they wait for acceptance.
    """
    replaced = "gate = ?1 AND keys != ?2"
    connection.execute(f"INSERT OR IGNORE INTO gone_gates SELECT keys FROM gates WHERE {replaced}", (gate, keys))  # noqa: S608
    connection.execute(f"UPDATE trusted_gates SET by = '{OVER}' WHERE {replaced}", (gate, keys))  # noqa: S608
    connection.execute("REPLACE INTO gates VALUES (?, ?, ?)", (gate, keys, json.dumps(list(vouches))))


def drop_gate(connection: sqlite3.Connection, gate: str) -> None:
    """Delete a gate. The caller holds the transaction.

    The gate loses its trust, and so do gates accepted only by its signature, and gates accepted by theirs in turn. The
    gate vouches for no other gate any more.
    """
    known_keys = "SELECT keys FROM gates WHERE gate = ?1 UNION SELECT keys FROM trusted_gates WHERE gate = ?1"
    connection.execute(f"INSERT OR IGNORE INTO gone_gates {known_keys}", (gate,))
    connection.execute("DELETE FROM gates WHERE gate = ?", (gate,))
    through = (
        "WITH RECURSIVE through (gate) AS"
        " (VALUES (?) UNION SELECT trusted_gates.gate FROM trusted_gates JOIN through ON by = through.gate)"
    )
    connection.execute(f"{through} DELETE FROM trusted_gates WHERE gate IN through", (gate,))  # noqa: S608 - a constant


def agree(connection: sqlite3.Connection, subject: SubjectId, purpose: str, reference: str) -> bool:
    """Make a consent valid here, as the person's record reports it with this reference. Return False if it is valid
    already or no longer reported. The caller holds the transaction.
    """
    given_consent = "SELECT subject, purpose FROM consents WHERE subject = ? AND purpose = ? AND reference = ?"
    insert = f"INSERT OR IGNORE INTO agreed {given_consent} AND purpose != 'recognise'"
    return connection.execute(insert, (subject, purpose, reference)).rowcount > 0


def give(connection: sqlite3.Connection, subject: SubjectId, purpose: str) -> None:
    """Make a consent valid that the person gave here. The caller holds the transaction."""
    connection.execute("INSERT OR IGNORE INTO agreed VALUES (?, ?)", (subject, purpose))


def prune(connection: sqlite3.Connection, subjects: Collection[SubjectId]) -> None:
    """Delete acceptances of consents that the person no longer gives. They need a new acceptance if they come again.
    Without consent to recognition, delete all. The caller holds the transaction.
    """
    own_consents = "SELECT purpose FROM consents WHERE consents.subject = agreed.subject"
    withdrawn = f"purpose NOT IN ({own_consents}) OR 'recognise' NOT IN ({own_consents})"
    delete = f"DELETE FROM agreed WHERE subject = ? AND ({withdrawn})"  # noqa: S608 - constants
    connection.executemany(delete, [(subject,) for subject in subjects])


def agreed(connection: sqlite3.Connection, subject: SubjectId) -> set[str]:
    """Return the purposes beside recognition with a consent that is valid at this gate."""
    return {row[0] for row in connection.execute("SELECT purpose FROM agreed WHERE subject = ?", (subject,))}


def claims(connection: sqlite3.Connection, among: Collection[str] | None = None) -> list[Claim]:
    """Return consents that only the office reports, of people whose valid face is not from the office. `among`: only
    these people.
    """
    rows = connection.execute(
        "SELECT subject, consents.purpose, reference, people.face FROM consents JOIN people USING (subject)"
        " LEFT JOIN agreed USING (subject, purpose) LEFT JOIN records ON records.key = 'person/' || subject"
        " WHERE consents.purpose != 'recognise' AND agreed.purpose IS NULL"
        " AND people.face IS NOT records.stored_face"
        " AND (?1 IS NULL OR subject IN (SELECT value FROM json_each(?1))) ORDER BY subject, consents.purpose",
        (None if among is None else json.dumps(sorted(among)),),
    ).fetchall()
    return [Claim(SubjectId(subject), purpose, reference, face) for subject, purpose, reference, face in rows]


def _texts(stored: str) -> tuple[str, ...]:
    """Return the stored signatures; empty for a damaged row."""
    try:
        found = json.loads(stored)
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
