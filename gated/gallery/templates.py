"""Everybody's templates, sealed, and the wrapped keys to them. No name, household or consent ever lies here.

The templates that were made together are one face, with a key of its own. Which face of a person counts is said in
`people.db`, so that one is replaced by another in a single commit there.
"""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gated import database
from gated.gallery import erasure
from gated.rescue import open_best
from gated.soundness import in_words, left_out, sound
from gated.types import SubjectId

NAME = "templates.db"
FIRST = ""
"""The name of the face that somebody was enrolled with."""

MIGRATIONS = (
    f"""
    CREATE TABLE data_keys (
        subject TEXT PRIMARY KEY,
        wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE templates (
        id TEXT PRIMARY KEY,
        subject TEXT NOT NULL REFERENCES data_keys (subject) ON DELETE CASCADE,
        embedder_sha256 TEXT NOT NULL,
        sealed BLOB NOT NULL,
        made_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX templates_subject ON templates (subject);
    {erasure.SCHEMA}
    """,
    """
    CREATE TABLE new_keys (
        subject TEXT NOT NULL,
        face TEXT NOT NULL,
        wrapped BLOB NOT NULL,
        PRIMARY KEY (subject, face)
    ) STRICT;
    CREATE TABLE new_templates (
        id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        face TEXT NOT NULL,
        embedder_sha256 TEXT NOT NULL,
        sealed BLOB NOT NULL,
        made_at TEXT NOT NULL,
        FOREIGN KEY (subject, face) REFERENCES new_keys (subject, face) ON DELETE CASCADE
    ) STRICT;
    INSERT INTO new_keys SELECT subject, '', wrapped FROM data_keys;
    INSERT INTO new_templates SELECT id, subject, '', embedder_sha256, sealed, made_at FROM templates;
    DROP TABLE templates;
    DROP TABLE data_keys;
    ALTER TABLE new_keys RENAME TO data_keys;
    ALTER TABLE new_templates RENAME TO templates;
    CREATE INDEX templates_face ON templates (subject, face);
    """,
)


class Sealed(NamedTuple):
    """One template as it is stored."""

    id: str
    subject: SubjectId
    sealed: bytes
    face: str = FIRST


class SealedFace(NamedTuple):
    """A face on its way into the file: its wrapped key, and (id, embedder's SHA-256, sealed bytes) of each template."""

    subject: SubjectId
    face: str
    wrapped: bytes
    templates: list[tuple[str, str, bytes]]


class Templates:
    """templates.db, or a copy of it that takes no change."""

    def __init__(self, state: Path, why: str = "") -> None:
        """`why`: what is wrong with the file, so that only a copy will do."""
        self.best = open_best(state / NAME, MIGRATIONS, why=why)
        self.connection = self.best.connection

    def keys(self) -> dict[tuple[SubjectId, str], bytes]:
        """The data key of each face, wrapped, by whose it is and its name."""
        query = f"SELECT subject, face, wrapped FROM data_keys WHERE {sound(self.connection, 'data_keys')}"  # noqa: S608
        rows = self.connection.execute(query).fetchall()
        return {(SubjectId(subject), face): wrapped for subject, face, wrapped in rows}

    def faces(self, among: Collection[SubjectId] | None = None) -> set[tuple[SubjectId, str]]:
        """Whose every face is, and its name. `among`: nobody's but theirs."""
        is_one, ids = database.is_one_of("subject", among)
        query = f"SELECT subject, face FROM data_keys WHERE {is_one} AND {sound(self.connection, 'data_keys')}"  # noqa: S608
        return {(SubjectId(subject), face) for subject, face in self.connection.execute(query, ids)}

    def is_empty(self) -> bool:
        """Whether there is no face at all, damaged or not."""
        return not self.connection.execute("SELECT EXISTS (SELECT 1 FROM data_keys)").fetchone()[0]

    def made_by(self, embedder_sha256: str) -> list[Sealed]:
        """The templates that this embedder made."""
        whole = sound(self.connection, "templates")
        query = f"SELECT id, subject, sealed, face FROM templates WHERE embedder_sha256 = ? AND {whole}"  # noqa: S608
        return [Sealed(*row) for row in self.connection.execute(query, (embedder_sha256,)).fetchall()]

    def of(self, subject: SubjectId, face: str) -> list[tuple[str, Sealed]]:
        """The templates of one face, each after the SHA-256 of the embedder that made it."""
        whole = sound(self.connection, "templates")
        of = f"subject = ? AND face = ? AND {whole}"
        query = f"SELECT embedder_sha256, id, subject, sealed, face FROM templates WHERE {of}"  # noqa: S608
        rows = self.connection.execute(f"{query} ORDER BY id", (subject, face)).fetchall()
        return [(embedder, Sealed(*row)) for embedder, *row in rows]

    def left_out(self) -> str:
        """Which rows are too damaged to be read, in words; empty where none is."""
        return in_words(NAME, left_out(self.connection, ("data_keys", "templates")))

    def count(self, subject: SubjectId | None = None) -> int:
        """How many templates there are, of one person or in all, whoever made them."""
        query = "SELECT count(*) FROM templates WHERE ?1 IS NULL OR subject = ?1"
        return int(self.connection.execute(query, (subject,)).fetchone()[0])

    def embedders(self, subject: SubjectId, but: str | None = None) -> set[str]:
        """The SHA-256 of each embedder that made any template of somebody's, `but` those of one face."""
        query = "SELECT DISTINCT embedder_sha256 FROM templates WHERE subject = ? AND face IS NOT ?"
        return {row[0] for row in self.connection.execute(query, (subject, but)).fetchall()}

    def has(self, subject: SubjectId, face: str) -> bool:
        """Whether there is a face of somebody's by that name."""
        query = "SELECT EXISTS (SELECT 1 FROM data_keys WHERE subject = ? AND face = ?)"
        return bool(self.connection.execute(query, (subject, face)).fetchone()[0])

    def add(self, face: SealedFace, at: datetime) -> None:
        """Insert a face with its key; the caller holds the transaction."""
        self.connection.execute("INSERT INTO data_keys VALUES (?, ?, ?)", (face.subject, face.face, face.wrapped))
        self.connection.executemany(
            "INSERT INTO templates (id, subject, face, embedder_sha256, sealed, made_at) VALUES (?, ?, ?, ?, ?, ?)",
            [(id_, face.subject, face.face, embedder, blob, at.isoformat()) for id_, embedder, blob in face.templates],
        )

    def delete(self, subject: SubjectId, face: str) -> None:
        """Delete the key of a face, and the templates with it; the caller holds the transaction."""
        self.connection.execute("DELETE FROM data_keys WHERE subject = ? AND face = ?", (subject, face))
        erasure.owe(self.connection)
