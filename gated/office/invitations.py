"""Which gates the office expects: a code each, good once, for an hour, for five wrong tries. Of a code only a digest is
kept, in `invitations.db`.

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
REPEAT_S = 600.0
MOST_WRONG = 5

MIGRATIONS = [
    """
    CREATE TABLE invitation (
        gate TEXT PRIMARY KEY, code TEXT NOT NULL, given_at REAL NOT NULL, wrong INTEGER NOT NULL,
        keys TEXT, used_at REAL
    ) STRICT
    """,
]

Verdict = Literal["good", "wrong", "locked", "old", "spent"]


class Invitation(NamedTuple):
    """What is kept of one: the digest of its code, and who used it, by the names of its keys; None until then."""

    code: str
    given_at: float
    wrong: int
    keys: str | None
    used_at: float | None


def judge(invitation: Invitation | None, code: str, keys: str, at: float) -> Verdict:
    """What is to be said to a gate with that code and those keys. Whoever has no right code learns nothing more."""
    if invitation is None:
        return "wrong"
    if invitation.wrong >= MOST_WRONG:
        return "locked"
    if not hmac.compare_digest(invitation.code, code):
        return "wrong"
    if invitation.used_at is not None:
        is_again = invitation.keys == keys and 0 <= at - invitation.used_at <= REPEAT_S
        return "good" if is_again else "spent"
    return "good" if 0 <= at - invitation.given_at <= VALID_S else "old"


class Invitations:
    """Those of one office; whoever gives one and whoever takes it may be two processes. Raises `StateError`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "invitations.db"
        self._connection = database.connect(self._path, MIGRATIONS)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def invite(self, gate: str, code: str, at: float) -> None:
        """Expect a gate; an earlier code of the same gate is good no more."""
        with self._writing() as connection:
            row = (gate, code, at, 0, None, None)
            connection.execute("INSERT OR REPLACE INTO invitation VALUES (?, ?, ?, ?, ?, ?)", row)

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
            raise StateError(f"{self._path}: cannot be used ({error}); see that the disk is not full") from error


def _find(connection: sqlite3.Connection, gate: str) -> Invitation | None:
    names = ", ".join(Invitation._fields)
    row: Any = connection.execute(f"SELECT {names} FROM invitation WHERE gate = ?", (gate,)).fetchone()  # noqa: S608
    return None if row is None else Invitation(*row)
