"""Count the uses of visitor passes in passes.db. Used by `credential_service`."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gated.access.access_rules import Refusal
from gated.access.pass_keys import PassKey
from gated.access.passes import LATEST_S, VisitorPass, read_pass
from gated.errors import StateError
from gated.storage import database, migrations, sql
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.valid_rows import copy_of, in_words, left_out, sound, with_copies, without_copies

log = logging.getLogger(__name__)

REMEMBERED_FOR = timedelta(days=30)
"""How long after its end a used pass keeps a row in the ledger."""

MIGRATIONS = (
    """
    CREATE TABLE spent (pass BLOB PRIMARY KEY, uses INTEGER NOT NULL, not_after INTEGER NOT NULL) STRICT;
    CREATE TABLE horizon (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
    INSERT INTO horizon VALUES (1, 0)
    """,
    f"""
    {with_copies("spent", "", {"pass": "blob", "uses": "integer", "not_after": "integer"})}
    {with_copies("horizon", "", {"one": "integer", "at": "integer"})}
    {migrations.BACK}
    {without_copies("spent")}
    {without_copies("horizon")}
    """,
)


ORPHANED_ROW = (
    "(typeof(pass) != 'blob' OR length(pass) != 16) AND (typeof(copy) != 'text' OR instr(copy, char(31)) != 33)"
)
"""The SQL condition for a damaged row whose pass cannot be determined."""


@dataclass(frozen=True, slots=True)
class PassCheck:
    """The requirements for reading a visitor pass: the public site key, this site and gate, and the ledger of uses."""

    key: PassKey
    site: str
    gate: str
    ledger: "PassLedger"

    def read(self, text: str, door: str, at: datetime | None) -> VisitorPass | Refusal:
        """Return the pass in `text`, or why it opens nothing at this door and time; see `read_pass`."""
        return read_pass(text, self.key, self.site, self.gate, door, at=at)


class PassLedger:
    """passes.db: how often each pass was used at this gate. Only signed passes are stored, so attackers
    cannot fill it.
    """

    def __init__(self, state: Path) -> None:
        """Open or create the ledger. Raises `StateError`."""
        self._connection = database.connect(state / "passes.db", MIGRATIONS)
        with self._changing() as ledger:
            _repair(ledger)

    def spend(self, visitor_pass: VisitorPass, at: datetime) -> bool:
        """Count one use. Return False if no use is left. The use is on disk when this returns True.

        Refuses a pass that ended before the horizon. So an old pass does not become valid again after the clock was set
        back. Raises `StateError` if the disk fails. Then the use was not counted, and the door must stay closed.
        """
        with self._changing() as ledger:
            self._forget((at.astimezone(UTC) - REMEMBERED_FOR).timestamp())
            row = ledger.execute(f"SELECT at FROM horizon WHERE {sound(ledger, 'horizon')}").fetchone()  # noqa: S608
            if row is None:
                raise StateError("passes.db: is damaged; no pass opens until the gate is started again")
            if visitor_pass.not_after <= row[0] or self._is_damaged(visitor_pass):
                return False
            counted = ledger.execute(
                "INSERT INTO spent (pass, uses, not_after) VALUES (?, 1, ?)"
                " ON CONFLICT (pass) DO UPDATE SET uses = uses + 1 WHERE uses < ?",
                (visitor_pass.id, visitor_pass.not_after, visitor_pass.uses),
            )
            return counted.rowcount == 1

    def _is_damaged(self, visitor_pass: VisitorPass) -> bool:
        """Return whether a damaged row may belong to this pass. Its uses are then unknown."""
        is_of_pass = f"(pass = ?1 OR substr(copy, 1, length(?2)) = ?2) AND NOT ({sound(self._connection, 'spent')})"
        begins = copy_of(visitor_pass.credential.upper(), "")
        query = f"SELECT 1 FROM spent WHERE {is_of_pass}"  # noqa: S608 - our own
        return self._connection.execute(query, (visitor_pass.id, begins)).fetchone() is not None

    def give_back(self, visitor_pass: VisitorPass) -> None:
        """Return a counted use, because the door could not be released. It is on disk when this returns.

        Does nothing for a forgotten pass. Raises `StateError` if the disk fails. Then the use is lost.
        """
        with self._changing() as ledger:
            is_open_pass = f"pass = ? AND uses > 0 AND {sound(ledger, 'spent')}"
            ledger.execute(f"UPDATE spent SET uses = uses - 1 WHERE {is_open_pass}", (visitor_pass.id,))  # noqa: S608

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: all changes are on disk at its end, or none. Raises `StateError`."""
        try:
            with sql.transaction(self._connection) as ledger:
                yield ledger
        except SQL_ERRORS as error:
            advice = "check that the disk is not full; until then no pass opens"
            raise StateError(f"passes.db: cannot be written ({error}); {advice}") from error

    def _forget(self, before: float) -> None:
        """Delete passes that ended before `before` (seconds since 1970). Their latest end becomes the horizon."""
        old = f"not_after < ? AND {sound(self._connection, 'spent')}"  # a damaged row stays: its pass gains no use
        last = f"SELECT coalesce(max(not_after), 0) FROM spent WHERE {old}"  # noqa: S608 - our own
        further = f"UPDATE horizon SET at = max(at, ({last})) WHERE {sound(self._connection, 'horizon')}"  # noqa: S608
        self._connection.execute(further, (before,))
        self._connection.execute(f"DELETE FROM spent WHERE {old}", (before,))  # noqa: S608


def _repair(ledger: sqlite3.Connection) -> None:
    """Repair a ledger with damaged rows, so that no pass gains a use.

    A damaged row stays in the table, so that its pass does not open a door again. If the pass of a damaged row or the
    horizon is unknown, the horizon becomes the latest end of all undamaged rows. Then every pass that ends no later is
    refused.
    """
    counts = left_out(ledger, ("spent", "horizon"))
    if problem := in_words("passes.db", counts, "the passes of these rows do not open any more; issue new passes"):
        log.error("%s", problem)
    nobodys = ledger.execute(f"DELETE FROM spent WHERE {ORPHANED_ROW} AND NOT ({sound(ledger, 'spent')})").rowcount  # noqa: S608
    if nobodys or "horizon" in counts or ledger.execute("SELECT 1 FROM horizon").fetchone() is None:
        at = None if nobodys else _horizon(ledger)
        ledger.execute("DELETE FROM horizon")
        last = f"SELECT coalesce(?, max(not_after), 0) FROM spent WHERE {sound(ledger, 'spent')}"  # noqa: S608
        ledger.execute(f"INSERT INTO horizon (one, at) SELECT 1, ({last})", (at,))


def _horizon(ledger: sqlite3.Connection) -> int | None:
    """Return the horizon from a damaged row: the later possible value of the two stored ones, or None.

    A horizon is possible if it is before the end of every remembered pass.
    """
    row = ledger.execute("SELECT at, copy FROM horizon").fetchone()
    first = ledger.execute(f"SELECT min(not_after) FROM spent WHERE {sound(ledger, 'spent')}").fetchone()[0]  # noqa: S608
    most = LATEST_S if first is None else first
    stored = [] if row is None else [str(row["at"]), str(row["copy"]).removeprefix(copy_of("1", ""))]
    times = [int(each) for each in stored if each.isdecimal() and len(each) <= len(str(LATEST_S))]
    return max((each for each in times if each < most), default=None)
