"""Too many failures, and one way in at one door rests for a while. Pure but for its memory: time is passed in."""

from math import isfinite


class Attempts:
    """Counts the failures of each way at each door by itself: failing with one never rests another."""

    def __init__(self, limit: int, window_s: float, rest_s: float) -> None:
        self.limit, self._window_s, self._rest_s = limit, window_s, rest_s
        self._failed_at: dict[tuple[str, str], list[float]] = {}
        self._rests_until: dict[tuple[str, str], float] = {}

    def may_try(self, way: str, door: str, now: float) -> bool:
        """Whether this way does not rest; never at a time that is no number."""
        return isfinite(now) and now >= self._rests_until.get((way, door), now)

    def failed(self, way: str, door: str, now: float) -> bool:
        """Count a failure; True when it was one too many and the rest has just begun."""
        here = (way, door)
        recent = [at for at in self._failed_at.get(here, ()) if not now - at > self._window_s]
        self._failed_at[here] = [*recent, now][-self.limit :]
        if len(recent) + 1 < self.limit or not isfinite(now):
            return False
        del self._failed_at[here]
        self._rests_until[here] = now + self._rest_s
        return True

    def succeeded(self, way: str, door: str) -> None:
        """Somebody was let in: what failed before was a slip of the finger."""
        self._failed_at.pop((way, door), None)
