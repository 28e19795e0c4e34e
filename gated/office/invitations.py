"""Stores the invited gates in `invitations.db`: a pairing code for each, valid once and for a limited time.

It stores only a digest of a code. Wrong tries are counted but do not disable a code. A code has 80 bits and cannot be
guessed, and a limit would let any stranger disable it.

A used code stays valid for ten more minutes, for the same gate with the same keys, because the answer may be lost.
Times are seconds since 1970 of the office's clock, because creation and use may be in different processes, or before
and after a restart.
"""

import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gated.errors import StateError
from gated.storage import database, sql
from gated.storage.valid_rows import sound

VALID_S = 3600.0
"""Default validity of a code, in seconds."""
LONGEST_DAYS = 30
"""Limit for a code's validity, in days. A code on paper can be copied, so a later installation needs a new one."""
DAY_S = 86_400.0
REPEAT_S = 600.0
"""Time in seconds during which the same gate may use its code again."""

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
    """One invitation: the digest of its code and its validity.

    `keys`: names of the keys that used the code; None until then. Times in seconds since 1970.
    """

    code: str
    given_at: float
    wrong: int
    keys: str | None
    used_at: float | None
    valid_s: float = VALID_S

    @property
    def is_whole(self) -> bool:
        """Return whether the values fit together, as `Invitations` writes them."""
        is_limited = 0 < self.valid_s <= LONGEST_DAYS * DAY_S and isfinite(self.given_at)
        return is_limited and self.code.isascii() and (self.keys is None) == (self.used_at is None)

    @property
    def ends_at(self) -> float:
        """Return the time at which the code expires."""
        return self.given_at + self.valid_s


def judge(invitation: Invitation | None, code: str, keys: str, at: float) -> Verdict:
    """Judge a try with this code and these keys. A gate with a wrong code learns nothing more."""
    if invitation is None or not hmac.compare_digest(invitation.code, code):
        return "wrong"
    if invitation.used_at is not None:
        is_again = invitation.keys == keys and 0 <= at - invitation.used_at <= REPEAT_S
        return "good" if is_again else "spent"
    return "good" if invitation.given_at <= at <= invitation.ends_at else "old"


class Invitations:
    """The invitations of one office.

    Different processes may create and use one. Every method may raise `StateError`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "invitations.db"
        self._connection = database.connect(self._path, MIGRATIONS)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def invite(self, gate: str, code: str, at: float, valid_s: float = VALID_S) -> None:
        """Invite a gate for `valid_s` seconds. An earlier code of the same gate becomes invalid."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO invitation (gate, code, given_at, wrong, keys, used_at, valid_s) "
                "VALUES (?, ?, ?, 0, NULL, NULL, ?)",
                (gate, code, at, valid_s),
            )

    def open(self, at: float) -> dict[str, Invitation]:
        """Return the gates whose code is still valid."""
        with self._writing() as connection:
            gates = [str(row[0]) for row in connection.execute("SELECT gate FROM invitation ORDER BY gate")]
            found = {gate: invitation for gate in gates if (invitation := _find(connection, gate)) is not None}
        return {gate: each for gate, each in found.items() if judge(each, each.code, "", at) == "good"}

    def cancel(self, gate: str) -> bool:
        """Cancel a gate's invitation; return whether there was one."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM invitation WHERE gate = ?", (gate,)).rowcount == 1

    def knows(self, gate: str, code: str) -> bool:
        """Return whether this is the gate's code, valid or not. Counts no try."""
        try:
            found = _find(self._connection, gate)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found is not None and hmac.compare_digest(found.code, code)

    def judge_try(self, gate: str, code: str, keys: str, at: float) -> Verdict:
        """Judge a try, and count it if the code is wrong."""
        with self._writing() as connection:
            verdict = judge(_find(connection, gate), code, keys, at)
            if verdict == "wrong":
                of = f"gate = ? AND {sound(connection, 'invitation')}"
                count = "wrong = min(wrong, 999999) + 1"  # a damaged count may be the greatest integer
                connection.execute(f"UPDATE invitation SET {count} WHERE {of}", (gate,))  # noqa: S608
            return verdict

    def use(self, gate: str, code: str, keys: str, at: float) -> Verdict:
        """Judge a try again and, if valid, bind the code to these keys.

        Of two tries at the same time, one gets "spent".
        """
        with self._writing() as connection:
            verdict = judge(_find(connection, gate), code, keys, at)
            if verdict == "good":
                change = "UPDATE invitation SET keys = ?, used_at = coalesce(used_at, ?) WHERE gate = ?"
                connection.execute(change, (keys, at, gate))
            return verdict

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with sql.transaction(self._connection) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StateError:
        return StateError(f"{self._path}: cannot be used ({error}); check that the disk is not full")


def _find(connection: sqlite3.Connection, gate: str) -> Invitation | None:
    """Return a gate's invitation. A damaged invitation counts as none: its code pairs no gate."""
    names, is_sound = ", ".join(Invitation._fields), sound(connection, "invitation")
    ask = f"SELECT {names} FROM invitation WHERE gate = ? AND {is_sound}"  # noqa: S608 - our own names
    row: Any = connection.execute(ask, (gate,)).fetchone()
    found = None if row is None else Invitation(*row)
    return found if found is not None and found.is_whole else None
