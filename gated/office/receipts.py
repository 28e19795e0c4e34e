"""Stores the gates' receipts for removed people."""

from dataclasses import dataclass

from gated.office.database_file import OfficeFile
from gated.protocol.record_messages import RemovalReceipt


@dataclass(frozen=True, slots=True)
class ErasedAtGate:
    """A removed person at one gate. `at` and `templates` are None until the gate sends its receipt."""

    subject: str
    n: int
    gate: str
    templates: int | None
    at: str | None


class Receipts:
    """The table of receipts. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def store(self, gate: str, receipt: RemovalReceipt) -> None:
        """Store a receipt. The first one counts; a gate repeats it whenever asked."""
        with self._file.writing() as connection:
            row = (receipt.subject, gate, receipt.n, receipt.templates, receipt.at)
            connection.execute("INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?)", row)

    def all(self, subject: str | None = None) -> list[ErasedAtGate]:
        """Return each removed person at each gate that may have known them, with the gate's receipt; oldest first."""
        ask = """
            SELECT substr(r.key, 8), r.n, g.gate, a.templates, a.at FROM records AS r
            JOIN gates AS g ON g.since < r.n
            LEFT JOIN receipts AS a ON a.gate = g.gate AND 'person/' || a.subject = r.key
            WHERE r.is_gone AND r.key LIKE 'person/%' AND (? IS NULL OR r.key = 'person/' || ?)
            ORDER BY r.n, g.gate
        """
        with self._file.reading() as connection:
            return [ErasedAtGate(*row) for row in connection.execute(ask, (subject, subject)).fetchall()]
