"""Who is held back at which gate, as the gates say: ids and reasons. Names are only in the office's book."""

from collections.abc import Sequence
from dataclasses import dataclass

from gated.office.file import OfficeFile
from gated.soundness import sound
from gated.sync.messages import HeldBack


@dataclass(frozen=True, slots=True)
class HeldAt:
    """Somebody of whom a gate holds a record back, and why: "bulk", "duplicate" or "vector"."""

    gate: str
    subject: str
    why: str


class HeldPeople:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def said(self, gate: str, records: Sequence[HeldBack], *, is_first: bool) -> None:
        """A gate says who is held back there; the first of its lists takes the place of those before."""
        with self._file.writing() as connection:
            if is_first:
                connection.execute("DELETE FROM held WHERE gate = ?", (gate,))
            rows = [(gate, each.subject, each.why, each.n) for each in records]
            connection.executemany("REPLACE INTO held VALUES (?, ?, ?, ?)", rows)

    def add(self, gate: str, subject: str, why: str) -> None:
        """A gate's journal says that somebody is held back."""
        with self._file.writing() as connection:
            connection.execute("REPLACE INTO held VALUES (?, ?, ?, 0)", (gate, subject, why))

    def drop(self, gate: str, subject: str | None = None) -> None:
        """Nobody is held back at a gate any more, or that one is not."""
        with self._file.writing() as connection:
            where = "DELETE FROM held WHERE gate = ? AND subject = ifnull(?, subject)"
            connection.execute(where, (gate, subject))

    def all(self) -> list[HeldAt]:
        """Everybody, by gate."""
        with self._file.reading() as connection:
            whole = sound(connection, "held")
            ask = f"SELECT gate, subject, why FROM held WHERE {whole} ORDER BY gate, n, subject"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return [HeldAt(*row) for row in rows]

    def counts(self, gate: str) -> dict[str, int]:
        """How many a gate holds back, by reason."""
        with self._file.reading() as connection:
            ask = "SELECT why, count(*) FROM held WHERE gate = ? GROUP BY why"
            return dict(connection.execute(ask, (gate,)).fetchall())
