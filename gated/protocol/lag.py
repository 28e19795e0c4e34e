"""Measure how far this end is behind the other end, and how long. Pure; `now` is monotonic seconds.

All data that the other end is known to have must arrive within `PATIENCE_S`. Partial progress does not extend the
limit: a broker could let a little through again and again.
"""

from collections import deque

PATIENCE_S = 600.0
"""Longest honest delay, in seconds. A gate that was away catches up within seconds; a poor line takes minutes."""
MOST_NUMBERS = 64
"""Most numbers that are remembered. Above this limit, numbers between the oldest and the newest are dropped."""
MOST_TRACKED = 64
"""Most unanswered commands, and most owed receipts, that one end remembers."""

RECORDS, HEARTBEATS, COMMANDS, EVENTS, RECEIPTS, HELD_LISTS = "records", "words", "orders", "events", "receipts", "held"
"""Names of data that may be held back, as in `Status.withheld` and `Heartbeat.withheld`."""
DATA_KINDS = (RECORDS, HEARTBEATS, COMMANDS, EVENTS, RECEIPTS, HELD_LISTS)
"""All those names."""


class Lag:
    """Follows a number that grows at the other end."""

    def __init__(self) -> None:
        self._known: deque[tuple[int, float]] = deque()
        self._reached = 0

    @property
    def is_missing(self) -> bool:
        """Return whether any number has not arrived."""
        return bool(self._known)

    def know(self, number: int, now: float) -> None:
        """Take note that the other end has data up to this number."""
        if number <= (self._known[-1][0] if self._known else self._reached):
            return
        self._known.append((number, now))
        if len(self._known) > MOST_NUMBERS:
            del self._known[len(self._known) // 2]

    def reach(self, number: int) -> None:
        """Take note that this end has data up to this number."""
        self._reached = number
        while self._known and self._known[0][0] <= number:
            self._known.popleft()

    def forget(self) -> None:
        """Forget all numbers: nothing is known to be missing."""
        self._known.clear()
        self._reached = 0

    def is_overdue(self, now: float) -> bool:
        """Return whether data has been missing for `PATIENCE_S` or longer."""
        return bool(self._known) and now >= self._known[0][1] + PATIENCE_S


class MissingSince:
    """How long a condition that means missing data has lasted."""

    def __init__(self) -> None:
        self.since: float | None = None

    def update(self, now: float, *, is_missing: bool) -> None:
        """Take note whether data is missing now."""
        if not is_missing:
            self.since = None
        elif self.since is None:
            self.since = now

    def is_overdue(self, now: float) -> bool:
        """Return whether data has been missing for `PATIENCE_S` or longer."""
        return self.since is not None and now >= self.since + PATIENCE_S
