"""Stores the alarms that the office's staff must look at. The gate protocol, the console and the commands use it.

An alarm for a condition ends when the condition ends. An alarm for an event stays open until a person marks it as
handled.
"""

from dataclasses import dataclass

from gated.errors import OfficeError
from gated.office.database_file import OfficeFile
from gated.storage.valid_rows import sound


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `at` and `over_at` are UTC times, ISO 8601; `over_at` is None while the alarm is open."""

    id: int
    gate: str
    kind: str
    detail: str
    at: str
    over_at: str | None


class AlarmStore:
    """The table of alarms. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def open(self, gate: str, kind: str, detail: str, at: str) -> None:
        """Open an alarm, unless an open alarm has the same gate, kind and detail."""
        with self._file.writing() as connection:
            query = "SELECT 1 FROM alarms WHERE gate = ? AND kind = ? AND detail = ? AND over_at IS NULL"
            if connection.execute(query, (gate, kind, detail)).fetchone() is None:
                row = (gate, kind, detail, at)
                connection.execute("INSERT INTO alarms (gate, kind, detail, at) VALUES (?, ?, ?, ?)", row)

    def open_or_update(self, gate: str, kind: str, detail: str, at: str) -> None:
        """Open an alarm of a kind that a gate has at most once. If one is open, replace its detail."""
        with self._file.writing() as connection:
            now = "UPDATE alarms SET detail = ? WHERE gate = ? AND kind = ? AND over_at IS NULL"
            if not connection.execute(now, (detail, gate, kind)).rowcount:
                self.open(gate, kind, detail, at)

    def end(self, gate: str, kind: str, at: str, detail: str | None = None) -> None:
        """End the open alarms of this gate and kind: all of them, or only those with this `detail`."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE gate = ? AND kind = ? AND over_at IS NULL"
            only = ("", ()) if detail is None else (" AND detail = ?", (detail,))
            connection.execute(over + only[0], (at, gate, kind, *only[1]))

    def end_of(self, kind: str, detail: str, at: str) -> None:
        """End the open alarms of this kind and detail at every gate."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE kind = ? AND detail = ? AND over_at IS NULL"
            connection.execute(over, (at, kind, detail))

    def end_all(self, gate: str, at: str) -> None:
        """End every open alarm of a gate."""
        with self._file.writing() as connection:
            connection.execute("UPDATE alarms SET over_at = ? WHERE gate = ? AND over_at IS NULL", (at, gate))

    def details(self, gate: str, kind: str) -> set[str]:
        """Return the details of a gate's open alarms of one kind."""
        with self._file.reading() as connection:
            ask = "SELECT detail FROM alarms WHERE gate = ? AND kind = ? AND over_at IS NULL"
            return {str(detail) for (detail,) in connection.execute(ask, (gate, kind)).fetchall()}

    def mark_handled(self, number: int, at: str) -> None:
        """End one alarm after a person has looked at it. Raises `OfficeError` if no open alarm has this number."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE id = ? AND over_at IS NULL RETURNING id"
            if connection.execute(over, (at, number)).fetchone() is None:
                raise OfficeError(f"no alarm {number} is open; `gated office alarms` lists the open alarms")

    def all(self, *, standing: bool = True) -> list[Alarm]:
        """Return the open alarms, or all alarms ever raised if `standing` is false; oldest first.

        Omits damaged rows.
        """
        condition = "over_at IS NULL AND" if standing else ""
        with self._file.reading() as connection:
            condition += f" {sound(connection, 'alarms')}"
            rows = connection.execute(f"SELECT * FROM alarms WHERE {condition} ORDER BY id").fetchall()  # noqa: S608 - ours
        return [Alarm(*row) for row in rows]
