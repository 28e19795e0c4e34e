"""What the office knows of its recovery key, the public half, and every hand-over that was made with it."""

from gated.errors import OfficeError
from gated.office.alarms import Alarms
from gated.office.file import OfficeFile
from gated.sync.recovery import MOST

HERE, MISSING = "OFFICE", "recovery_missing"
"""Whose alarm it is, as of every alarm about the office itself, and its kind. No gate is called so."""


class Handovers:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    @property
    def key(self) -> str:
        """The public half; empty where the office has no recovery key."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT key FROM recovery").fetchone()
        return "" if row is None else str(row[0])

    @property
    def number(self) -> int:
        """Of the newest; 0 where there was none."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0])

    def begin(self, key: str) -> None:
        """Have a recovery key. Raises `OfficeError` where there is one: whoever has the machine could name another."""
        with self._file.writing() as connection:
            if self.key:
                raise OfficeError(
                    "this office has a recovery key already; `gated office rekey --next FILE` replaces it"
                )
            connection.execute("INSERT INTO recovery VALUES (1, ?)", (key,))

    def mind(self, at: str) -> None:
        """Have it be an alarm that the office has no recovery key, until it has one."""
        alarms = Alarms(self._file)
        if self.key:
            alarms.end(HERE, MISSING, at)
        else:
            alarms.sound(HERE, MISSING, "", at)

    def add(self, number: int, statement: str, key: str) -> None:
        """A hand-over was signed. `key`: the recovery key from now on."""
        with self._file.writing() as connection:
            connection.execute("INSERT INTO handovers VALUES (?, ?)", (number, statement))
            connection.execute("UPDATE recovery SET key = ?", (key,))

    def after(self, number: int) -> list[str]:
        """Those that a gate has missed, in their order."""
        with self._file.reading() as connection:
            ask = "SELECT statement FROM handovers WHERE number > ? ORDER BY number LIMIT ?"
            return [str(row[0]) for row in connection.execute(ask, (number, MOST)).fetchall()]
