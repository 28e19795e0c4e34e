"""One gate as the office speaks with it."""

import math
from dataclasses import dataclass, field

from gated.sync.messages import Message
from gated.sync.topics import Topics
from gated.sync.wire import Outgoing, Peer


@dataclass(slots=True)
class Line:
    """What this process knows of a conversation; the rest is on disk. Times are monotonic seconds."""

    keys: str
    peer: Peer
    topics: Topics
    sent: int
    """The number up to which records were published to it, whether they arrived or not."""
    seen_at: float
    """When it last proved that it speaks."""
    marked_at: float
    """When it last signed how far its journal is."""
    is_online: bool = False
    is_restored: bool = False
    """Whether it was found to know more than this office, which must be an old one."""
    differs_since: float | None = None
    """Since when it has had other records than this office at the same version."""
    leapt_at: float = -math.inf
    alarmed: dict[str, bool] = field(default_factory=dict)
    """Whether an alarm of a kind that ends by itself stands; not in it while this process does not know."""

    @property
    def gate(self) -> str:
        """Its name."""
        return self.peer.gate

    def ack(self, message: Message) -> Outgoing:
        """An ack, or the regular word."""
        return Outgoing(self.topics.ack, self.peer.write(message))

    def record(self, message: Message) -> Outgoing:
        """Records."""
        return Outgoing(self.topics.record, self.peer.write(message))

    def command(self, message: Message) -> Outgoing:
        """A command."""
        return Outgoing(self.topics.command, self.peer.write(message))
