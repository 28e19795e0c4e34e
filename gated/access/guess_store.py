"""Store the used PIN and card budget in guesses.db, so that a restart does not reset it. Rows live for one day.

A guess is on disk before its answer is given. A correct PIN is removed with the next write, so a power cut leaves it
counted. Doors and households are stored as digests under a random salt. The typed digits are never stored. The door
does not depend on this file: without it the budget is in memory only.

A damaged row still counts. Its place is unknown, so it counts at every place, for one day. The clock gives
the age of a guess, and the salt gives its place. If their row is damaged, every guess counts at every place. If the
file cannot be read at all, each place starts with wrong guesses: one fewer than an hour allows. So a correct PIN
still opens the door, and the first wrong PIN begins a rest.

Times are seconds that the gate has run (`now`). A power cut does not age a guess, and no wall clock is trusted.
"""

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from hashlib import blake2b
from math import isfinite
from pathlib import Path

from gated.access.guess_counts import EVERYWHERE, CountedGuess, Guess
from gated.errors import StateError, TornError
from gated.pin.budget import DAY_S
from gated.storage import database, migrations, sql
from gated.storage.read_only import is_read_only_mode
from gated.storage.rescue import set_aside
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.valid_rows import sound, with_copies, without_copies

log = logging.getLogger(__name__)

GUESSES_DB = "guesses.db"
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
    {migrations.BACK}
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
"""The longest salt that is accepted, in bytes: the longest key of BLAKE2b (RFC 7693)."""
CLOCK_INTERVAL_S = 600.0
"""The interval in seconds between writes of the clock while guesses count."""


class GuessStore:
    """The guess file of one process. Open it in any thread and use it in one. A failure is logged once per outage; then
    only memory counts.
    """

    def __init__(self, state: Path, monotonic: Callable[[], float] = time.monotonic, lost: int = 0) -> None:
        """Open or create the file. Never raises. `lost` is the number of guesses that an unreadable file counts for."""
        self._path, self._monotonic, self._lost = state / GUESSES_DB, monotonic, lost
        self._connection: sqlite3.Connection | None = None
        self._salt, self._began, self._base = secrets.token_bytes(16), monotonic(), 0.0
        self._correct: list[int] = []
        self._is_failure_logged = False
        self.restored: list[tuple[str, CountedGuess]] = []
        """The guesses that counted at the last stop, oldest first. A place is a digest or `EVERYWHERE`."""
        self._open()
        self._stored_at = self.now()

    def now(self) -> float:
        """Return the seconds that the gate has run in total, over all restarts."""
        return self._base + self._monotonic() - self._began

    def place(self, name: str) -> str:
        """Return a keyed digest of a door, reader or household, as hex. The digest does not reveal the name."""
        return blake2b(name.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=PLACE_BYTES).hexdigest()

    def write(self, guess: Guess) -> None:
        """Store a guess. It is on disk when this returns, if the disk works."""
        rows = [(guess.number, bytes.fromhex(place), guess.at) for place in guess.places]
        self._change(rows if guess.is_new else [])

    def remove_correct(self, guess: Guess) -> None:
        """Mark a guess as correct. The next write removes it, because nobody needs to wait for this."""
        self._correct.append(guess.number)

    @property
    def is_due(self) -> bool:
        """Return whether the clock was not stored for `CLOCK_INTERVAL_S`."""
        return self.now() - self._stored_at >= CLOCK_INTERVAL_S

    def store_clock(self) -> None:
        """Store the clock, so that it continues after a power cut."""
        self._change([])

    def close(self) -> None:
        """Remove correct guesses from the file, then close it."""
        if self._connection is not None:
            self._change([])
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _change(self, rows: list[tuple[int, bytes, float]]) -> None:
        """Store rows and the clock, and delete expired and correct guesses, in one transaction. A failure is logged
        once.
        """
        if self._connection is None:
            return
        now, correct = self.now(), list(self._correct)
        try:
            with sql.transaction(self._connection) as connection:
                is_sound = sound(connection, "guesses")  # a damaged row stays: the next start counts it
                connection.execute(f"DELETE FROM guesses WHERE at <= ? AND {is_sound}", (now - DAY_S,))  # noqa: S608
                connection.executemany(WRITE, rows)
                remove = f"DELETE FROM guesses WHERE number = ? AND {is_sound}"  # noqa: S608 - our own
                connection.executemany(remove, [(number,) for number in correct])
                self._set_clock(connection, now)
        except SQL_ERRORS as error:
            self._log_failure(error)
        else:
            del self._correct[: len(correct)]
            self._stored_at, self._is_failure_logged = now, False

    def _open(self) -> None:
        try:
            self._connection = self._opened()
        except (StateError, *SQL_ERRORS) as error:
            self._log_failure(error)

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = database.connect(self._path, MIGRATIONS)
            self._read(connection)
        except (TornError, *SQL_ERRORS):
            if not is_read_only_mode():
                set_aside(self._path)
            connection = database.connect(self._path, MIGRATIONS)
            self._read(connection)
            self.restored = [(EVERYWHERE, CountedGuess(number, self._base)) for number in range(1, self._lost + 1)]
            self._store_current(connection)
            log.error(
                "%s cannot be read and is replaced by a new file; %d guesses count at every place for a day",
                GUESSES_DB,
                self._lost,
            )
        return connection

    def _read(self, connection: sqlite3.Connection) -> None:
        """Read the guesses that still count and the stored clock. Time continues from the stored clock."""
        connection.execute("SELECT 1 FROM guesses, clock LIMIT 1")  # raises if a table is missing
        rows, clock = _sound_guesses(connection), _clock(connection)
        self._base, self._salt = clock or (rows[-1][2] if rows else 0.0, self._salt)
        found = [(place.hex(), CountedGuess(number, at)) for number, place, at in rows if clock and at <= self._base]
        lost = int(connection.execute("SELECT count(*) FROM guesses").fetchone()[0]) - len(found)
        first = max((guess.number for _, guess in found), default=0) + 1
        anywhere = [(EVERYWHERE, CountedGuess(number, self._base)) for number in range(first, first + lost)]
        self.restored = [*((place, guess) for place, guess in found if guess.at > self._base - DAY_S), *anywhere]
        if lost or not clock:
            rows_of = f"{lost} of guesses{'' if clock else ', and the clock'}"
            log.error(
                "%s: damaged rows are left out (%s); these guesses count at every door and household for a day",
                GUESSES_DB,
                rows_of,
            )
            self._store_current(connection)

    def _store_current(self, connection: sqlite3.Connection) -> None:
        """Store the current guesses: then replaced damaged rows count for one day only."""
        try:
            with sql.transaction(connection):
                connection.execute("DELETE FROM guesses")
                rows = [(guess.number, bytes.fromhex(place), guess.at) for place, guess in self.restored]
                connection.executemany(WRITE, rows)
                self._set_clock(connection, self._base)
        except SQL_ERRORS as error:
            self._log_failure(error)

    def _set_clock(self, connection: sqlite3.Connection, now: float) -> None:
        stood = f"SELECT at FROM clock WHERE {sound(connection, 'clock')}"  # noqa: S608 - our own
        connection.execute(
            f"REPLACE INTO clock (one, at, salt) VALUES (1, max(?, ifnull(({stood}), 0)), ?)",  # noqa: S608
            (now, self._salt),
        )

    def _log_failure(self, error: Exception) -> None:
        if not self._is_failure_logged:
            self._is_failure_logged = True
            log.error("wrong PINs are counted in memory only: %s", error)


def _clock(connection: sqlite3.Connection) -> tuple[float, bytes] | None:
    """Return the stored clock in seconds and the salt, or None if the row is damaged."""
    row = connection.execute(f"SELECT at, salt FROM clock WHERE {sound(connection, 'clock')}").fetchone()  # noqa: S608
    is_valid = row is not None and isfinite(row[0]) and row[0] >= 0 and 0 < len(row[1]) <= MOST_SALT_BYTES
    return (row[0], row[1]) if is_valid else None


def _sound_guesses(connection: sqlite3.Connection) -> list[tuple[int, bytes, float]]:
    """Return the undamaged guesses, oldest first."""
    ask = f"SELECT number, place, at FROM guesses WHERE {sound(connection, 'guesses')} ORDER BY at, number"  # noqa: S608
    rows = [(row[0], row[1], row[2]) for row in connection.execute(ask)]
    return [row for row in rows if 0 <= row[0] <= MOST_NUMBER and isfinite(row[2])]
