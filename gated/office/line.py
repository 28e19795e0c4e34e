"""One gate as the office speaks with it."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from gated.office.withheld import Withholding
from gated.sync.flood import Bucket
from gated.sync.messages import SEALED, Message, Request, Status
from gated.sync.topics import Topics
from gated.sync.wire import Outgoing, Peer

MOST_AT_ONCE, MOST_PER_S = 3000, 300
"""So many messages of one gate are looked at, at once and each second; what is dropped comes again. An honest gate says
some ten a second. A stolen one that says more takes the office from nobody else.
"""


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
    begun_at: float = 0.0
    """When this process met it."""
    is_online: bool = False
    is_sealing: bool = True
    """Whether its newest status was sealed, and it reads everything sealed."""
    is_restored: bool = False
    """Whether it was found to know more than this office, which must be an old one."""
    differs_since: float | None = None
    """Since when it has had other records than this office at the same version."""
    leapt_at: float = -math.inf
    asked: Request | None = None
    """What it asked for before it might be told."""
    accepted_at: datetime | None = None
    """When it took people for no poison, as this office had ordered: it asks for all of them once more then."""
    is_heard: bool = False
    """Whether it has ever said how it is."""
    withholding: Withholding = field(default_factory=Withholding)
    withheld: set[str] | None = None
    """Of what the alarm stands that it is held back; None while this process does not know."""
    alarmed: dict[str, bool] = field(default_factory=dict)
    """Whether an alarm of a kind that ends by itself stands; not in it while this process does not know."""

    heard: Bucket = field(default_factory=lambda: Bucket(MOST_AT_ONCE, MOST_PER_S))

    @property
    def gate(self) -> str:
        """Its name."""
        return self.peer.gate

    def ack(self, message: Message) -> Outgoing:
        """An ack, or the regular word."""
        return Outgoing(self.topics.ack, self.peer.write(message, is_to_old=not self.is_sealing))

    def answer(self, word: Message, status: Status) -> Outgoing:
        """The word that answers a status, as sealed as that was: a gate that went back to an older version reads it."""
        return Outgoing(self.topics.ack, self.peer.write(word, is_to_old=SEALED not in status.can))

    def record(self, message: Message) -> Outgoing:
        """Records."""
        return Outgoing(self.topics.record, self.peer.write(message))

    def command(self, message: Message) -> Outgoing:
        """A command."""
        return Outgoing(self.topics.command, self.peer.write(message))
