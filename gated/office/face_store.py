"""Stores the gate of each enrolled face, and the templates that gates sealed for each other.

The office cannot open them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from gated.errors import OfficeError
from gated.office.database_file import OfficeFile
from gated.office.gate_store import is_gate_name
from gated.office.record_book import MAX_FACE_BYTES, RecordBook
from gated.protocol.face_messages import SealedFace
from gated.storage.valid_rows import is_text, sound
from gated.wording import UNDECODABLE


@dataclass(frozen=True, slots=True)
class FaceRequest:
    """A face that gate `to` lacks and `gate` can seal to it, with the person's consent."""

    gate: str
    subject: str
    to: str


class FaceStore:
    """The tables of enrolments and sealed faces. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, book: RecordBook) -> None:
        self._file, self._book = file, book

    def record_enrolment(self, subject: str, gate: str, at: str, given: Iterable[str] = ()) -> None:
        """Record an enrolment at a gate, and mark older copies of the face at other gates for replacement.

        `given`: the further consents given there, besides recognition.
        """
        with self._file.writing() as connection:
            newest = (
                "INSERT INTO enrolled (subject, gate, at, given) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET at = excluded.at, given = excluded.given WHERE excluded.at > at RETURNING at"
            )
            purposes = msgspec.json.encode(sorted(given)).decode()
            if connection.execute(newest, (subject, gate, at, purposes)).fetchone() is not None:
                connection.execute("UPDATE faces SET is_stale = 1 WHERE subject = ?", (subject,))
                if connection.execute("DELETE FROM faces WHERE subject = ? AND gate = ?", (subject, gate)).rowcount:
                    self._book.renumber(subject)

    def delete_enrolment(self, subject: str, gate: str, at: str) -> None:
        """Delete a person's enrolment at a gate, unless it is later than `at`."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM enrolled WHERE subject = ? AND gate = ? AND at <= ?", (subject, gate, at))

    def store_face(self, subject: str, to: str, face: SealedFace) -> bool:
        """Store a face for a gate. Return False if the person has not consented, or the person or gate is unknown.

        Raises `OfficeError` for a face too long to share one message with the person's record.
        """
        encoded = msgspec.json.encode(face)
        if len(encoded) > MAX_FACE_BYTES:
            raise OfficeError(f"the face has {len(encoded)} bytes, more than the {MAX_FACE_BYTES} that a gate accepts")
        with self._file.writing() as connection:
            agreed = "SELECT 1 FROM records, gates WHERE key = 'person/' || ? AND is_shared AND gate = ?"
            if connection.execute(agreed, (subject, to)).fetchone() is None:
                return False
            row = (subject, to, self._file.count(), 0, encoded)
            connection.execute("REPLACE INTO faces VALUES (?, ?, ?, ?, ?)", row)
            return True

    def delete_gate(self, gate: str) -> None:
        """Delete all faces for a gate and its enrolments.

        Used when the gate has new keys: nothing sealed to the old keys opens.
        """
        with self._file.writing() as connection:
            lost = connection.execute("DELETE FROM faces WHERE gate = ? RETURNING subject", (gate,)).fetchall()
            connection.execute("DELETE FROM enrolled WHERE gate = ?", (gate,))
            for row in lost:
                self._book.renumber(row[0])

    def missing_faces(self, gates: Collection[str], limit: int) -> list[FaceRequest]:
        """Return faces that a gate lacks or has only in an older version.

        The newest enrolment must be at one of `gates`.
        """
        ask = """
            SELECT e.gate, e.subject, g.gate FROM (SELECT * FROM enrolled WHERE {enrolled}) AS e
            JOIN records AS r ON r.key = 'person/' || e.subject AND r.is_shared
            JOIN (SELECT gate FROM gates WHERE {gates}) AS g ON g.gate != e.gate
            LEFT JOIN faces AS f ON f.subject = e.subject AND f.gate = g.gate
            WHERE (f.n IS NULL OR f.is_stale) AND e.gate IN (SELECT value FROM json_each(?))
            AND NOT EXISTS (
                SELECT 1 FROM enrolled AS o WHERE o.subject = e.subject AND (o.gate = g.gate OR o.at > e.at)
            )
            ORDER BY e.at LIMIT ?
        """
        with self._file.reading() as connection:
            ask = ask.format(enrolled=sound(connection, "enrolled"), gates=sound(connection, "gates"))
            rows = connection.execute(ask, (msgspec.json.encode(sorted(gates)).decode(), limit)).fetchall()
        return [FaceRequest(*row) for row in rows if all(map(is_gate_name, (row[0], row[2]))) and is_text(row[1])]

    def enrolments(self, subject: str) -> list[tuple[str, str, list[str]]]:
        """Return each enrolment of a person: gate, time and the further consents given there."""
        with self._file.reading() as connection:
            of = f"subject = ? AND {sound(connection, 'enrolled')}"
            rows = connection.execute(f"SELECT gate, at, given FROM enrolled WHERE {of}", (subject,)).fetchall()  # noqa: S608
        return [(gate, at, _purposes(purposes)) for gate, at, purposes in rows]

    def enrolled_at(self, subject: str) -> list[str]:
        """Return the gates at which a person's face was enrolled."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT gate FROM enrolled WHERE subject = ? ORDER BY gate", (subject,))
            return [row[0] for row in rows.fetchall()]


def _purposes(purposes: str) -> list[str]:
    """Decode the stored purposes; empty if the row is damaged."""
    try:
        return msgspec.json.decode(purposes, type=list[str])
    except UNDECODABLE:
        return []
