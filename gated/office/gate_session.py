"""The gate session: one process's state of the conversation with one gate."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from gated.office.undelivered import DeliveryTracker
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.flood import Bucket
from gated.protocol.record_messages import RecordRequest
from gated.protocol.status_messages import SEALED, Status
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message

MOST_AT_ONCE, MOST_PER_S = 3000, 300
"""Rate limit for messages of one gate: burst, sustained per second.

Dropped messages are sent again. An honest gate sends about ten a second. The limit prevents a stolen gate from slowing
down other gates.
"""


@dataclass(slots=True)
class GateSession:
    """One gate's session in this process; all other state is on disk. Times are monotonic seconds."""

    keys: str
    peer: Peer
    topics: Topics
    sent_version: int
    """The record number up to which records were published to the gate, delivered or not."""
    seen_at: float
    """Time of the gate's newest fresh status."""
    marked_at: float
    """Time of the newest signed head of the gate's journal."""
    begun_at: float = 0.0
    """Time at which this process opened the session."""
    is_online: bool = False
    is_sealing: bool = True
    """Whether the gate can read every kind of message sealed, by its newest fresh status."""
    is_restored: bool = False
    """Whether the gate knows more than this office, so the office must have been restored from a backup."""
    differs_since: float | None = None
    """Start of the time with different records at the same version; None if it has the same."""
    renumbered_at: float = -math.inf
    """Time of the last renumbering of all records because of this gate."""
    pending_request: RecordRequest | None = None
    """The gate's request that came before the gate may receive people."""
    accepted_at: datetime | None = None
    """Time at which the gate, by this office's command, accepted held-back people. It then asks once more for all
    records.
    """
    has_status: bool = False
    """Whether the gate has ever sent a status."""
    deliveries: DeliveryTracker = field(default_factory=DeliveryTracker)
    withheld_alarms: set[str] | None = None
    """The kinds of data named by open "withheld" alarms; None until read from disk."""
    open_alarms: dict[str, bool] = field(default_factory=dict)
    """Whether an alarm of each self-ending kind is open. A missing kind is unknown to this process."""

    rate_limit: Bucket = field(default_factory=lambda: Bucket(MOST_AT_ONCE, MOST_PER_S))

    @property
    def gate(self) -> str:
        """Return the gate's name."""
        return self.peer.gate

    def ack(self, message: Message) -> Outgoing:
        """Return an ack or other message for the gate's ack topic."""
        return Outgoing(self.topics.ack, self.peer.write(message, is_to_old=not self.is_sealing))

    def heartbeat(self, heartbeat: Message, status: Status) -> Outgoing:
        """Return the heartbeat that answers a status.

        Follows the sealing that this status announces, so a gate put back to an older version can read it.
        """
        return Outgoing(self.topics.ack, self.peer.write(heartbeat, is_to_old=SEALED not in status.can))

    def record(self, message: Message) -> Outgoing:
        """Return a message for the gate's record topic."""
        return Outgoing(self.topics.record, self.peer.write(message))

    def command(self, message: Message) -> Outgoing:
        """Return a message for the gate's command topic."""
        return Outgoing(self.topics.command, self.peer.write(message))
