"""Limit the cost of a flood of messages, and recognise repetitions. Pure.

Each message without value (forged, invalid or replayed) costs a token. A valid one costs none. So a flood can only
delay valid messages. It does not slow down the door.
"""


class Bucket:
    """A rate limit: tokens that refill over time."""

    def __init__(self, most: float, per_s: float) -> None:
        self._most, self._per_s = most, per_s
        self._tokens, self._at = most, 0.0

    def spend_token(self, now: float) -> bool:
        """Take one token at `now` (monotonic seconds, never decreasing). Return False if no token was left."""
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Repetitions:
    """Recognises payloads that were heard before, byte for byte.

    An honest sender seals each message anew; a replay cannot.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._seen: dict[int, None] = {}

    def has(self, payload: bytes) -> bool:
        """Return whether the payload is one of the last `kept` that were noted."""
        return hash(payload) in self._seen  # the hash has a new key in every process: a sender cannot aim at it

    def note(self, payload: bytes) -> None:
        """Remember a payload as the newest."""
        mark = hash(payload)
        self._seen.pop(mark, None)
        self._seen[mark] = None
        if len(self._seen) > self._kept:
            del self._seen[next(iter(self._seen))]
