"""How long nothing has proved that the office still speaks to us. Pure: a broker can replay a word, never answer.

Every status carries a challenge that was never used before. The office's next word echoes it, and so was said after it.
"""

import secrets

from gated.events import ServerSilent
from gated.sync.messages import Word

KEPT = 32
"""So many of the newest challenges are remembered: a busy door tells its status often, and the answer takes a while."""


class Freshness:
    """What is proved of the office, and since when. All times are monotonic seconds."""

    def __init__(self, silent_h: float, now: float) -> None:
        """At a start silence counts from `now`."""
        self._silent_s = silent_h * 3600
        self._issued: dict[str, float] = {}
        self._proved_at = now
        self._has_proof = False
        self._silent_since: float | None = None
        self.beat = 0
        """The newest beat that was heard; 0 before the first."""

    def challenge(self, now: float) -> str:
        """A new one, to go out now."""
        fresh = secrets.token_hex(16)
        self._issued[fresh] = now
        while len(self._issued) > KEPT:
            del self._issued[next(iter(self._issued))]
        return fresh

    def hear(self, word: Word) -> bool:
        """Take note of a word. False when it is older than one that was heard, and means nothing.

        Newer is what has a higher beat; after an office has lost its count, what echoes a newer challenge.
        """
        issued_at = self._issued.get(word.challenge)
        is_proof = issued_at is not None and (issued_at > self._proved_at or not self._has_proof)
        if word.beat <= self.beat and not is_proof:
            return False
        self.beat = word.beat
        if issued_at is not None and is_proof:
            self._proved_at, self._has_proof = issued_at, True
        return True

    def silent_s(self, now: float) -> int:
        """How old the newest proof is; 0 where there never was one."""
        return int(now - self._proved_at) if self._has_proof else 0

    def turn(self, now: float) -> ServerSilent | None:
        """That it has become silent for too long, or that this is over; once each."""
        is_silent = now - self._proved_at > self._silent_s
        if is_silent and self._silent_since is None:
            self._silent_since = self._proved_at
            return ServerSilent(int(now - self._proved_at))
        if self._silent_since is not None and not is_silent:
            silence_s, self._silent_since = int(self._proved_at - self._silent_since), None
            return ServerSilent(silence_s, is_over=True)
        return None
