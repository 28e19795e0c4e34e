"""Stores the public half of the office's recovery key, and every key hand-over signed with it."""

from gated.errors import OfficeError
from gated.office.alarm_store import AlarmStore
from gated.office.database_file import OfficeFile
from gated.protocol.recovery_key import MOST_HANDOVERS

OFFICE, RECOVERY_MISSING = "OFFICE", "recovery_missing"
"""`OFFICE`: gate field of every alarm about the office itself; no gate name has capitals. `MISSING`: kind of the alarm
for a missing recovery key.
"""


class Handovers:
    """The tables of the recovery key and hand-overs. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    @property
    def key(self) -> str:
        """Return the public half of the recovery key; empty if the office has none."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT key FROM recovery").fetchone()
        return "" if row is None else str(row[0])

    @property
    def number(self) -> int:
        """Return the number of the newest hand-over; 0 if there was none."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0])

    def store_first_key(self, key: str) -> None:
        """Store the first recovery key.

        Raises `OfficeError` if one exists, so an intruder on the machine cannot replace it.
        """
        with self._file.writing() as connection:
            if self.key:
                raise OfficeError(
                    "this office has a recovery key already; `gated office rekey --next FILE` replaces it"
                )
            connection.execute("INSERT INTO recovery VALUES (1, ?)", (key,))

    def check_recovery_key(self, at: str) -> None:
        """Keep an alarm open while the office has no recovery key."""
        alarms = AlarmStore(self._file)
        if self.key:
            alarms.end(OFFICE, RECOVERY_MISSING, at)
        else:
            alarms.open(OFFICE, RECOVERY_MISSING, "", at)

    def add(self, number: int, statement: str, key: str) -> None:
        """Store a signed hand-over. `key`: the public recovery key from now on."""
        with self._file.writing() as connection:
            connection.execute("INSERT INTO handovers VALUES (?, ?)", (number, statement))
            connection.execute("UPDATE recovery SET key = ?", (key,))

    def after(self, number: int) -> list[str]:
        """Return at most `MOST_HANDOVERS` hand-overs that a gate has missed, in order."""
        with self._file.reading() as connection:
            ask = "SELECT statement FROM handovers WHERE number > ? ORDER BY number LIMIT ?"
            return [str(row[0]) for row in connection.execute(ask, (number, MOST_HANDOVERS)).fetchall()]
