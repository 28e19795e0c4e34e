"""Where this gate speaks and listens; nothing else, and in one place.

Exact topics only: wildcards, shared subscriptions and the like fail in silence on one broker or another.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gate: it writes `up`, it reads `down`."""

    site: str
    gate: str

    @property
    def status(self) -> str:
        """Retained: how the gate is."""
        return f"gated/1/{self.site}/{self.gate}/up/status"

    @property
    def event(self) -> str:
        """The journal, in batches."""
        return f"gated/1/{self.site}/{self.gate}/up/event"

    @property
    def ack(self) -> str:
        """How far the server holds the journal."""
        return f"gated/1/{self.site}/{self.gate}/down/ack"
