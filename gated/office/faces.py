"""Whose face was taken at which gate, and what gates have sealed to each other, which the office cannot open."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from gated.errors import OfficeError
from gated.office.book import MAX_FACE_BYTES, Book
from gated.office.file import OfficeFile
from gated.soundness import sound
from gated.sync.messages import Face
from gated.wording import UNDECODABLE


@dataclass(frozen=True, slots=True)
class Wanted:
    """A face that `to` has not got, and `gate` could seal to it, as the person agreed."""

    gate: str
    subject: str
    to: str


class Faces:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, book: Book) -> None:
        self._file, self._book = file, book

    def enrolled(self, subject: str, gate: str, at: str, given: Iterable[str] = ()) -> None:
        """Somebody's face was taken at a gate: what others have of an older one is to be replaced. `given`: what they
        agreed to there, beside being recognised.
        """
        with self._file.writing() as connection:
            newest = (
                "INSERT INTO enrolled (subject, gate, at, given) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET at = excluded.at, given = excluded.given WHERE excluded.at > at RETURNING at"
            )
            said = msgspec.json.encode(sorted(given)).decode()
            if connection.execute(newest, (subject, gate, at, said)).fetchone() is not None:
                connection.execute("UPDATE faces SET is_stale = 1 WHERE subject = ?", (subject,))
                if connection.execute("DELETE FROM faces WHERE subject = ? AND gate = ?", (subject, gate)).rowcount:
                    self._book.again(subject)

    def forgotten(self, subject: str, gate: str, at: str) -> None:
        """Somebody was removed at a gate; an enrolment there after `at` stays."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM enrolled WHERE subject = ? AND gate = ? AND at <= ?", (subject, gate, at))

    def keep(self, subject: str, to: str, face: Face) -> bool:
        """Keep a face for a gate; False when the person does not agree to it (any more), or there is nobody.

        Raises `OfficeError` for one that would not fit into a message together with its person.
        """
        encoded = msgspec.json.encode(face)
        if len(encoded) > MAX_FACE_BYTES:
            raise OfficeError(f"a face of {len(encoded)} bytes; at most {MAX_FACE_BYTES} can be passed on")
        with self._file.writing() as connection:
            agreed = "SELECT 1 FROM records, gates WHERE key = 'person/' || ? AND is_shared AND gate = ?"
            if connection.execute(agreed, (subject, to)).fetchone() is None:
                return False
            row = (subject, to, self._file.count(), 0, encoded)
            connection.execute("REPLACE INTO faces VALUES (?, ?, ?, ?, ?)", row)
            return True

    def forget_gate(self, gate: str) -> None:
        """A gate has other keys now, and perhaps another card: what was sealed to the old ones opens nowhere."""
        with self._file.writing() as connection:
            lost = connection.execute("DELETE FROM faces WHERE gate = ? RETURNING subject", (gate,)).fetchall()
            connection.execute("DELETE FROM enrolled WHERE gate = ?", (gate,))
            for row in lost:
                self._book.again(row[0])

    def wanted(self, gates: Collection[str], limit: int) -> list[Wanted]:
        """Faces that are missing somewhere, or older than the newest enrolment, which was at one of `gates`."""
        ask = """
            SELECT e.gate, e.subject, g.gate FROM enrolled AS e
            JOIN records AS r ON r.key = 'person/' || e.subject AND r.is_shared
            JOIN gates AS g ON g.gate != e.gate
            LEFT JOIN faces AS f ON f.subject = e.subject AND f.gate = g.gate
            WHERE (f.n IS NULL OR f.is_stale) AND e.gate IN (SELECT value FROM json_each(?))
            AND NOT EXISTS (
                SELECT 1 FROM enrolled AS o WHERE o.subject = e.subject AND (o.gate = g.gate OR o.at > e.at)
            )
            ORDER BY e.at LIMIT ?
        """
        with self._file.reading() as connection:
            return [
                Wanted(*row)
                for row in connection.execute(ask, (msgspec.json.encode(sorted(gates)).decode(), limit)).fetchall()
            ]

    def given(self, subject: str) -> list[tuple[str, str, list[str]]]:
        """The gates at which somebody's face was taken, when, and what they agreed to there."""
        with self._file.reading() as connection:
            of = f"subject = ? AND {sound(connection, 'enrolled')}"
            rows = connection.execute(f"SELECT gate, at, given FROM enrolled WHERE {of}", (subject,)).fetchall()  # noqa: S608
        return [(gate, at, _purposes(said)) for gate, at, said in rows]

    def enrolled_at(self, subject: str) -> list[str]:
        """The gates at which somebody's face was taken."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT gate FROM enrolled WHERE subject = ? ORDER BY gate", (subject,))
            return [row[0] for row in rows.fetchall()]


def _purposes(said: str) -> list[str]:
    """As it is stored; none where the row is damaged."""
    try:
        return msgspec.json.decode(said, type=list[str])
    except UNDECODABLE:
        return []
