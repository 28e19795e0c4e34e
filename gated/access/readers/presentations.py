"""Treat a card that stays at a reader as one presentation: many readers send its number again and again. Pure
except for its memory.
"""

from collections import OrderedDict

PRESENTED_AGAIN_S = 3.0
"""A card that was absent for so many seconds counts as presented again."""
REMEMBERED_NUMBERS = 16
"""The number of newest card numbers that are remembered for each reader. A reader alternates between two cards in a
purse.
"""


class RecentCards:
    """The recent numbers of each reader. It remembers few numbers, and each for no longer than necessary."""

    def __init__(self, again_s: float = PRESENTED_AGAIN_S) -> None:
        """`again_s`: a card that was absent for so many seconds counts as presented again."""
        self._again_s = again_s
        self._seen: dict[str, OrderedDict[str, float]] = {}

    def record_presentation(self, reader: str, number: str, now: float) -> bool:
        """Return whether this is a new presentation. A number that the reader repeats belongs to the same
        presentation.
        """
        seen = self._seen.setdefault(reader, OrderedDict())
        while seen and not 0 <= now - next(iter(seen.values())) < self._again_s:
            seen.popitem(last=False)
        is_new = number not in seen
        seen[number] = now
        seen.move_to_end(number)
        while len(seen) > REMEMBERED_NUMBERS:
            seen.popitem(last=False)
        return is_new

    def forget(self, reader: str, number: str) -> None:
        """Forget a number: its next presentation is examined again. Used when the gate itself could not decide."""
        self._seen.get(reader, OrderedDict()).pop(number, None)
