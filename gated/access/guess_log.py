"""guesses.db: what is spent of the PIN budget, so that no restart gives it back. Rows live for a day.

A guess is on disk before its answer is told, and one that was right goes with the next write: a power cut at any moment
leaves a guess counted. Doors and households are digests under a random salt; what was typed is nowhere. Nobody's door
depends on the file: without it the budget is in memory alone.

A damaged row gives no guess back. Nobody knows any more where it counted, so it counts everywhere, for a day. Where the
clock's row is damaged, so does each guess, for the clock tells how old they are and the salt where they count.

Time is `clock`, the seconds that the gate has run: a power cut does not age a guess, and no time of day is trusted.
"""

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from hashlib import blake2b
from math import isfinite
from pathlib import Path

from gated import database
from gated.access.guesses import EVERYWHERE, Counted, Guess
from gated.errors import StateError, TornError
from gated.pin.budget import DAY_S
from gated.rescue import set_aside
from gated.soundness import sound, with_copies, without_copies

log = logging.getLogger(__name__)

NAME = "guesses.db"
MIGRATIONS = (
    """
    CREATE TABLE guesses (number INTEGER NOT NULL, place BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (number, place))
        STRICT, WITHOUT ROWID;
    CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL, salt BLOB NOT NULL) STRICT;
    INSERT INTO clock VALUES (1, 0, randomblob(16))
    -- back
    DROP TABLE clock;
    DROP TABLE guesses;
    """,
    f"""
    CREATE TABLE new (number INTEGER NOT NULL, place BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (number, place))
        STRICT;
    INSERT OR IGNORE INTO new SELECT
        iif(typeof(number) = 'integer', number, 0),
        iif(typeof(place) = 'blob', place, x''),
        iif(typeof(at) = 'real', at, 9e99)
        FROM guesses;
    DROP TABLE guesses;
    ALTER TABLE new RENAME TO guesses;
    {with_copies("guesses", "", {"number": "integer", "place": "blob", "at": "real"})}
    {with_copies("clock", "", {"at": "real", "salt": "blob"})}
    {database.BACK}
    {without_copies("clock")}
    CREATE TABLE old (number INTEGER NOT NULL, place BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (number, place))
        STRICT, WITHOUT ROWID;
    INSERT INTO old SELECT number, place, at FROM guesses;
    DROP TABLE guesses;
    ALTER TABLE old RENAME TO guesses;
    """,  # noqa: S608 - constants
)
PLACE_BYTES = 8
WRITE = "INSERT OR IGNORE INTO guesses (number, place, at) VALUES (?, ?, ?)"
MOST_NUMBER = 2**60
MOST_SALT_BYTES = 64
"""Of a key of BLAKE2b (RFC 7693)."""
KEEP_S = 600.0
"""So often the clock is written down while something is counted."""


class GuessLog:
    """One process's. Opened in any thread, used in one; what fails is logged once, and then the memory alone counts."""

    def __init__(self, state: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open it, or begin it; raises nothing."""
        self._path, self._monotonic = state / NAME, monotonic
        self._connection: sqlite3.Connection | None = None
        self._salt, self._began, self._base = secrets.token_bytes(16), monotonic(), 0.0
        self._gone: list[int] = []
        self._is_told = False
        self.counted: list[tuple[str, Counted]] = []
        """What counted when the gate was stopped: places as `place` gives them, the oldest first."""
        self._open()
        self._kept_at = self.now()

    def now(self) -> float:
        """Seconds that the gate has run, over restarts."""
        return self._base + self._monotonic() - self._began

    def place(self, name: str) -> str:
        """What stands for a door or a household here, and tells nobody which."""
        return blake2b(name.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=PLACE_BYTES).hexdigest()

    def write(self, guess: Guess) -> None:
        """A guess is looked at now; on disk when this returns, where the disk lets it."""
        rows = [(guess.number, bytes.fromhex(place), guess.at) for place in guess.places]
        self._change(rows if guess.is_new else [])

    def right(self, guess: Guess) -> None:
        """It was none; this goes with the next write, for nobody waits for it."""
        self._gone.append(guess.number)

    @property
    def is_due(self) -> bool:
        """Whether the clock was not written down for long."""
        return self.now() - self._kept_at >= KEEP_S

    def keep(self) -> None:
        """Let the clock go on over a power cut as well."""
        self._change([])

    def close(self) -> None:
        """Give the file back; what was right is gone from it."""
        if self._connection is not None:
            self._change([])
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _change(self, rows: list[tuple[int, bytes, float]]) -> None:
        """All or nothing, with the clock, and without what is over. What fails is logged once."""
        if self._connection is None:
            return
        now, gone = self.now(), list(self._gone)
        try:
            with database.transaction(self._connection) as connection:
                is_sound = sound(connection, "guesses")  # a damaged one stays for the next start, which counts it
                connection.execute(f"DELETE FROM guesses WHERE at <= ? AND {is_sound}", (now - DAY_S,))  # noqa: S608
                connection.executemany(WRITE, rows)
                right = f"DELETE FROM guesses WHERE number = ? AND {is_sound}"  # noqa: S608 - our own
                connection.executemany(right, [(number,) for number in gone])
                self._set_clock(connection, now)
        except database.FAILS as error:
            self._fails(error)
        else:
            del self._gone[: len(gone)]
            self._kept_at, self._is_told = now, False

    def _open(self) -> None:
        try:
            self._connection = self._opened()
        except (StateError, *database.FAILS) as error:
            self._fails(error)

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = database.connect(self._path, MIGRATIONS)
            self._read(connection)
        except (TornError, *database.FAILS):
            if not database.only_looks():
                set_aside(self._path)
            connection = database.connect(self._path, MIGRATIONS)
            self._read(connection)
        return connection

    def _read(self, connection: sqlite3.Connection) -> None:
        """What counts, and where the clock stood; after that time goes on from there."""
        connection.execute("SELECT 1 FROM guesses, clock LIMIT 1")  # raises where one of them is not there
        rows, clock = _guesses(connection), _clock(connection)
        self._base, self._salt = clock or (rows[-1][2] if rows else 0.0, self._salt)
        found = [(place.hex(), Counted(number, at)) for number, place, at in rows if clock and at <= self._base]
        lost = int(connection.execute("SELECT count(*) FROM guesses").fetchone()[0]) - len(found)
        first = max((one.number for _, one in found), default=0) + 1
        anywhere = [(EVERYWHERE, Counted(number, self._base)) for number in range(first, first + lost)]
        self.counted = [*((place, one) for place, one in found if one.at > self._base - DAY_S), *anywhere]
        if lost or not clock:
            rows_of = f"{lost} of guesses{'' if clock else ', and the clock'}"
            log.error("%s: damaged rows are left out (%s); a guess counts everywhere for a day then", NAME, rows_of)
            self._mend(connection)

    def _mend(self, connection: sqlite3.Connection) -> None:
        """Write down what counts now, so that it counts for a day and no longer."""
        try:
            with database.transaction(connection):
                connection.execute("DELETE FROM guesses")
                rows = [(one.number, bytes.fromhex(place), one.at) for place, one in self.counted]
                connection.executemany(WRITE, rows)
                self._set_clock(connection, self._base)
        except database.FAILS as error:
            self._fails(error)

    def _set_clock(self, connection: sqlite3.Connection, now: float) -> None:
        stood = f"SELECT at FROM clock WHERE {sound(connection, 'clock')}"  # noqa: S608 - our own
        connection.execute(
            f"REPLACE INTO clock (one, at, salt) VALUES (1, max(?, ifnull(({stood}), 0)), ?)",  # noqa: S608
            (now, self._salt),
        )

    def _fails(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            log.error("wrong PINs are counted in memory alone, this time: %s", error)


def _clock(connection: sqlite3.Connection) -> tuple[float, bytes] | None:
    """Where the clock stood, and the salt; None where that is damaged."""
    row = connection.execute(f"SELECT at, salt FROM clock WHERE {sound(connection, 'clock')}").fetchone()  # noqa: S608
    is_right = row is not None and isfinite(row[0]) and row[0] >= 0 and 0 < len(row[1]) <= MOST_SALT_BYTES
    return (row[0], row[1]) if is_right else None


def _guesses(connection: sqlite3.Connection) -> list[tuple[int, bytes, float]]:
    """The sound ones, the oldest first."""
    ask = f"SELECT number, place, at FROM guesses WHERE {sound(connection, 'guesses')} ORDER BY at, number"  # noqa: S608
    rows = [(row[0], row[1], row[2]) for row in connection.execute(ask)]
    return [row for row in rows if 0 <= row[0] <= MOST_NUMBER and isfinite(row[2])]
