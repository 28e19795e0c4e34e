"""How a message becomes bytes on the wire and back: JSON, padded, sealed to the reader, and signed.

Nothing that arrives is believed: it is measured, then its signature checked, then opened, then parsed strictly, and it
must name this site and this gate. Whatever is wrong with it is a `WireError`, which quotes nothing of it.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from gated.errors import SealError, WireError
from gated.sync.jose import Identity, Party
from gated.sync.messages import (
    MAX_BYTES,
    MAX_PLAIN_BYTES,
    ONCE_OPEN,
    OPEN,
    EventBatch,
    Message,
    Shell,
    Status,
    kind_of,
)
from gated.wording import UNDECODABLE

M = TypeVar("M", bound=Message)

STEP_BYTES, STATUS_BYTES = 256, 1408
"""What is sealed, and a status, is padded to a multiple of these: its length does not tell "open" from "secured". A
status of a gate with names of 64 letters, which has lost eight parts, is no longer than one of these.
"""
LEAST_LOG_BYTES = 4096
"""Rows of the journal are padded to this or to two, four, eight times as much: so much are ten rows, more than somebody
who passes leaves. A batch of old rows, which a gate says when nothing has happened, looks the same.
"""


class Outgoing(NamedTuple):
    """What is to be published, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """One gate and its office, seen from one of them: whose keys sign what goes out, and whose what comes in."""

    me: Identity
    them: Party
    site: str
    gate: str

    @property
    def client_id(self) -> str:
        """At the broker. It cannot be guessed: a broker ends the connection of whoever has the id of a newcomer, and
        most let a newcomer say any.
        """
        name = f"gated-{self.site}-{self.gate}"
        return f"{name}-{self.me.secret_name(name)}"

    def write(self, message: Message, *, is_to_old: bool = False) -> bytes:
        """A message as it is published. `is_to_old`: the other end is too old to read all kinds sealed. Raises
        `WireError` when it is too long for the wire.
        """
        plain, kind = msgspec.json.encode(message), kind_of(type(message))
        if len(plain) > MAX_PLAIN_BYTES:
            raise WireError(f"{kind}: {len(plain)} bytes, at most {MAX_PLAIN_BYTES} can be sent")
        if kind in OPEN or (is_to_old and kind in ONCE_OPEN):
            return self.me.sign(kind, plain)
        sealed = self.them.seal(padded(message, plain))
        return self.me.sign(kind, in_shell(message, sealed) if isinstance(message, Status) else sealed)

    def read(self, payload: bytes, *kinds: type[M]) -> M:
        """A message that has arrived, which must be one of `kinds`. Raises `WireError`."""
        if len(payload) > MAX_BYTES:
            raise WireError(f"{len(payload)} bytes, more than {MAX_BYTES} are not read")
        if payload.count(b".") != 2:
            raise WireError("this is no signed message")
        trouble = ""  # text: an error kept here would keep the payload, until the collector finds the circle
        for kind in kinds:
            try:
                return self._read(payload, kind)
            except WireError as error:
                trouble = trouble or str(error)
        raise WireError(trouble or "nothing is expected here")

    def _read(self, payload: bytes, kind: type[M]) -> M:
        name = kind_of(kind)
        signed = self.them.verify(payload, name)
        try:
            message = msgspec.json.decode(self._opened(signed, name), type=kind)
        except (SealError, *UNDECODABLE) as error:
            raise WireError(f"{name}: is signed and not what was agreed ({type(error).__name__})") from error
        if (message.site, message.gate) != (self.site, self.gate):
            raise WireError(f"{name}: is addressed to another gate")
        return message

    def _opened(self, signed: bytes, name: str) -> bytes:
        """The JSON in what was signed; where an older end may have said it, also what is not sealed."""
        if name in OPEN or (name in ONCE_OPEN and signed.startswith(b"{") and name != "status"):
            return signed
        if name != "status":
            return self.me.open(signed)
        sealed = msgspec.json.decode(signed, type=Shell).sealed
        return self.me.open(sealed.encode()) if sealed else signed


def padded(message: Message, plain: bytes) -> bytes:
    """Its JSON, with spaces behind it, which a reader passes over."""
    step = STATUS_BYTES if isinstance(message, Status) else STEP_BYTES
    size = -(-len(plain) // step) * step
    if isinstance(message, EventBatch):
        size = max(LEAST_LOG_BYTES, 1 << (size - 1).bit_length())
    return plain.ljust(max(len(plain), min(size, MAX_PLAIN_BYTES)))


def in_shell(status: Status, sealed: bytes) -> bytes:
    """A status as it is signed."""
    shell = Shell(v=status.v, site=status.site, gate=status.gate, state=status.state, sealed=sealed.decode())
    return msgspec.json.encode(shell)
