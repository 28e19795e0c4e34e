"""Who is gone from where: what gates answered to a removal."""

from dataclasses import dataclass

from gated.office.file import OfficeFile
from gated.sync.messages import Receipt


@dataclass(frozen=True, slots=True)
class Erased:
    """Somebody who was removed, at one gate; `at` is None while the gate has not answered."""

    subject: str
    n: int
    gate: str
    templates: int | None
    at: str | None


class Receipts:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile) -> None:
        self._file = file

    def keep(self, gate: str, receipt: Receipt) -> None:
        """The first answer counts; the gate says the same again whenever it is asked."""
        with self._file.writing() as connection:
            row = (receipt.subject, gate, receipt.n, receipt.templates, receipt.at)
            connection.execute("INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?, ?)", row)

    def all(self, subject: str | None = None) -> list[Erased]:
        """Everybody who was removed at every gate that may have known them, with its answer; the oldest first."""
        ask = """
            SELECT substr(r.key, 8), r.n, g.gate, a.templates, a.at FROM records AS r
            JOIN gates AS g ON g.since < r.n
            LEFT JOIN receipts AS a ON a.gate = g.gate AND 'person/' || a.subject = r.key
            WHERE r.is_gone AND r.key LIKE 'person/%' AND (? IS NULL OR r.key = 'person/' || ?)
            ORDER BY r.n, g.gate
        """
        with self._file.reading() as connection:
            return [Erased(*row) for row in connection.execute(ask, (subject, subject)).fetchall()]
