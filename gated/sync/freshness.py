"""How long nothing has proved that the office still speaks to us. Pure: a broker can replay a word, never answer.

Every status carries a challenge that was never used before. The office's next word echoes it, and so was said after it.
"""

import secrets

from gated.events import ServerSilent
from gated.sync.messages import Word

DUMB_S = 600.0
"""A broker is reached, and nothing is proved of the office for so long: it is off, or the broker holds it back."""
REACHED_S = 300.0
"""So long of that the broker was reached: a status is said and answered meanwhile at the longest beat."""
STEP_S = 10.0
"""Who is asked again within so long was connected all the while."""
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
        self._asked_at, self._reached_s = now, 0.0
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
            self._proved_at, self._has_proof, self._reached_s = issued_at, True, 0.0
        return True

    @property
    def proved_at(self) -> float | None:
        """When the newest challenge that was echoed went out; None where none was."""
        return self._proved_at if self._has_proof else None

    def silent_s(self, now: float) -> int:
        """How old the newest proof is; 0 where there never was one."""
        return int(now - self._proved_at) if self._has_proof else 0

    def is_heard(self, now: float, within_s: float) -> bool:
        """Whether something that was said within so long has proved that the office speaks to us."""
        return self._has_proof and now - self._proved_at <= within_s

    def turn(self, now: float) -> ServerSilent | None:
        """That it has become silent for too long, or that this is over; once each. Ask while the broker is reached."""
        self._reached_s += now - self._asked_at if now - self._asked_at <= STEP_S else 0.0
        self._asked_at = now
        is_dumb = self._reached_s >= REACHED_S and now - self._proved_at > DUMB_S
        is_silent = is_dumb or now - self._proved_at > self._silent_s
        if is_silent and self._silent_since is None:
            self._silent_since = self._proved_at
            return ServerSilent(int(now - self._proved_at))
        if self._silent_since is not None and not is_silent:
            silence_s, self._silent_since = int(self._proved_at - self._silent_since), None
            return ServerSilent(silence_s, is_over=True)
        return None
