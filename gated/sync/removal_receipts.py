"""The receipts for removed people: the office learns by them that this gate has erased a person. `Replica` uses it.

A receipt waits until the key of the person's templates is destroyed on disk.
"""

from collections.abc import Iterable, Sequence

from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON, Change, people_of
from gated.people.held_records import RecordState
from gated.protocol.envelope import Peer
from gated.protocol.record_messages import RemovalReceipt
from gated.protocol.wire_types import Message

ERASE_AGAIN_S = 3.0
"""The interval between two attempts to erase data that another process still reads, in seconds."""


class RemovalReceipts:
    """Erases removed data, and gives the receipt for each removed person once. Raises `BusyError` and `StateError`."""

    def __init__(self, holdings: Holdings, peer: Peer) -> None:
        self._holdings, self._peer = holdings, peer
        self._owed: dict[str, int] = {}
        """Removed keys whose receipts are not sent yet, each with its number."""
        self._is_erased, self._erased_at = False, 0.0

    def erase(self, changes: Sequence[Change]) -> None:
        """Erase the data that these stored changes replaced."""
        self._is_erased = self._holdings.register.tidy(people_of(changes) if self._is_erased else None)

    def is_overdue(self, now: float) -> bool:
        """Return whether receipts wait and the next attempt to erase is due. `now`: monotonic seconds."""
        return bool(self._owed) and now >= self._erased_at + ERASE_AGAIN_S

    def collect(self, now: float, removed: Iterable[tuple[str, int]] = ()) -> list[Message]:
        """Return the receipts that can be sent now, also for `removed`: keys of records, each with its number."""
        self._owed |= {key: n for key, n in removed if key.startswith(PERSON)}
        if self._owed and not self._is_erased:
            self._is_erased, self._erased_at = self._holdings.register.tidy(), now
        if not self._is_erased:
            return []
        owed, self._owed = self._owed, {}
        held = [(self._holdings.get(key), n) for key, n in owed.items()]
        return [self._receipt(row, n) for row, n in held if row.is_gone and row.n >= n]

    def _receipt(self, held: RecordState, n: int) -> RemovalReceipt:
        return RemovalReceipt(
            site=self._peer.site,
            gate=self._peer.gate,
            subject=held.key.removeprefix(PERSON),
            n=n,
            templates=held.templates,
            at=held.at or "",
        )
