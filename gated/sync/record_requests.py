"""Decide which records to request from the office, and when to ask again. Pure; `now` is monotonic seconds.

One request is on its way at a time. Of a snapshot the gate requests the first missing parts, and the next ones as soon
as those have arrived. Used by `replica`.
"""

from collections.abc import Sequence

from gated.protocol.limits import PARTS_WINDOW
from gated.protocol.record_messages import RecordRequest
from gated.sync.snapshot import SnapshotTitle

REQUEST_TIMEOUT_S = 3.0
"""Time without progress, in seconds, after which a request is sent again."""


class RecordRequests:
    """The open request of one connection, and the version that the office is known to have."""

    def __init__(self, site: str, gate: str) -> None:
        self._site, self._gate = site, gate
        self.target = 0
        """The highest record number that the office is known to have."""
        self.wants_snapshot = False
        """Whether this gate's records at the office's version differ from the office's."""
        self._asked: RecordRequest | None = None
        self._at = 0.0

    def restart(self) -> None:
        """Start a new connection: forget the request on the old one."""
        self._asked = None

    def progress(self, now: float) -> None:
        """Take note that missing data has arrived."""
        self._at = now

    def is_overdue(self, now: float) -> bool:
        """Return whether the answer has not come in time."""
        return self._asked is not None and now >= self._at + REQUEST_TIMEOUT_S

    def ask(self, version: int, title: SnapshotTitle | None, missing: Sequence[int], now: float) -> list[RecordRequest]:
        """Return the request to send, if any.

        `version` is this gate's version, `missing` the first missing parts of `title`.
        """
        request = self._next(version, title, missing)
        if request is None:
            self._asked = None
        elif self._asked is None or self.is_overdue(now) or _is_answered(self._asked, title, missing):
            self._asked, self._at = request, now
            return [request]
        return []

    def _next(self, version: int, title: SnapshotTitle | None, missing: Sequence[int]) -> RecordRequest | None:
        if title is not None:
            parts = list(missing)
            return RecordRequest(
                site=self._site, gate=self._gate, is_snapshot=True, snapshot=title.version, parts=parts
            )
        if self.wants_snapshot:
            return RecordRequest(site=self._site, gate=self._gate, is_snapshot=True)
        return RecordRequest(site=self._site, gate=self._gate, after=version) if self.target > version else None


def _is_answered(asked: RecordRequest, title: SnapshotTitle | None, missing: Sequence[int]) -> bool:
    """Return whether all requested parts are here; if none was named, whether the first ones are."""
    return title is not None and not set(asked.parts or range(min(PARTS_WINDOW, title.parts))) & set(missing)
