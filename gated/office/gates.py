"""The gates of the site: their keys, and what was last heard of each."""

import sqlite3
from dataclasses import dataclass

import msgspec

from gated.errors import OfficeError
from gated.office.file import OfficeFile
from gated.sync.messages import Status


@dataclass(frozen=True, slots=True)
class Gate:
    """One of them."""

    gate: str
    keys: str
    """Public, a JWK set."""
    serial: str
    """Of its certificate."""
    since: int
    """The number of its record at the first pairing; it need not prove that it forgot who was gone before."""
    beat: int
    """Of the newest word to it."""
    heard: int
    """The newest beat that it echoed."""
    status: Status | None
    seen_at: str | None
    """When it last said something that was proven to be fresh; UTC, ISO 8601."""


class Gates:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def all(self) -> list[Gate]:
        """By name."""
        with self._file.reading() as connection:
            return [_gate(row) for row in connection.execute("SELECT * FROM gates ORDER BY gate").fetchall()]

    def get(self, gate: str) -> Gate:
        """One of them. Raises `OfficeError`."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT * FROM gates WHERE gate = ?", (gate,)).fetchone()
        if row is None:
            raise OfficeError(f"there is no gate {gate!r} here; `gated office gates` lists them")
        return _gate(row)

    def keys(self) -> dict[str, str]:
        """The public keys of each."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT gate, keys FROM gates ORDER BY gate").fetchall())

    def add(self, gate: str, keys: str, serial: str, n: int) -> str | None:
        """A gate was paired, or paired anew; gives the keys that it had before."""
        with self._file.writing() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
            connection.execute(
                "INSERT INTO gates (gate, keys, serial, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (gate) DO UPDATE SET keys = excluded.keys, serial = excluded.serial",
                (gate, keys, serial, n),
            )
        return None if row is None else str(row[0])

    def hear(self, gate: str, status: Status, *, is_news: bool, is_fresh: bool, at: str) -> int:
        """Remember that a status came, and what it said if it is news; gives the number of the word that answers it."""
        said = msgspec.json.encode(status) if is_news else None
        step = 1 if status.state == "online" else 0
        with self._file.writing() as connection:
            row = connection.execute(
                "UPDATE gates SET beat = max(beat, ?) + ?, heard = max(heard, ?), status = ifnull(?, status),"
                " seen_at = iif(?, ?, seen_at) WHERE gate = ? RETURNING beat",
                (status.heard, step, status.heard, said, is_fresh, at, gate),
            ).fetchone()
            return int(row[0])

    def number(self, gate: str, step: int = 1) -> int:
        """The next number for a command, higher than every one before."""
        with self._file.writing() as connection:
            count = "UPDATE gates SET number = number + ? WHERE gate = ? RETURNING number"
            return int(connection.execute(count, (step, gate)).fetchone()[0])


def _gate(row: sqlite3.Row) -> Gate:
    status = None if row["status"] is None else msgspec.json.decode(row["status"], type=Status)
    return Gate(
        row["gate"], row["keys"], row["serial"], row["since"], row["beat"], row["heard"], status, row["seen_at"]
    )
