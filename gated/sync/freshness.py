"""Measure how long the office has proved nothing. Pure: a broker can replay a heartbeat, but cannot answer a challenge.

Every status carries a challenge that was never used before. The office's next `Heartbeat` echoes it, and so was sent
later.
"""

import secrets

from gated.events import OfficeSilent
from gated.protocol.status_messages import Heartbeat

UNPROVED_S = 600.0
"""Limit, in seconds, without proof while the broker is reached: the office is off, or the broker holds it back."""
REACHED_S = 300.0
"""Time, in seconds, that the broker must be reached before `UNPROVED_S` applies. A status and its answer take less at
the longest `status_s`.
"""
LONGEST_STEP_S = 10.0
"""Longest gap between two calls of `turn`, in seconds, that counts as connected time."""
OPEN_CHALLENGES = 32
"""Most challenges that are remembered. A busy gate sends its status often, and the answer takes a while."""


class Freshness:
    """What the office has proved, and when. All times are monotonic seconds."""

    def __init__(self, silent_h: float, now: float) -> None:
        """Take `silent_h`, the limit without proof in hours. At a start the silence counts from `now`."""
        self._silent_s = silent_h * 3600
        self._issued: dict[str, float] = {}
        self._proved_at = now
        self._has_proof = False
        self._silent_since: float | None = None
        self._asked_at, self._reached_s = now, 0.0
        self.heartbeat = 0
        """Number of the newest heartbeat; 0 before the first."""

    def challenge(self, now: float) -> str:
        """Return a fresh challenge to send now."""
        fresh = secrets.token_hex(16)
        self._issued[fresh] = now
        while len(self._issued) > OPEN_CHALLENGES:
            del self._issued[next(iter(self._issued))]
        return fresh

    def accept(self, heartbeat: Heartbeat) -> bool:
        """Take a heartbeat. Return False if it is older than one that was heard: it then has no effect.

        A newer heartbeat has a higher number. After the office lost its count, an echo of a newer challenge counts
        instead.
        """
        issued_at = self._issued.get(heartbeat.challenge)
        is_proof = issued_at is not None and (issued_at > self._proved_at or not self._has_proof)
        if heartbeat.number <= self.heartbeat and not is_proof:
            return False
        self.heartbeat = heartbeat.number
        if issued_at is not None and is_proof:
            self._proved_at, self._has_proof, self._reached_s = issued_at, True, 0.0
        return True

    @property
    def proved_at(self) -> float | None:
        """Return when the newest echoed challenge was sent; None if none was echoed."""
        return self._proved_at if self._has_proof else None

    def silent_s(self, now: float) -> int:
        """Return the age of the newest proof in seconds; 0 if none exists."""
        return int(now - self._proved_at) if self._has_proof else 0

    def is_proved(self, now: float, within_s: float) -> bool:
        """Return whether the office has answered a challenge that was sent within the last `within_s` seconds."""
        return self._has_proof and now - self._proved_at <= within_s

    def silence_event(self, now: float) -> OfficeSilent | None:
        """Return an event when the office becomes silent for too long, and when that ends; once each.

        Call it only while the broker is reached.
        """
        self._reached_s += now - self._asked_at if now - self._asked_at <= LONGEST_STEP_S else 0.0
        self._asked_at = now
        is_dumb = self._reached_s >= REACHED_S and now - self._proved_at > UNPROVED_S
        is_silent = is_dumb or now - self._proved_at > self._silent_s
        if is_silent and self._silent_since is None:
            self._silent_since = self._proved_at
            return OfficeSilent(int(now - self._proved_at))
        if self._silent_since is not None and not is_silent:
            silence_s, self._silent_since = int(self._proved_at - self._silent_since), None
            return OfficeSilent(silence_s, is_over=True)
        return None
