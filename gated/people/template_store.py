"""The template database `templates.db`: sealed templates and their wrapped keys. It contains no names, households or
consents.

Templates made together form one face, with one key. `people.db` names the valid face of each person, so one commit
there replaces a face.
"""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gated.storage import database, erasure, sql
from gated.storage.rescue import open_best
from gated.storage.valid_rows import in_words, left_out, sound
from gated.types import SubjectId

NAME = "templates.db"
FIRST = ""
"""Name of the face from a person's enrolment."""

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
    """One template as stored."""

    id: str
    subject: SubjectId
    sealed: bytes
    face: str = FIRST


class SealedFace(NamedTuple):
    """One face to store: its wrapped key, and (id, embedder's SHA-256, sealed bytes) of each template."""

    subject: SubjectId
    face: str
    wrapped: bytes
    templates: list[tuple[str, str, bytes]]


class Templates:
    """The database templates.db of one gate, or a read-only copy of it."""

    def __init__(self, state: Path, why: str = "") -> None:
        """Open the database. `why`: the damage of the file. With it, only a copy is opened."""
        self.best = open_best(state / NAME, MIGRATIONS, why=why)
        self.connection = self.best.connection
        self.guard = database.Guard(self.connection, state / NAME)

    def keys(self) -> dict[tuple[SubjectId, str], bytes]:
        """Return the wrapped data key of each face, by (id, face name)."""
        with self.guard as connection:
            query = f"SELECT subject, face, wrapped FROM data_keys WHERE {sound(connection, 'data_keys')}"  # noqa: S608
            rows = connection.execute(query).fetchall()
            return {(SubjectId(subject), face): wrapped for subject, face, wrapped in rows}

    def faces(self, among: Collection[SubjectId] | None = None) -> set[tuple[SubjectId, str]]:
        """Return (id, face name) of all faces. `among`: limit the result to these people."""
        with self.guard as connection:
            is_one, ids = sql.is_one_of("subject", among)
            query = f"SELECT subject, face FROM data_keys WHERE {is_one} AND {sound(connection, 'data_keys')}"  # noqa: S608
            return {(SubjectId(subject), face) for subject, face in connection.execute(query, ids)}

    def is_empty(self) -> bool:
        """Return whether no face is stored, damaged or not."""
        with self.guard as connection:
            return not connection.execute("SELECT EXISTS (SELECT 1 FROM data_keys)").fetchone()[0]

    def made_by(self, embedder_sha256: str) -> list[Sealed]:
        """Return the templates by this embedder."""
        with self.guard as connection:
            whole = sound(connection, "templates")
            query = f"SELECT id, subject, sealed, face FROM templates WHERE embedder_sha256 = ? AND {whole}"  # noqa: S608
            return [Sealed(*row) for row in connection.execute(query, (embedder_sha256,)).fetchall()]

    def of(self, subject: SubjectId, face: str) -> list[tuple[str, Sealed]]:
        """Return the templates of one face, each with the SHA-256 of its embedder first."""
        with self.guard as connection:
            whole = sound(connection, "templates")
            of = f"subject = ? AND face = ? AND {whole}"
            query = f"SELECT embedder_sha256, id, subject, sealed, face FROM templates WHERE {of}"  # noqa: S608
            rows = connection.execute(f"{query} ORDER BY id", (subject, face)).fetchall()
            return [(embedder, Sealed(*row)) for embedder, *row in rows]

    def faces_of_other_sets(self, embedder_sha256: str) -> set[tuple[SubjectId, str]]:
        """Return (id, face name) of all faces with templates, but none by this embedder."""
        with self.guard as connection:
            faces = f"SELECT subject, face FROM templates WHERE {sound(connection, 'templates')}"  # noqa: S608
            rows = connection.execute(f"{faces} EXCEPT {faces} AND embedder_sha256 = ?", (embedder_sha256,))
            return {(SubjectId(subject), face) for subject, face in rows.fetchall()}

    def left_out(self) -> str:
        """Return text that names the rows too damaged to read; empty without such rows."""
        with self.guard as connection:
            return in_words(NAME, left_out(connection, ("data_keys", "templates")))

    def count(self, subject: SubjectId | None = None) -> int:
        """Return the number of templates of one person or of all, by all embedders."""
        with self.guard as connection:
            query = "SELECT count(*) FROM templates WHERE ?1 IS NULL OR subject = ?1"
            return int(connection.execute(query, (subject,)).fetchone()[0])

    def embedders(self, subject: SubjectId, but: str | None = None) -> set[str]:
        """Return the SHA-256 of each embedder that made a template of the person. `but`: ignore the face with this
        name.
        """
        with self.guard as connection:
            query = "SELECT DISTINCT embedder_sha256 FROM templates WHERE subject = ? AND face IS NOT ?"
            return {row[0] for row in connection.execute(query, (subject, but)).fetchall()}

    def has(self, subject: SubjectId, face: str) -> bool:
        """Return whether a face of the person with this name is stored."""
        with self.guard as connection:
            query = "SELECT EXISTS (SELECT 1 FROM data_keys WHERE subject = ? AND face = ?)"
            return bool(connection.execute(query, (subject, face)).fetchone()[0])

    def add(self, face: SealedFace, at: datetime) -> None:
        """Insert a face with its key. The caller holds the transaction."""
        with self.guard as connection:
            connection.execute("INSERT INTO data_keys VALUES (?, ?, ?)", (face.subject, face.face, face.wrapped))
            connection.executemany(
                "INSERT INTO templates (id, subject, face, embedder_sha256, sealed, made_at) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (id_, face.subject, face.face, embedder, blob, at.isoformat())
                    for id_, embedder, blob in face.templates
                ],
            )

    def delete(self, subject: SubjectId, face: str) -> None:
        """Delete the key of a face and its templates. The caller holds the transaction."""
        with self.guard as connection:
            connection.execute("DELETE FROM data_keys WHERE subject = ? AND face = ?", (subject, face))
            erasure.record_erasure(connection)
