"""How a message becomes bytes on the wire and back: JSON, sealed to the reader where it is about people, and signed.

Nothing that arrives is believed: it is measured, then its signature checked, then opened, then parsed strictly, and it
must name this site and this gate. Whatever is wrong with it is a `WireError`, which quotes nothing of it.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from gated.errors import SealError, WireError
from gated.sync.jose import Identity, Party
from gated.sync.messages import MAX_BYTES, MAX_PLAIN_BYTES, OPEN, Message, kind_of

M = TypeVar("M", bound=Message)


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

    def write(self, message: Message) -> bytes:
        """A message as it is published. Raises `WireError` when it is too long for the wire."""
        plain, kind = msgspec.json.encode(message), kind_of(type(message))
        if len(plain) > MAX_PLAIN_BYTES:
            raise WireError(f"{kind}: {len(plain)} bytes, at most {MAX_PLAIN_BYTES} can be sent")
        return self.me.sign(kind, plain if kind in OPEN else self.them.seal(plain))

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
        plain = self.them.verify(payload, name)
        try:
            message = msgspec.json.decode(plain if name in OPEN else self.me.open(plain), type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, SealError) as error:
            raise WireError(f"{name}: is signed and not what was agreed ({type(error).__name__})") from error
        if (message.site, message.gate) != (self.site, self.gate):
            raise WireError(f"{name}: is addressed to another gate")
        return message
