"""Everybody's templates, sealed, and the wrapped keys to them. No name, household or consent ever lies here."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gated import database
from gated.gallery import erasure
from gated.types import SubjectId

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
)


class Sealed(NamedTuple):
    """One template as it is stored."""

    id: str
    subject: SubjectId
    sealed: bytes


class Templates:
    """templates.db."""

    def __init__(self, state: Path) -> None:
        self.connection = database.connect(state / "templates.db", MIGRATIONS)

    def keys(self) -> dict[SubjectId, bytes]:
        """Everybody's data key, wrapped."""
        return {
            SubjectId(s): w for s, w in self.connection.execute("SELECT subject, wrapped FROM data_keys").fetchall()
        }

    def made_by(self, embedder_sha256: str) -> list[Sealed]:
        """The templates that this embedder made."""
        query = "SELECT id, subject, sealed FROM templates WHERE embedder_sha256 = ?"
        return [Sealed(*row) for row in self.connection.execute(query, (embedder_sha256,)).fetchall()]

    def count(self, subject: SubjectId | None = None) -> int:
        """How many templates there are, of one person or in all, whoever made them."""
        query = "SELECT count(*) FROM templates WHERE ?1 IS NULL OR subject = ?1"
        return int(self.connection.execute(query, (subject,)).fetchone()[0])

    def add(
        self,
        subject: SubjectId,
        wrapped: bytes,
        embedder_sha256: str,
        sealed: Sequence[tuple[str, bytes]],
        at: datetime,
    ) -> None:
        """Insert somebody's key and templates (id, sealed bytes); the caller holds the transaction."""
        self.connection.execute("INSERT INTO data_keys (subject, wrapped) VALUES (?, ?)", (subject, wrapped))
        self.connection.executemany(
            "INSERT INTO templates (id, subject, embedder_sha256, sealed, made_at) VALUES (?, ?, ?, ?, ?)",
            [(template, subject, embedder_sha256, blob, at.isoformat()) for template, blob in sealed],
        )

    def delete(self, subject: SubjectId) -> None:
        """Delete somebody's key, and the templates with it; the caller holds the transaction."""
        self.connection.execute("DELETE FROM data_keys WHERE subject = ?", (subject,))
        erasure.owe(self.connection)
