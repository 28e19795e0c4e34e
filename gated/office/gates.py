"""The gates of the site: their keys, and what was last heard of each."""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from gated.errors import OfficeError, WireError
from gated.office.file import OfficeFile
from gated.soundness import is_moment, is_text, sound
from gated.sync.jose import Party
from gated.sync.messages import VERIFIERS, Status
from gated.wording import UNDECODABLE


class NoSuchGateError(OfficeError):
    """No gate of the site has this name, or not any more: it may be retired at any moment."""

    def __init__(self, gate: str) -> None:
        super().__init__(f"there is no gate {gate!r} here; `gated office gates` lists them")


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
    certificate: str = ""
    """The newest that it was given (PEM); empty where that was before this was kept."""
    holds: int = 0
    """The highest number up to which it said, since it was paired, that it has everything."""

    @property
    def is_outdated(self) -> bool:
        """Whether it was heard, and is too old to be told anything but who may come in no more."""
        return self.status is not None and self.status.state == "online" and VERIFIERS not in self.status.can


class Gates:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def all(self) -> list[Gate]:
        """By name."""
        with self._file.reading() as connection:
            ask = f"SELECT * FROM gates WHERE {sound(connection, 'gates')} ORDER BY gate"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return [_gate(row) for row in rows if is_text(row["gate"]) and _are_keys(row["keys"])]

    def get(self, gate: str) -> Gate:
        """One of them. Raises `OfficeError`."""
        with self._file.reading() as connection:
            ask = f"SELECT * FROM gates WHERE gate = ? AND {sound(connection, 'gates')}"  # noqa: S608
            row = connection.execute(ask, (gate,)).fetchone()
        if row is None or not _are_keys(row["keys"]):
            raise NoSuchGateError(gate)
        return _gate(row)

    def keys(self) -> dict[str, str]:
        """The public keys of each."""
        with self._file.reading() as connection:
            ask = f"SELECT gate, keys FROM gates WHERE {sound(connection, 'gates')} ORDER BY gate"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return {gate: keys for gate, keys in rows if is_text(gate) and _are_keys(keys)}

    def keys_of(self, gate: str) -> str | None:
        """The public keys of one; None where it is none."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
        return None if row is None else str(row[0])

    def certify(self, gate: str, serial: str, certificate: str) -> None:
        """A gate is given a certificate. Raises `NoSuchGateError` for one that was retired meanwhile: it is given none,
        for nobody would take it back.
        """
        with self._file.writing() as connection:
            row = (serial, certificate, gate)
            if not connection.execute("UPDATE gates SET serial = ?, certificate = ? WHERE gate = ?", row).rowcount:
                raise NoSuchGateError(gate)
            self.issue(gate, serial)

    def issue(self, gate: str, serial: str) -> None:
        """A certificate was signed; all of a gate's are taken back together."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO issued (serial, gate) VALUES (?, ?)", (serial, gate))

    def revoke(self, gate: str) -> None:
        """Take back every certificate that a gate was ever given."""
        with self._file.writing() as connection:
            connection.execute("UPDATE issued SET is_revoked = 1 WHERE gate = ?", (gate,))

    def revoked(self) -> list[str]:
        """The serial numbers of those that were taken back, the oldest first."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT serial FROM issued WHERE is_revoked ORDER BY rowid").fetchall()
        return [str(row[0]) for row in rows]

    def strike(self, gate: str, keys: Iterable[str], at: str) -> None:
        """A gate is none any more, and nobody may come with its keys again. `keys`: their names."""
        with self._file.writing() as connection:
            rows = [(gate, key, at) for key in keys]
            connection.executemany("REPLACE INTO retired VALUES (?, ?, ?)", rows)
            connection.execute("DELETE FROM gates WHERE gate = ?", (gate,))
        self.revoke(gate)

    def retired(self) -> dict[str, str]:
        """The gates that were retired, with the time; by name."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT gate, max(at) FROM retired GROUP BY gate ORDER BY gate").fetchall())

    def was_struck(self, keys: Iterable[str]) -> bool:
        """Whether any of these keys was a retired gate's."""
        with self._file.reading() as connection:
            ask = "SELECT count(*) FROM retired WHERE key = ?"
            return any(connection.execute(ask, (key,)).fetchone()[0] for key in keys)

    def add(self, gate: str, keys: str, serial: str, n: int) -> str | None:
        """A gate was paired, or paired anew; gives the keys that it had before."""
        with self._file.writing() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
            connection.execute(
                "INSERT INTO gates (gate, keys, serial, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (gate) DO UPDATE SET keys = excluded.keys, serial = excluded.serial,"
                " verifiers = NULL, holds = 0",
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
            if row is None:
                raise NoSuchGateError(gate)
            return int(row[0])

    def keep_verifiers(self, gate: str, sealed: bytes) -> None:
        """Keep them."""
        with self._file.writing() as connection:
            connection.execute("UPDATE gates SET verifiers = ? WHERE gate = ?", (sealed, gate))

    def holds(self, gate: str, n: int) -> None:
        """It says that it has everything up to this number."""
        with self._file.writing() as connection:
            connection.execute("UPDATE gates SET holds = max(holds, ?) WHERE gate = ?", (n, gate))

    def last_number(self, gate: str) -> int:
        """The newest number of a command."""
        return self.number(gate, 0)

    def number(self, gate: str, step: int = 1) -> int:
        """The next number for a command, higher than every one before."""
        with self._file.writing() as connection:
            count = "UPDATE gates SET number = number + ? WHERE gate = ? RETURNING number"
            row = connection.execute(count, (step, gate)).fetchone()
            if row is None:
                raise NoSuchGateError(gate)
            return int(row[0])


@lru_cache(maxsize=4096)
def _are_keys(keys: str) -> bool:
    """Whether these are a gate's public keys; with others nothing can be said to it, and nothing of it be heard."""
    try:
        Party.parse(keys)
    except WireError:
        return False
    return True


def _gate(row: sqlite3.Row) -> Gate:
    status = None
    with suppress(*UNDECODABLE):  # of a damaged one nothing is known, until it says it again
        status = None if row["status"] is None else msgspec.json.decode(row["status"], type=Status)
    return Gate(
        row["gate"],
        row["keys"],
        row["serial"],
        row["since"],
        row["beat"],
        row["heard"],
        status,
        row["seen_at"] if is_moment(row["seen_at"]) else None,
        row["certificate"],
        row["holds"],
    )
