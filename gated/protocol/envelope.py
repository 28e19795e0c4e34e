"""Turn messages into bytes and back: JSON, padded, sealed to the reader, and signed.

No arriving data is trusted. Its length is checked first, then its signature. Then it is opened and parsed strictly, and
it must name this site and this gate. Any defect raises `WireError`, which quotes no content.
"""

from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from gated.errors import SealError, WireError
from gated.protocol.event_messages import EventBatch
from gated.protocol.jose import Identity, Party
from gated.protocol.limits import MAX_BYTES, MAX_PLAIN_BYTES
from gated.protocol.message_kinds import ONCE_OPEN, OPEN, kind_of
from gated.protocol.status_messages import Status, StatusShell
from gated.protocol.wire_types import Message
from gated.wording import UNDECODABLE

M = TypeVar("M", bound=Message)

STEP_BYTES, STATUS_BYTES = 256, 1408
"""Sealed messages and statuses are padded to a multiple of these, in bytes. The length then does not reveal "open" or
"secured". A status fits into one `STATUS_BYTES` even with names of 64 letters and eight degraded parts.
"""
LEAST_LOG_BYTES = 4096
"""Rows of the journal are padded to this many bytes, or to two, four or eight times as many. The size holds ten rows,
more than one passage causes. The batch with an old row, sent when nothing has happened, has the same length.
"""


class Outgoing(NamedTuple):
    """A message to publish, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class Peer(Struct, frozen=True):
    """The keys and names of one gate and its office, seen from one of the two.

    `me` signs and opens; `other` verifies and seals.
    """

    me: Identity
    other: Party
    site: str
    gate: str

    @property
    def client_id(self) -> str:
        """Return the MQTT client id. It cannot be guessed.

        A broker ends a connection when another client connects with its id. Most brokers let a client choose any id.
        """
        name = f"gated-{self.site}-{self.gate}"
        return f"{name}-{self.me.secret_name(name)}"

    def write(self, message: Message, *, is_to_old: bool = False) -> bytes:
        """Return a message as published bytes. Raises `WireError` if it is too long.

        `is_to_old` says that the other end is too old to read every kind sealed.
        """
        plain, kind = msgspec.json.encode(message), kind_of(type(message))
        if len(plain) > MAX_PLAIN_BYTES:
            raise WireError(f"{kind}: {len(plain)} bytes, at most {MAX_PLAIN_BYTES} can be sent")
        if kind in OPEN or (is_to_old and kind in ONCE_OPEN):
            return self.me.sign(kind, plain)
        sealed = self.other.seal(padded(message, plain))
        return self.me.sign(kind, in_shell(message, sealed) if isinstance(message, Status) else sealed)

    def read(self, payload: bytes, *kinds: type[M]) -> M:
        """Return an arrived message, which must be one of `kinds`. Raises `WireError`."""
        if len(payload) > MAX_BYTES:
            raise WireError(f"{len(payload)} bytes, more than {MAX_BYTES} are not read")
        if payload.count(b".") != 2:
            raise WireError("this is no signed message")
        trouble = ""  # text, because a kept error would keep the payload in memory
        for kind in kinds:
            try:
                return self._read(payload, kind)
            except WireError as error:
                trouble = trouble or str(error)
        raise WireError(trouble or "nothing is expected here")

    def _read(self, payload: bytes, kind: type[M]) -> M:
        name = kind_of(kind)
        signed = self.other.verify(payload, name)
        try:
            message = msgspec.json.decode(self._opened(signed, name), type=kind)
        except (SealError, *UNDECODABLE) as error:
            raise WireError(f"{name}: is signed, but its content is invalid ({type(error).__name__})") from error
        if (message.site, message.gate) != (self.site, self.gate):
            raise WireError(f"{name}: is addressed to another gate")
        return message

    def _opened(self, signed: bytes, name: str) -> bytes:
        """Return the JSON from the signed content. Accepts unsealed content where an older end may send it."""
        if name in OPEN or (name in ONCE_OPEN and signed.startswith(b"{") and name != "status"):
            return signed
        if name != "status":
            return self.me.open(signed)
        sealed = msgspec.json.decode(signed, type=StatusShell).sealed
        return self.me.open(sealed.encode()) if sealed else signed


def padded(message: Message, plain: bytes) -> bytes:
    """Return the JSON with trailing spaces, which a reader ignores."""
    step = STATUS_BYTES if isinstance(message, Status) else STEP_BYTES
    size = -(-len(plain) // step) * step
    if isinstance(message, EventBatch):
        size = max(LEAST_LOG_BYTES, 1 << (size - 1).bit_length())
    return plain.ljust(max(len(plain), min(size, MAX_PLAIN_BYTES)))


def in_shell(status: Status, sealed: bytes) -> bytes:
    """Return the content of a status that is signed: the public fields, and the sealed status."""
    shell = StatusShell(v=status.v, site=status.site, gate=status.gate, state=status.state, sealed=sealed.decode())
    return msgspec.json.encode(shell)
