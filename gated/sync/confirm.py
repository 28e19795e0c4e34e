"""Is an order still wanted? The gate asks with a fresh nonce; an answer is good for 5 s after its question was made.

Pure, and the same for every order. A broker can withhold an answer or repeat an old one: the first is no answer, and
the second has a nonce that is not asked for. No clock of the office is believed; the gate counts its own seconds.
"""

import math
import secrets

from gated.sync.messages import StillWanted

GOOD_S = 5.0
"""So long after the question an answer counts. Also so long, at most, a gate may still begin after the answer."""
AGAIN_S = 1.0
"""A question without an answer is asked again, with another nonce."""
PATIENCE_S = 90.0
"""So long a gate asks: somebody at the office may have to look first."""
GIVEN_UP = f"the office did not confirm it within {PATIENCE_S:.0f} s"


class Question:
    """One question about one order, asked again until it is answered. `now` is monotonic seconds."""

    def __init__(self, order: str) -> None:
        self.order = order
        self._asked: dict[str, float] = {}
        self._give_up_at: float | None = None
        self.again_at = -math.inf
        """When it is time to ask, or to ask again."""
        self.good_until: float | None = None
        """Until when it is known that the order is wanted; None before a good answer."""
        self.refusal: str | None = None
        """Why the order is not wanted any more. That is final."""

    def ask(self, now: float) -> str | None:
        """A fresh nonce, to be sent now; None where it is too early, or over. Without an answer in time it is over."""
        if self._give_up_at is None:
            self._give_up_at = now + PATIENCE_S
        if self.refusal is None and now >= self._give_up_at:
            self.refusal = GIVEN_UP
        if self.refusal is not None or now < self.again_at:
            return None
        nonce = secrets.token_hex(16)
        self._asked[nonce], self.again_at = now, now + AGAIN_S
        return nonce

    def hear(self, answer: StillWanted, now: float) -> None:
        """Take an answer; one to another order or with an unknown nonce says nothing."""
        if answer.order != self.order or self.refusal is not None:
            return
        if not answer.is_wanted:
            self.refusal = answer.why or "the office does not want it any more"
            return
        asked_at = self._asked.pop(answer.nonce, None)
        if asked_at is not None and 0 <= now - asked_at <= GOOD_S:
            self.good_until = max(self.good_until or 0.0, asked_at + GOOD_S)

    def is_wanted(self, now: float) -> bool:
        """Whether it may be done now."""
        return self.refusal is None and self.good_until is not None and now <= self.good_until
