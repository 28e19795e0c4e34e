"""The MQTT topics of a gate and its office. Gate, office and broker settings use this module.

All topics are exact, because wildcards and shared subscriptions fail silently on some brokers.
"""

from msgspec import Struct


class Topics(Struct, frozen=True):
    """The topics of one gate. The gate writes `up` and reads `down`; the office does the reverse."""

    site: str
    gate: str

    @property
    def status(self) -> str:
        """The state of the gate. Retained."""
        return self._up("status")

    @property
    def event(self) -> str:
        """The journal, in batches."""
        return self._up("event")

    @property
    def reply(self) -> str:
        """Results of commands, receipts of removals, and faces for other gates."""
        return self._up("reply")

    @property
    def request(self) -> str:
        """Requests for missing records, and for certificates."""
        return self._up("request")

    @property
    def ack(self) -> str:
        """Acks of the journal, and the heartbeat of the office."""
        return self._down("ack")

    @property
    def record(self) -> str:
        """Records: deltas and parts of snapshots."""
        return self._down("record")

    @property
    def command(self) -> str:
        """Commands to the gate."""
        return self._down("command")

    @property
    def up(self) -> tuple[str, ...]:
        """Return the topics that the gate writes and the office reads."""
        return (self.status, self.event, self.reply, self.request)

    @property
    def down(self) -> tuple[str, ...]:
        """Return the topics that the office writes and the gate reads."""
        return (self.ack, self.record, self.command)

    def _up(self, topic: str) -> str:
        return f"gated/1/{self.site}/{self.gate}/up/{topic}"

    def _down(self, topic: str) -> str:
        return f"gated/1/{self.site}/{self.gate}/down/{topic}"
