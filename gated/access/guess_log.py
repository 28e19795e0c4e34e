"""guesses.db: what is spent of the PIN budget, so that no restart gives it back. Rows live for a day.

A guess is on disk before its answer is told, and one that was right goes with the next write: a power cut at any moment
leaves a guess counted. Doors and households are digests under a random salt; what was typed is nowhere. Nobody's door
depends on the file: without it the budget is in memory alone.

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
from gated.access.guesses import Counted, Guess
from gated.errors import StateError, TornError
from gated.pin.budget import DAY_S
from gated.rescue import set_aside

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
)
PLACE_BYTES = 8
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
                connection.execute("DELETE FROM guesses WHERE at <= ?", (now - DAY_S,))
                connection.executemany("INSERT OR IGNORE INTO guesses VALUES (?, ?, ?)", rows)
                connection.executemany("DELETE FROM guesses WHERE number = ?", [(number,) for number in gone])
                connection.execute("UPDATE clock SET at = max(at, ?)", (now,))
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
        clock = connection.execute("SELECT at, salt FROM clock").fetchone()
        if clock is None or not isfinite(clock[0]) or not 0 < len(clock[1]) <= MOST_SALT_BYTES:
            raise sqlite3.DatabaseError("its clock is damaged")
        self._base, self._salt = clock
        ask = "SELECT number, place, at FROM guesses WHERE at > ? AND at <= ? ORDER BY at, number"
        rows = connection.execute(ask, (self._base - DAY_S, self._base))
        self.counted = [(place.hex(), Counted(number, at)) for number, place, at in rows]

    def _fails(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            log.error("wrong PINs are counted in memory alone, this time: %s", error)
