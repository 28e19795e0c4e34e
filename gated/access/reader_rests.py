"""Limit failures: after too many, one kind of credential rests at one reader for a while. Pure except for its memory.

Callers pass the time in. A rest applies to unknown credentials only. Known cards still open, so a person with a wrong
card locks out no other person. A resting reader checks one card per `CHECK_INTERVAL_S`, so that a fast series of
numbers gains nothing. A success does not reset the count, because a guesser could otherwise wait for residents. PINs
have a separate budget (see `guess_counts`).
"""

from math import isfinite

from gated.types import CredentialKind

CHECK_INTERVAL_S = 1.0
"""The least time between two checks of a resting reader, in seconds."""


class FailureCounts:
    """Counts failures separately for each kind of credential at each reader. Failures of one kind never rest another
    kind.
    """

    def __init__(self, limit: int, window_s: float, rest_s: float) -> None:
        self.limit, self._window_s, self._rest_s = limit, window_s, rest_s
        self._failed: dict[tuple[CredentialKind, str], list[tuple[float, bytes]]] = {}
        self._rests_until: dict[tuple[CredentialKind, str], float] = {}
        self._next_check: dict[tuple[CredentialKind, str], float] = {}

    def may_try(self, kind: CredentialKind, reader: str, now: float) -> bool:
        """Return whether this kind is not resting. Returns False if `now` is not finite."""
        return isfinite(now) and now >= self._rests_until.get((kind, reader), now)

    def wait_s(self, kind: CredentialKind, reader: str, now: float) -> float:
        """Return the seconds until the next check. The result is 0 unless this kind rests; then checks are
        `CHECK_INTERVAL_S` apart.
        """
        return 0.0 if self.may_try(kind, reader, now) else max(0.0, self._next_check.get((kind, reader), 0.0) - now)

    def record_check(self, kind: CredentialKind, reader: str, now: float) -> None:
        """Note that a credential is checked now."""
        self._next_check[kind, reader] = now + CHECK_INTERVAL_S

    def record_failure(self, kind: CredentialKind, reader: str, now: float, digest: bytes = b"") -> bool:
        """Count a failure. Return True if it reached the limit and a rest begins now.

        `digest` is the digest of the shown credential. The same digest counts once. Without a digest every failure
        counts.
        """
        key = (kind, reader)
        recent = [(at, shown) for at, shown in self._failed.get(key, ()) if not now - at > self._window_s]
        recent = [(at, shown) for at, shown in recent if not digest or shown != digest]
        self._failed[key] = [*recent, (now, digest)][-self.limit :]
        if len(recent) + 1 < self.limit or not isfinite(now):
            return False
        del self._failed[key]
        self._rests_until[key] = now + self._rest_s
        return True
