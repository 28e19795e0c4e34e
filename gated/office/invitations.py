"""Which gates the office expects: a code each, good once, as long as the office said. Only a digest of a code is kept,
in `invitations.db`.

Wrong tries are counted and harm nobody: the 80 bits of a code cannot be guessed, and a code that wrong tries could kill
would be in the hand of every stranger.

A code that was used is good for ten minutes more for the same gate with the same keys: its answer may have been lost.
Times are the office's own seconds since 1970, because two processes and a restart lie between giving and taking.
"""

import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gated import database
from gated.errors import StateError

VALID_S = 3600.0
"""So long where nobody says otherwise."""
LONGEST_DAYS = 30
"""A code on paper can be copied: whoever installs a gate later asks for a new one."""
DAY_S = 86_400.0
REPEAT_S = 600.0

MIGRATIONS = [
    """
    CREATE TABLE invitation (
        gate TEXT PRIMARY KEY, code TEXT NOT NULL, given_at REAL NOT NULL, wrong INTEGER NOT NULL,
        keys TEXT, used_at REAL
    ) STRICT
    """,
    """
    ALTER TABLE invitation ADD COLUMN valid_s REAL NOT NULL DEFAULT 3600
    -- back
    ALTER TABLE invitation DROP COLUMN valid_s
    """,
]

Verdict = Literal["good", "wrong", "old", "spent"]


class Invitation(NamedTuple):
    """What is kept of one: the digest of its code, and how long it is good.

    `keys`: who used it, by the names of its keys; None until then.
    """

    code: str
    given_at: float
    wrong: int
    keys: str | None
    used_at: float | None
    valid_s: float = VALID_S

    @property
    def ends_at(self) -> float:
        """When the code is too old."""
        return self.given_at + self.valid_s


def judge(invitation: Invitation | None, code: str, keys: str, at: float) -> Verdict:
    """What is to be said to a gate with that code and those keys. Whoever has no right code learns nothing more."""
    if invitation is None or not hmac.compare_digest(invitation.code, code):
        return "wrong"
    if invitation.used_at is not None:
        is_again = invitation.keys == keys and 0 <= at - invitation.used_at <= REPEAT_S
        return "good" if is_again else "spent"
    return "good" if invitation.given_at <= at <= invitation.ends_at else "old"


class Invitations:
    """Those of one office; whoever gives one and whoever takes it may be two processes. Raises `StateError`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "invitations.db"
        self._connection = database.connect(self._path, MIGRATIONS)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def invite(self, gate: str, code: str, at: float, valid_s: float = VALID_S) -> None:
        """Expect a gate for so long; an earlier code of the same gate is good no more."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO invitation (gate, code, given_at, wrong, keys, used_at, valid_s) "
                "VALUES (?, ?, ?, 0, NULL, NULL, ?)",
                (gate, code, at, valid_s),
            )

    def open(self, at: float) -> dict[str, Invitation]:
        """The gates whose code would still be taken."""
        with self._writing() as connection:
            gates = [str(row[0]) for row in connection.execute("SELECT gate FROM invitation ORDER BY gate")]
            found = {gate: invitation for gate in gates if (invitation := _find(connection, gate)) is not None}
        return {gate: each for gate, each in found.items() if judge(each, each.code, "", at) == "good"}

    def cancel(self, gate: str) -> bool:
        """Expect a gate no more; whether it was expected."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM invitation WHERE gate = ?", (gate,)).rowcount == 1

    def knows(self, gate: str, code: str) -> bool:
        """Whether that is the gate's code, whatever it is still good for. Counts nothing."""
        try:
            found = _find(self._connection, gate)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found is not None and hmac.compare_digest(found.code, code)

    def look(self, gate: str, code: str, keys: str, at: float) -> Verdict:
        """Judge a try, and count it when it is wrong."""
        with self._writing() as connection:
            verdict = judge(_find(connection, gate), code, keys, at)
            if verdict == "wrong":
                connection.execute("UPDATE invitation SET wrong = wrong + 1 WHERE gate = ?", (gate,))
            return verdict

    def use(self, gate: str, code: str, keys: str, at: float) -> Verdict:
        """Judge once more, and if it is good, give it to those keys: of two that come at once one is "spent"."""
        with self._writing() as connection:
            verdict = judge(_find(connection, gate), code, keys, at)
            if verdict == "good":
                change = "UPDATE invitation SET keys = ?, used_at = coalesce(used_at, ?) WHERE gate = ?"
                connection.execute(change, (keys, at, gate))
            return verdict

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with database.transaction(self._connection) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StateError:
        return StateError(f"{self._path}: cannot be used ({error}); see that the disk is not full")


def _find(connection: sqlite3.Connection, gate: str) -> Invitation | None:
    names = ", ".join(Invitation._fields)
    row: Any = connection.execute(f"SELECT {names} FROM invitation WHERE gate = ?", (gate,)).fetchone()  # noqa: S608
    return None if row is None else Invitation(*row)
