"""Too many failures, and one way in at one reader rests for a while. Pure but for its memory: time is passed in.

What rests is the answer to what is not known. A card that is known opens all the same: somebody who holds a wrong card
to a reader must not lock the others out. So that nobody tries number after number meanwhile, a reader that rests looks
at one card in `GUESS_S`. No success takes back what failed before: else whoever waits for residents would guess for
ever. PINs have a budget of their own (see `guesses`).
"""

from math import isfinite

GUESS_S = 1.0


class Attempts:
    """Counts the failures of each way at each reader by itself: failing with one never rests another."""

    def __init__(self, limit: int, window_s: float, rest_s: float) -> None:
        self.limit, self._window_s, self._rest_s = limit, window_s, rest_s
        self._failed: dict[tuple[str, str], list[tuple[float, bytes]]] = {}
        self._rests_until: dict[tuple[str, str], float] = {}
        self._next_look: dict[tuple[str, str], float] = {}

    def may_try(self, way: str, reader: str, now: float) -> bool:
        """Whether this way does not rest; never at a time that is no number."""
        return isfinite(now) and now >= self._rests_until.get((way, reader), now)

    def wait_s(self, way: str, reader: str, now: float) -> float:
        """So long the next look must wait: nothing but while this way rests, where looks are `GUESS_S` apart."""
        return 0.0 if self.may_try(way, reader, now) else max(0.0, self._next_look.get((way, reader), 0.0) - now)

    def looked(self, way: str, reader: str, now: float) -> None:
        """Somebody is looked at now."""
        self._next_look[way, reader] = now + GUESS_S

    def failed(self, way: str, reader: str, now: float, what: bytes = b"") -> bool:
        """Count a failure; True when it was one too many and the rest has just begun.

        `what`: a digest of what was shown. The same again is no second guess; without it each failure counts.
        """
        here = (way, reader)
        recent = [(at, shown) for at, shown in self._failed.get(here, ()) if not now - at > self._window_s]
        recent = [(at, shown) for at, shown in recent if not what or shown != what]
        self._failed[here] = [*recent, (now, what)][-self.limit :]
        if len(recent) + 1 < self.limit or not isfinite(now):
            return False
        del self._failed[here]
        self._rests_until[here] = now + self._rest_s
        return True
