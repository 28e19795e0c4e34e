"""What this gate misses of the office's records, and when to ask for it, or ask again. Pure; `now` is monotonic.

One request is on its way at a time. Of a snapshot the first parts that are missing are asked for, and the next ones as
soon as those are here.
"""

from collections.abc import Sequence

from gated.sync.messages import Request
from gated.sync.snapshot import WINDOW, Title

PATIENCE_S = 3.0
"""Without progress for so long, what was asked for is asked for again."""


class Pull:
    """What was asked for during one connection, and how far the office is known to be."""

    def __init__(self, site: str, gate: str) -> None:
        self._site, self._gate = site, gate
        self.target = 0
        """The highest number that the office is known to have."""
        self.wants_snapshot = False
        """Whether what is here at the office's version is something else than what the office has."""
        self._asked: Request | None = None
        self._at = 0.0

    def restart(self) -> None:
        """A new connection: what was asked on the old one is forgotten."""
        self._asked = None

    def progress(self, now: float) -> None:
        """Something that was missing has arrived."""
        self._at = now

    def is_overdue(self, now: float) -> bool:
        """Whether an answer has not come in time."""
        return self._asked is not None and now >= self._at + PATIENCE_S

    def ask(self, version: int, title: Title | None, missing: Sequence[int], now: float) -> list[Request]:
        """What to ask for at this `version`, with these first parts `missing` of a snapshot that has begun."""
        request = self._next(version, title, missing)
        if request is None:
            self._asked = None
        elif self._asked is None or self.is_overdue(now) or _is_answered(self._asked, title, missing):
            self._asked, self._at = request, now
            return [request]
        return []

    def _next(self, version: int, title: Title | None, missing: Sequence[int]) -> Request | None:
        if title is not None:
            parts = list(missing)
            return Request(site=self._site, gate=self._gate, is_snapshot=True, snapshot=title.version, parts=parts)
        if self.wants_snapshot:
            return Request(site=self._site, gate=self._gate, is_snapshot=True)
        return Request(site=self._site, gate=self._gate, after=version) if self.target > version else None


def _is_answered(asked: Request, title: Title | None, missing: Sequence[int]) -> bool:
    """Whether all the parts that were asked for are here, or, where none was named, the first ones."""
    return title is not None and not set(asked.parts or range(min(WINDOW, title.parts))) & set(missing)
