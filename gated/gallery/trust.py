"""What somebody at this gate has accepted, whatever the office says of it: other gates' keys, and consents that widen.

Rows in `people.db`. A face leaves only by what stands here: the office's records alone let none go.
"""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from gated import database
from gated.soundness import sound
from gated.types import SubjectId

SCHEMA = f"""
    ALTER TABLE gates ADD COLUMN vouches TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE trusted_gates (
        gate TEXT PRIMARY KEY,
        keys TEXT NOT NULL,
        by TEXT NOT NULL
    ) STRICT;
    CREATE TABLE gone_gates (
        keys TEXT PRIMARY KEY
    ) STRICT;
    CREATE TABLE agreed (
        subject TEXT NOT NULL REFERENCES people (subject) ON DELETE CASCADE,
        purpose TEXT NOT NULL,
        PRIMARY KEY (subject, purpose)
    ) STRICT;
    INSERT INTO trusted_gates SELECT gate, keys, '*' FROM gates;
    INSERT INTO agreed SELECT subject, purpose FROM consents WHERE purpose != 'recognise';
    {database.BACK}
    DROP TABLE agreed;
    DROP TABLE gone_gates;
    DROP TABLE trusted_gates;
    ALTER TABLE gates DROP COLUMN vouches
"""  # noqa: S608 - a constant
"""`gates` is what the office says. `trusted_gates.by`: HERE, BEFORE, OVER, or the gate whose signature it was.
`gone_gates`: keys of gates that are no more, or have others now; they vouch for nobody. What counted before there was
this table counts on."""

HERE, BEFORE, OVER = "", "*", "!"
"""Accepted by somebody at this gate; known to it before anybody was asked; accepted once, and replaced since."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another gate: the keys that the office says, who vouches for them, and the keys that were accepted here."""

    gate: str
    keys: str
    vouches: tuple[str, ...] = ()
    accepted: str | None = None
    by: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether a face may go there."""
        return self.accepted is not None and self.accepted == self.keys and self.by != OVER


@dataclass(frozen=True, slots=True)
class Claim:
    """A consent that only the office says of. `face`: the name of that person's face, of which there may be none."""

    subject: SubjectId
    purpose: str
    reference: str = field(repr=False)
    face: str = ""


def neighbours(connection: sqlite3.Connection) -> list[Neighbour]:
    """Every gate that the office speaks of, by name."""
    accepted_here = f"(SELECT * FROM trusted_gates WHERE {sound(connection, 'trusted_gates')}) AS here"  # noqa: S608
    rows = connection.execute(
        f"SELECT gates.gate, gates.keys, vouches, here.keys, by FROM gates LEFT JOIN {accepted_here} USING (gate)"  # noqa: S608
        f" WHERE {sound(connection, 'gates')} ORDER BY gates.gate"
    ).fetchall()
    return [Neighbour(gate, keys, _texts(vouches), accepted, by or "") for gate, keys, vouches, accepted, by in rows]


def gone(connection: sqlite3.Connection) -> list[str]:
    """The keys of gates that are no more."""
    query = f"SELECT keys FROM gone_gates WHERE {sound(connection, 'gone_gates')}"  # noqa: S608
    return [row[0] for row in connection.execute(query).fetchall()]


def trust(connection: sqlite3.Connection, gate: str, keys: str, by: str) -> None:
    """Let faces go to a gate from now on; the caller holds the transaction."""
    connection.execute("REPLACE INTO trusted_gates VALUES (?, ?, ?)", (gate, keys, by))


def put_gate(connection: sqlite3.Connection, gate: str, keys: str, vouches: Collection[str]) -> None:
    """The office says which keys a gate has; the caller holds the transaction.

    Keys that are replaced are over, for they may be in other hands: should they be said again, they wait.
    """
    replaced = "gate = ?1 AND keys != ?2"
    connection.execute(f"INSERT OR IGNORE INTO gone_gates SELECT keys FROM gates WHERE {replaced}", (gate, keys))  # noqa: S608
    connection.execute(f"UPDATE trusted_gates SET by = '{OVER}' WHERE {replaced}", (gate, keys))  # noqa: S608
    connection.execute("REPLACE INTO gates VALUES (?, ?, ?)", (gate, keys, json.dumps(list(vouches))))


def drop_gate(connection: sqlite3.Connection, gate: str) -> None:
    """A gate is no more: neither it nor whom it alone vouched for is trusted, nor whom those vouched for in turn. It
    vouches for nobody any more.
    """
    said = "SELECT keys FROM gates WHERE gate = ?1 UNION SELECT keys FROM trusted_gates WHERE gate = ?1"
    connection.execute(f"INSERT OR IGNORE INTO gone_gates {said}", (gate,))
    connection.execute("DELETE FROM gates WHERE gate = ?", (gate,))
    through = (
        "WITH RECURSIVE through (gate) AS"
        " (VALUES (?) UNION SELECT trusted_gates.gate FROM trusted_gates JOIN through ON by = through.gate)"
    )
    connection.execute(f"{through} DELETE FROM trusted_gates WHERE gate IN through", (gate,))  # noqa: S608 - a constant


def agree(connection: sqlite3.Connection, subject: SubjectId, purpose: str, reference: str) -> bool:
    """What somebody's record says they agreed to, on that paper, counts here; False where it does already, or is not
    said any more. The caller holds the transaction.
    """
    said = "SELECT subject, purpose FROM consents WHERE subject = ? AND purpose = ? AND reference = ?"
    insert = f"INSERT OR IGNORE INTO agreed {said} AND purpose != 'recognise'"
    return connection.execute(insert, (subject, purpose, reference)).rowcount > 0


def give(connection: sqlite3.Connection, subject: SubjectId, purpose: str) -> None:
    """Somebody said here that they agree to it, and it counts; the caller holds the transaction."""
    connection.execute("INSERT OR IGNORE INTO agreed VALUES (?, ?)", (subject, purpose))


def prune(connection: sqlite3.Connection, subjects: Collection[SubjectId]) -> None:
    """What somebody does not agree to any more is to be accepted anew, if it comes again; all of it, where they may not
    even be recognised.
    """
    theirs = "SELECT purpose FROM consents WHERE consents.subject = agreed.subject"
    gone_now = f"purpose NOT IN ({theirs}) OR 'recognise' NOT IN ({theirs})"
    delete = f"DELETE FROM agreed WHERE subject = ? AND ({gone_now})"  # noqa: S608 - constants
    connection.executemany(delete, [(subject,) for subject in subjects])


def agreed(connection: sqlite3.Connection, subject: SubjectId) -> set[str]:
    """What somebody agreed to, so that it counts here, beside being recognised."""
    return {row[0] for row in connection.execute("SELECT purpose FROM agreed WHERE subject = ?", (subject,))}


def claims(connection: sqlite3.Connection, among: Collection[str] | None = None) -> list[Claim]:
    """What only the office says of those whose face did not come from it. `among`: of nobody but these."""
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
    """Tokens as they are stored; none where the row is damaged."""
    try:
        found = json.loads(stored)
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
