"""Collect a snapshot: its parts wait on disk, sealed to this gate, until all have arrived or another snapshot begins.

Only this gate can read the content of `snapshot.db`. After a restart, or on a poor network, no part is fetched twice.
The next request always names the first missing parts. Used by `replica`.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from gated.protocol.jose import Identity
from gated.protocol.limits import PARTS_WINDOW
from gated.protocol.record_messages import SnapshotPart
from gated.protocol.wire_records import Record
from gated.storage import database, migrations, sql
from gated.storage.rescue import open_or_replace
from gated.storage.valid_rows import left_out, with_copies, without_copies

log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE snapshot (
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        parts INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE parts (
        part INTEGER PRIMARY KEY,
        sealed BLOB NOT NULL
    ) STRICT;
    """,
    f"""
    {with_copies("snapshot", "digest", {"version": "integer", "parts": "integer"})}
    {migrations.BACK}
    {without_copies("snapshot")}
    """,
)


class SnapshotTitle(Struct, frozen=True):
    """The version and digest of a snapshot, and the number of its parts, which are numbered from 0."""

    version: int
    digest: str
    parts: int


class SnapshotStore:
    """The snapshot in progress, if any. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, state: Path, me: Identity) -> None:
        best, _ = open_or_replace(state / "snapshot.db", MIGRATIONS)
        self._connection = best.connection
        self._guard = database.Guard(best.connection, state / "snapshot.db")
        self._connection.execute("PRAGMA synchronous = NORMAL")  # a part lost in a power cut is requested again
        self._me = me
        with self._guard:
            self._drop_damaged()
            row = self._connection.execute("SELECT version, digest, parts FROM snapshot").fetchone()
            self.title = None if row is None else SnapshotTitle(*row)
            self._stored_parts = {row[0] for row in self._connection.execute("SELECT part FROM parts").fetchall()}

    def _drop_damaged(self) -> None:
        """Delete the snapshot if its title is damaged. With a wrong title no real snapshot could replace it."""
        if left_out(self._connection, ("snapshot",)):
            log.error("snapshot.db: its title is damaged; requesting the snapshot again")
            with sql.transaction(self._connection):
                self._forget()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._connection.close()

    @property
    def is_complete(self) -> bool:
        """Return whether every part is here."""
        return self.title is not None and len(self._stored_parts) == self.title.parts

    def missing(self) -> list[int]:
        """Return the next parts to request, at most `PARTS_WINDOW`."""
        parts = 0 if self.title is None else self.title.parts
        found: list[int] = []
        for part in range(parts):
            if part not in self._stored_parts:
                found.append(part)
                if len(found) == PARTS_WINDOW:
                    break
        return found

    def store_part(self, part: SnapshotPart) -> bool:
        """Store a part. Return False if it is already here, invalid, or of an older snapshot.

        A part of another snapshot starts that snapshot, and the stored parts are deleted.
        """
        title = SnapshotTitle(part.version, part.digest, part.parts)
        if part.part >= part.parts or (self.title is not None and title.version < self.title.version):
            return False
        if title == self.title and part.part in self._stored_parts:
            return False
        sealed = self._me.party.seal(msgspec.json.encode(part.records))
        with self._guard.changing():
            if title != self.title:
                self._forget()
                self._connection.execute(
                    "INSERT INTO snapshot (version, digest, parts) VALUES (?, ?, ?)",
                    (part.version, part.digest, part.parts),
                )
            self._connection.execute("INSERT INTO parts VALUES (?, ?)", (part.part, sealed))
        self._stored_parts = {part.part} if title != self.title else self._stored_parts | {part.part}
        self.title = title
        return True

    def records(self) -> Iterator[Record]:
        """Yield every stored record, part by part. Raises `SealError` if the gate's keys have changed."""
        for part in sorted(self._stored_parts):
            with self._guard:
                row = self._connection.execute("SELECT sealed FROM parts WHERE part = ?", (part,)).fetchone()
            yield from msgspec.json.decode(self._me.open(row[0]), type=list[Record])

    def drop(self) -> None:
        """Delete the snapshot, and shrink the file."""
        with self._guard:
            with sql.transaction(self._connection):
                self._forget()
            sql.forget(self._connection)
        self.title, self._stored_parts = None, set()

    def _forget(self) -> None:
        for table in ("snapshot", "parts"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed table name
