"""Where a gate and its office speak and listen; nothing else, and in one place.

Exact topics only: wildcards, shared subscriptions and the like fail in silence on one broker or another.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gate: it writes `up`, it reads `down`; the office does the reverse."""

    site: str
    gate: str

    @property
    def status(self) -> str:
        """Retained: how the gate is."""
        return self._up("status")

    @property
    def event(self) -> str:
        """The journal, in batches."""
        return self._up("event")

    @property
    def reply(self) -> str:
        """What came of commands, receipts of removals, faces for other gates."""
        return self._up("reply")

    @property
    def request(self) -> str:
        """Records that the gate misses."""
        return self._up("request")

    @property
    def ack(self) -> str:
        """How far the office holds the journal, and its regular word."""
        return self._down("ack")

    @property
    def record(self) -> str:
        """Who may come in: deltas and parts of snapshots."""
        return self._down("record")

    @property
    def command(self) -> str:
        """What the gate is to do now."""
        return self._down("command")

    @property
    def up(self) -> tuple[str, ...]:
        """All that the gate writes and the office reads."""
        return (self.status, self.event, self.reply, self.request)

    @property
    def down(self) -> tuple[str, ...]:
        """All that the office writes and the gate reads."""
        return (self.ack, self.record, self.command)

    def _up(self, what: str) -> str:
        return f"gated/1/{self.site}/{self.gate}/up/{what}"

    def _down(self, what: str) -> str:
        return f"gated/1/{self.site}/{self.gate}/down/{what}"
