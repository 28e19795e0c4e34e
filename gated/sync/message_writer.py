"""Write the gate's messages: choose the topic, then seal and sign. Used by `GateSide`."""

import logging
from collections.abc import Sequence

from gated.errors import WireError
from gated.protocol.command_messages import ConfirmationRequest, Progress, Reply
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.event_messages import EventBatch
from gated.protocol.face_messages import SharedFace, Vouching
from gated.protocol.key_messages import CertificateRequest, VerifierKeys
from gated.protocol.record_messages import QuarantineList, RecordRequest, RemovalReceipt
from gated.protocol.status_messages import Status
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message

log = logging.getLogger(__name__)

REPLIES = (
    Reply,
    RemovalReceipt,
    SharedFace,
    Vouching,
    ConfirmationRequest,
    Progress,
    QuarantineList,
    VerifierKeys,
)
REQUESTS = (RecordRequest, CertificateRequest)


class MessageWriter:
    """Turns the gate's messages into bytes for its topics."""

    def __init__(self, peer: Peer, topics: Topics) -> None:
        self._peer, self._topics = peer, topics

    def write_all(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Return the messages to publish. Logs and drops a message that is too long."""
        written = []
        for message in messages:
            try:
                written.append(self.write(message))
            except WireError as error:
                log.error("a message cannot be sent: %s", error)
        return written

    def write(self, message: Message) -> Outgoing:
        """Return the message to publish. Raises `WireError` if it is too long, or if a gate never sends this kind."""
        return Outgoing(self._topic(message), self._peer.write(message), retain=isinstance(message, Status))

    def _topic(self, message: Message) -> str:
        if isinstance(message, Status):
            return self._topics.status
        if isinstance(message, EventBatch):
            return self._topics.event
        if isinstance(message, REPLIES):
            return self._topics.reply
        if isinstance(message, REQUESTS):
            return self._topics.request
        raise WireError(f"{type(message).__name__}: a gate never sends this kind")
