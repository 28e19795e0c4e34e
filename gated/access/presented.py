"""What is held at a reader is shown once: many readers say a card again and again for as long as it is there. Pure."""

from collections import OrderedDict

AGAIN_S = 3.0
"""A card that was away for so long is shown anew."""
REMEMBERED = 16
"""So many of the newest numbers of one reader; two cards in one purse are read in turn."""


class Presented:
    """What each reader has said lately. Remembers little, and nothing for longer than it must."""

    def __init__(self, again_s: float = AGAIN_S) -> None:
        """`again_s`: a card that was away for so long is shown anew."""
        self._again_s = again_s
        self._seen: dict[str, OrderedDict[str, float]] = {}

    def is_news(self, reader: str, number: str, now: float) -> bool:
        """Whether this was not there just before; as long as it is said again, it is the same presentation."""
        seen = self._seen.setdefault(reader, OrderedDict())
        while seen and not 0 <= now - next(iter(seen.values())) < self._again_s:
            seen.popitem(last=False)
        is_new = number not in seen
        seen[number] = now
        seen.move_to_end(number)
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        return is_new

    def forget(self, reader: str, number: str) -> None:
        """It came to nothing for a reason of our own: shown again, it is looked at again."""
        self._seen.get(reader, OrderedDict()).pop(number, None)
