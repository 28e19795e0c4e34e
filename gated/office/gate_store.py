"""Stores the gates of the site: their keys, certificates, and the newest status of each."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from gated.errors import OfficeError, WireError
from gated.office.database_file import OfficeFile
from gated.protocol.jose import Party
from gated.protocol.pairing_code import NAME
from gated.protocol.status_messages import VERIFIERS, Status
from gated.storage.valid_rows import is_moment, sound
from gated.wording import UNDECODABLE

MOST = 2**53
"""The largest number in a message. A larger one in a row is damage."""


def _whole(connection: sqlite3.Connection) -> str:
    """Return the SQL condition for a valid gate row with counters below their limit (for WHERE)."""
    counters = " AND ".join(f"{name} BETWEEN 0 AND {MOST}" for name in ("beat", "heard", "number", "since", "holds"))
    return f"{sound(connection, 'gates')} AND {counters}"


def is_gate_name(text: str) -> bool:
    """Return whether a text can be the name of a gate. A damaged name could subscribe to the topics of other gates."""
    return re.fullmatch(NAME, text, re.ASCII) is not None


class NoSuchGateError(OfficeError):
    """No gate of the site has this name. A gate may be retired at any moment."""

    def __init__(self, gate: str) -> None:
        super().__init__(f"this office has no gate {gate!r}; `gated office gates` lists its gates")


@dataclass(frozen=True, slots=True)
class PairedGate:
    """One gate of the site."""

    gate: str
    keys: str
    """The gate's public keys, a JWK set."""
    serial: str
    """Serial number of the gate's certificate, in hex."""
    since: int
    """Number of the gate's record at its first pairing. The gate owes no receipts for people removed before."""
    heartbeat: int
    """Number of the newest heartbeat (`Heartbeat`) sent to the gate."""
    echoed: int
    """Number of the newest heartbeat that the gate echoed."""
    status: Status | None
    seen_at: str | None
    """Time of the newest message proven fresh; UTC, ISO 8601. None before the first."""
    certificate: str = ""
    """The newest certificate issued to the gate (PEM). Empty if issued before this was stored."""
    holds: int = 0
    """The gate has reported all records up to this number since its pairing."""

    @property
    def is_outdated(self) -> bool:
        """Return whether the gate is online but too old for digests. It is told only about removals and suspensions."""
        return self.status is not None and self.status.state == "online" and VERIFIERS not in self.status.can


class GateStore:
    """The table of gates. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def all(self) -> list[PairedGate]:
        """Return the gates by name. Omits damaged rows."""
        with self._file.reading() as connection:
            ask = f"SELECT * FROM gates WHERE {_whole(connection)} ORDER BY gate"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return [_gate(row) for row in rows if is_gate_name(row["gate"]) and _are_keys(row["keys"])]

    def get(self, gate: str) -> PairedGate:
        """Return one gate. Raises `NoSuchGateError`."""
        with self._file.reading() as connection:
            ask = f"SELECT * FROM gates WHERE gate = ? AND {_whole(connection)}"  # noqa: S608
            row = connection.execute(ask, (gate,)).fetchone()
        if row is None or not _are_keys(row["keys"]):
            raise NoSuchGateError(gate)
        return _gate(row)

    def keys(self) -> dict[str, str]:
        """Return the public keys of each gate."""
        with self._file.reading() as connection:
            ask = f"SELECT gate, keys FROM gates WHERE {_whole(connection)} ORDER BY gate"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return {gate: keys for gate, keys in rows if is_gate_name(gate) and _are_keys(keys)}

    def keys_of(self, gate: str) -> str | None:
        """Return the public keys of one gate; None for an unknown gate."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
        return None if row is None else str(row[0])

    def certify(self, gate: str, serial: str, certificate: str) -> None:
        """Store the certificate issued to a gate.

        Raises `NoSuchGateError` if the gate was retired meanwhile. It gets no certificate, because nobody would revoke
        it.
        """
        with self._file.writing() as connection:
            row = (serial, certificate, gate)
            if not connection.execute("UPDATE gates SET serial = ?, certificate = ? WHERE gate = ?", row).rowcount:
                raise NoSuchGateError(gate)
            self.issue(gate, serial)

    def issue(self, gate: str, serial: str) -> None:
        """Record the serial number of an issued certificate. `revoke` revokes all certificates of a gate together."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO issued (serial, gate) VALUES (?, ?)", (serial, gate))

    def revoke(self, gate: str) -> None:
        """Revoke every certificate ever issued to a gate."""
        with self._file.writing() as connection:
            connection.execute("UPDATE issued SET is_revoked = 1 WHERE gate = ?", (gate,))

    def revoked(self) -> list[str]:
        """Return the serial numbers of revoked certificates, oldest first."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT serial FROM issued WHERE is_revoked ORDER BY rowid").fetchall()
        return [str(row[0]) for row in rows]

    def retire(self, gate: str, keys: Iterable[str], at: str) -> None:
        """Remove a gate, revoke its certificates and bar its keys from pairing again. `keys`: the names of its keys."""
        with self._file.writing() as connection:
            rows = [(gate, key, at) for key in keys]
            connection.executemany("REPLACE INTO retired VALUES (?, ?, ?)", rows)
            connection.execute("DELETE FROM gates WHERE gate = ?", (gate,))
        self.revoke(gate)

    def retired(self) -> dict[str, str]:
        """Return the retired gates by name, each with the time of its newest retirement."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT gate, max(at) FROM retired GROUP BY gate ORDER BY gate").fetchall())

    def any_retired(self, keys: Iterable[str]) -> bool:
        """Return whether any of these keys belonged to a retired gate."""
        with self._file.reading() as connection:
            ask = "SELECT count(*) FROM retired WHERE key = ?"
            return any(connection.execute(ask, (key,)).fetchone()[0] for key in keys)

    def add(self, gate: str, keys: str, serial: str, n: int) -> str | None:
        """Store a paired gate, new or known, and return its former keys; None for a new gate."""
        with self._file.writing() as connection:
            row = connection.execute("SELECT keys FROM gates WHERE gate = ?", (gate,)).fetchone()
            connection.execute(
                "INSERT INTO gates (gate, keys, serial, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (gate) DO UPDATE SET keys = excluded.keys, serial = excluded.serial,"
                " verifiers = NULL, holds = 0",
                (gate, keys, serial, n),
            )
        return None if row is None else str(row[0])

    def record_status(self, gate: str, status: Status, *, is_changed: bool, is_fresh: bool, at: str) -> int:
        """Record a status and return the number of the heartbeat that answers it.

        Stores the content only if `is_changed`, and the time only if `is_fresh`. Raises `NoSuchGateError`.
        """
        content = msgspec.json.encode(status) if is_changed else None
        step = 1 if status.state == "online" else 0
        with self._file.writing() as connection:
            row = connection.execute(
                "UPDATE gates SET beat = max(beat, ?) + ?, heard = max(heard, ?), status = ifnull(?, status),"
                " seen_at = iif(?, ?, seen_at) WHERE gate = ? RETURNING beat",
                (status.heard, step, status.heard, content, is_fresh, at, gate),
            ).fetchone()
            if row is None:
                raise NoSuchGateError(gate)
            return int(row[0])

    def store_digest_keys(self, gate: str, sealed: bytes) -> None:
        """Store the gate's sealed keys for card and PIN digests."""
        with self._file.writing() as connection:
            connection.execute("UPDATE gates SET verifiers = ? WHERE gate = ?", (sealed, gate))

    def record_version(self, gate: str, n: int) -> None:
        """Record that the gate reports to have everything up to this number."""
        with self._file.writing() as connection:
            connection.execute("UPDATE gates SET holds = max(holds, ?) WHERE gate = ?", (n, gate))

    def command_number(self, gate: str) -> int:
        """Return the newest command number of a gate. Raises `NoSuchGateError`."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT number FROM gates WHERE gate = ?", (gate,)).fetchone()
        if row is None:
            raise NoSuchGateError(gate)
        return int(row[0])

    def advance_command_number(self, gate: str, step: int = 1) -> int:
        """Raise the gate's command number by `step` and return it. Raises `NoSuchGateError`."""
        with self._file.writing() as connection:
            count = "UPDATE gates SET number = number + ? WHERE gate = ? RETURNING number"
            row = connection.execute(count, (step, gate)).fetchone()
            if row is None:
                raise NoSuchGateError(gate)
            return int(row[0])


@lru_cache(maxsize=4096)
def _are_keys(keys: str) -> bool:
    """Return whether this text holds a gate's public keys. Without them no message can be sealed or verified."""
    try:
        Party.parse(keys)
    except WireError:
        return False
    return True


def _gate(row: sqlite3.Row) -> PairedGate:
    status = None
    with suppress(*UNDECODABLE):  # ignore a damaged status; the gate soon sends another
        status = None if row["status"] is None else msgspec.json.decode(row["status"], type=Status)
    return PairedGate(
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
