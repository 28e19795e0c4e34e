"""What somebody at the office must look at. A state that ends is over by itself; a deed stays until it is settled."""

from dataclasses import dataclass

from gated.errors import OfficeError
from gated.office.file import OfficeFile

MEANINGS = {
    "silent": "nothing was heard of it for a day",
    "unmarked": "it is online and has not signed how far its journal is for three minutes",
    "rows_lost": "these rows of its journal never arrived, and it has them no more",
    "row_altered": "this row of its journal is not what was written first, or the one before it is not",
    "journal_cut": "its journal is shorter than it was: rows were taken away, or an old card was put back",
    "journal_new": "it has begun another journal: a new card, or the old journal was thrown away",
    "cloned": "it speaks with an earlier time than before: a second one with its keys, old messages, or a wrong clock",
    "rolled_back": "it has records that this office has no more: an old backup; suspend and remove again who was since",
    "leap_refused": "it says that it has records far beyond all there ever were: do not trust this gate",
    "face_refused": "it sent a face that is too long to be passed on",
    "duress": "somebody let themselves in under threat",
    "door_forced_open": "the door was forced",
    "tampered": "the box or its wires were opened",
    "fire_release": "a fire alarm has released the doors",
    "record_quarantined": "it holds records back that look like poisoning; look there",
}
"""Every kind of alarm, for people. The last ones are facts of a journal by their own names."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One of them."""

    id: int
    gate: str
    kind: str
    detail: str
    at: str
    over_at: str | None


class Alarms:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def sound(self, gate: str, kind: str, detail: str, at: str) -> None:
        """Raise one, unless the same stands already."""
        with self._file.writing() as connection:
            same = "SELECT 1 FROM alarms WHERE gate = ? AND kind = ? AND detail = ? AND over_at IS NULL"
            if connection.execute(same, (gate, kind, detail)).fetchone() is None:
                row = (gate, kind, detail, at)
                connection.execute("INSERT INTO alarms (gate, kind, detail, at) VALUES (?, ?, ?, ?)", row)

    def end(self, gate: str, kind: str, at: str) -> None:
        """A state that was alarming is over."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE gate = ? AND kind = ? AND over_at IS NULL"
            connection.execute(over, (at, gate, kind))

    def settle(self, number: int, at: str) -> None:
        """Somebody has looked at one. Raises `OfficeError` when it does not stand."""
        with self._file.writing() as connection:
            over = "UPDATE alarms SET over_at = ? WHERE id = ? AND over_at IS NULL RETURNING id"
            if connection.execute(over, (at, number)).fetchone() is None:
                raise OfficeError(f"no alarm {number} stands; `gated office alarms` lists them")

    def all(self, *, standing: bool = True) -> list[Alarm]:
        """Those that stand, or all there ever were; oldest first."""
        which = "WHERE over_at IS NULL" if standing else ""
        with self._file.reading() as connection:
            rows = connection.execute(f"SELECT * FROM alarms {which} ORDER BY id").fetchall()  # noqa: S608 - ours
        return [Alarm(*row) for row in rows]
