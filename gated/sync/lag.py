"""What the other end is known to have, and what of it has not arrived in time. Pure; `now` is monotonic seconds.

Whatever is known to be there must be here within `PATIENCE_S`. How much arrived meanwhile excuses nothing: a broker may
let a little through, again and again.
"""

from collections import deque

PATIENCE_S = 600.0
"""A gate that was away has everything within seconds; a poor line takes minutes."""
KEPT = 64
"""So many numbers are remembered; of more, those between the oldest and the newest are forgotten."""

RECORDS, WORDS, ORDERS, EVENTS, RECEIPTS, HELD_LISTS = "records", "words", "orders", "events", "receipts", "held"
"""What may be held back, as `Status.withheld` and `Word.withheld` name it."""
WHATS = (RECORDS, WORDS, ORDERS, EVENTS, RECEIPTS, HELD_LISTS)


class Lag:
    """A number that rises at the other end, and how far this end has followed."""

    def __init__(self) -> None:
        self._known: deque[tuple[int, float]] = deque()
        self._reached = 0

    @property
    def is_missing(self) -> bool:
        """Whether anything is."""
        return bool(self._known)

    def know(self, number: int, now: float) -> None:
        """The other end has it up to this number."""
        if number <= (self._known[-1][0] if self._known else self._reached):
            return
        self._known.append((number, now))
        if len(self._known) > KEPT:
            del self._known[len(self._known) // 2]

    def reach(self, number: int) -> None:
        """So far it is here."""
        self._reached = number
        while self._known and self._known[0][0] <= number:
            self._known.popleft()

    def forget(self) -> None:
        """Nothing is known to be missing."""
        self._known.clear()
        self._reached = 0

    def is_overdue(self, now: float) -> bool:
        """Whether something has been missing for too long."""
        return bool(self._known) and now >= self._known[0][1] + PATIENCE_S


class Wait:
    """Something that is missing or is not; since when."""

    def __init__(self) -> None:
        self.since: float | None = None

    def note(self, now: float, *, is_missing: bool) -> None:
        """How it is now."""
        if not is_missing:
            self.since = None
        elif self.since is None:
            self.since = now

    def is_overdue(self, now: float) -> bool:
        """Whether it has been missing for too long."""
        return self.since is not None and now >= self.since + PATIENCE_S
