"""Stores the people that each gate holds back, as ids and reasons. Names are only in the office's `RecordBook`."""

from collections.abc import Sequence
from dataclasses import dataclass

from gated.office.database_file import OfficeFile
from gated.protocol.record_messages import QuarantinedRecord
from gated.storage.valid_rows import sound


@dataclass(frozen=True, slots=True)
class HeldPerson:
    """A person whose record a gate holds back, with the reason: "bulk", "duplicate" or "vector"."""

    gate: str
    subject: str
    why: str


class HeldPeople:
    """The table of held-back people. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def store_list(self, gate: str, records: Sequence[QuarantinedRecord], *, is_first: bool) -> None:
        """Store a gate's list of held-back people. Its first part replaces all earlier entries of that gate."""
        with self._file.writing() as connection:
            if is_first:
                connection.execute("DELETE FROM held WHERE gate = ?", (gate,))
            rows = [(gate, each.subject, each.why, each.n) for each in records]
            connection.executemany("REPLACE INTO held VALUES (?, ?, ?, ?)", rows)

    def add(self, gate: str, subject: str, why: str) -> None:
        """Record one held-back person from a gate's journal."""
        with self._file.writing() as connection:
            connection.execute("REPLACE INTO held VALUES (?, ?, ?, 0)", (gate, subject, why))

    def remove(self, gate: str, subject: str | None = None) -> None:
        """Remove one held-back person of a gate, or all of them if `subject` is None."""
        with self._file.writing() as connection:
            statement = "DELETE FROM held WHERE gate = ? AND subject = ifnull(?, subject)"
            connection.execute(statement, (gate, subject))

    def all(self) -> list[HeldPerson]:
        """Return every held-back person, by gate."""
        with self._file.reading() as connection:
            whole = sound(connection, "held")
            ask = f"SELECT gate, subject, why FROM held WHERE {whole} ORDER BY gate, n, subject"  # noqa: S608
            rows = connection.execute(ask).fetchall()
        return [HeldPerson(*row) for row in rows]

    def counts(self, gate: str) -> dict[str, int]:
        """Return the number of held-back people at a gate, by reason."""
        with self._file.reading() as connection:
            ask = "SELECT why, count(*) FROM held WHERE gate = ? GROUP BY why"
            return dict(connection.execute(ask, (gate,)).fetchall())
