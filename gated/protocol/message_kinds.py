"""The kinds of all messages: the direction, the name in the signature, and whether a message is sealed."""

from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Progress, Reply
from gated.protocol.event_messages import Ack, EventBatch
from gated.protocol.face_messages import SharedFace, Vouching
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate, RecoveryNotice, VerifierKeys
from gated.protocol.record_messages import Delta, QuarantineList, RecordRequest, RemovalReceipt, SnapshotPart
from gated.protocol.status_messages import Heartbeat, Status
from gated.protocol.wire_types import Message

UP: dict[type[Message], str] = {
    Status: "status",
    EventBatch: "event",
    Reply: "reply",
    RemovalReceipt: "receipt",
    SharedFace: "shared",
    Vouching: "vouching",
    ConfirmationRequest: "ask",
    Progress: "progress",
    QuarantineList: "held",
    VerifierKeys: "verifiers",
    RecordRequest: "request",
    CertificateRequest: "renew",
}
DOWN: dict[type[Message], str] = {
    Ack: "ack",
    Heartbeat: "word",
    IssuedCertificate: "certificate",
    RecoveryNotice: "recovery",
    Delta: "delta",
    SnapshotPart: "part",
    Command: "command",
    Offer: "offer",
    Confirmation: "wanted",
}
KINDS = UP | DOWN
"""The kind of each message, as in its signature. The names on the wire are older than the names of the classes."""
OPEN = frozenset({"renew", "certificate"})
"""Kinds that are signed but not sealed: their content is visible in every TLS handshake."""
ONCE_OPEN = frozenset({"status", "request", "ack", "word"})
"""Kinds that an older end does not seal, and cannot read sealed. A newer end reads both."""


def kind_of(message: type[Message]) -> str:
    """Return the kind of a message, as in its signature."""
    return KINDS[message]
