"""The mark of a person whose face alone may not open. The person is a child, or resembles another person.

The registrar sets it. Nothing is inferred from a face, and no reason is stored. The mark concerns the face only,
because only faces can be confused. A card or a PIN of this person opens alone.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gated.people import damaged_rows
from gated.people.stored_time import NEVER_YET, text_of, time_or_none
from gated.storage.valid_rows import possible_values, sound
from gated.types import SubjectId

MarkKind = Literal["child", "alike"]
"""The kinds of a mark. `child`: a person under 14 years. `alike`: a person whose face resembles another person's."""


@dataclass(frozen=True, slots=True)
class FaceMark:
    """One mark. It ends at `until`, an aware time; None: it has no end. An unknown kind counts like "alike"."""

    kind: str
    until: datetime | None = None

    def holds(self, at: datetime | None) -> bool:
        """Return whether the mark holds at this time. Without a trusted time (None) it holds."""
        return at is None or self.until is None or not at >= self.until

    def demands_second(self, at: datetime | None, *, has_own_threshold: bool) -> bool:
        """Return whether the face needs a second credential now. A calibrated threshold of its own is enough for a
        child's face, and for no other.
        """
        return self.holds(at) and not (self.kind == "child" and has_own_threshold)


LOST_MARK = FaceMark("alike")
"""The mark in place of a damaged row."""


def read_marks(connection: sqlite3.Connection) -> dict[SubjectId, FaceMark]:
    """Return the marks by person. A person whose row is damaged is marked without an end. If a damaged row names no
    person, everybody is marked.
    """
    query = f"SELECT subject, kind, until FROM marks WHERE {sound(connection, 'marks')}"  # noqa: S608
    marks = {
        SubjectId(subject): FaceMark(kind, time_or_none(until, NEVER_YET))
        for subject, kind, until in connection.execute(query)
    }
    for row in damaged_rows.rows(connection, "marks"):
        lost = possible_values(row, "marks", "subject") or {
            each[0] for each in connection.execute("SELECT subject FROM people")
        }
        marks |= {SubjectId(subject): LOST_MARK for subject in lost}
    return marks


def put_mark(connection: sqlite3.Connection, subject: SubjectId, mark: FaceMark | None) -> None:
    """Store or remove a person's mark. The caller holds the transaction."""
    connection.execute("DELETE FROM marks WHERE subject = ?", (subject,))
    if mark is not None:
        row = (subject, mark.kind, text_of(mark.until))
        connection.execute("INSERT INTO marks (subject, kind, until) VALUES (?, ?, ?)", row)


def mark_everybody(connection: sqlite3.Connection) -> None:
    """Mark everybody without a mark, because the marks of a damaged database are lost."""
    connection.execute("INSERT OR IGNORE INTO marks (subject, kind) SELECT subject, 'alike' FROM people")
