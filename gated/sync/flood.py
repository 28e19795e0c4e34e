"""What may be flooded, and how much of it is dealt with. Pure.

Messages that say nothing (forged, garbage, replayed) cost a token each. Those that do say something cost none, so that
a flood delays what is genuine at the most, and takes next to nothing from the door.
"""


class Bucket:
    """Tokens that come back with time."""

    def __init__(self, most: float, per_s: float) -> None:
        self._most, self._per_s = most, per_s
        self._left, self._at = most, 0.0

    def take(self, now: float) -> bool:
        """Pay one token at `now` (monotonic seconds, not falling); False when none was left to pay with."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Repetitions:
    """Recognises what was heard before, byte for byte: an honest sender seals anew, a replay cannot."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._heard: dict[int, None] = {}

    def has(self, payload: bytes) -> bool:
        """Whether it is one of the last `kept` that were noted."""
        return hash(payload) in self._heard  # keyed anew in every process, so that nobody can aim at it

    def note(self, payload: bytes) -> None:
        """It was heard, just now."""
        mark = hash(payload)
        self._heard.pop(mark, None)
        self._heard[mark] = None
        if len(self._heard) > self._kept:
            del self._heard[next(iter(self._heard))]
