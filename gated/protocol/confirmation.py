"""The question whether a command is still wanted. The gate asks with a fresh nonce; an answer is valid for 5 s.

Pure; the same for every command. A broker can withhold an answer or repeat an old one. A withheld answer is no answer,
and a repeated one has a nonce that is not in use. The gate uses its own monotonic clock, never a clock of the office.
"""

import math
import secrets

from gated.protocol.command_messages import Confirmation

CONFIRM_VALID_S = 5.0
"""Validity of an answer after its question, in seconds. The gate may begin the command at most this
long after asking.
"""
CONFIRM_INTERVAL_S = 1.0
"""Interval, in seconds, after which an unanswered question is sent again with another nonce."""
CONFIRM_TIMEOUT_S = 90.0
"""Longest time that a gate asks, in seconds: a person at the office may have to look first."""
GIVEN_UP = f"the office did not confirm it within {CONFIRM_TIMEOUT_S:.0f} s"
"""Refusal when no answer comes within `PATIENCE_S`."""


class Question:
    """One question about one command, repeated until it is answered. `now` is monotonic seconds."""

    def __init__(self, command_id: str) -> None:
        self.command = command_id
        self._asked: dict[str, float] = {}
        self._give_up_at: float | None = None
        self.again_at = -math.inf
        """When to ask, or to ask again."""
        self.good_until: float | None = None
        """When the office's confirmation ends; None before a valid answer."""
        self.refusal: str | None = None
        """Why the command is not wanted any more; None while it is. A refusal is final."""

    def ask(self, now: float) -> str | None:
        """Return a fresh nonce to send now; None if it is too early or the question is over.

        The question ends if no answer comes within `PATIENCE_S`.
        """
        if self._give_up_at is None:
            self._give_up_at = now + CONFIRM_TIMEOUT_S
        if self.refusal is None and now >= self._give_up_at:
            self.refusal = GIVEN_UP
        if self.refusal is not None or now < self.again_at:
            return None
        nonce = secrets.token_hex(16)
        self._asked[nonce], self.again_at = now, now + CONFIRM_INTERVAL_S
        return nonce

    def handle_answer(self, answer: Confirmation, now: float) -> None:
        """Take an answer. Ignore one to another command or with an unknown nonce.

        A refusal counts with any nonce.
        """
        if answer.command != self.command or self.refusal is not None:
            return
        if not answer.is_wanted:
            self.refusal = answer.why or "the office does not want it any more"
            return
        asked_at = self._asked.pop(answer.nonce, None)
        if asked_at is not None and 0 <= now - asked_at <= CONFIRM_VALID_S:
            self.good_until = max(self.good_until or 0.0, asked_at + CONFIRM_VALID_S)

    def is_wanted(self, now: float) -> bool:
        """Return whether the command may begin now."""
        return self.refusal is None and self.good_until is not None and now <= self.good_until
