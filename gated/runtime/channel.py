"""Sends typed messages between gated's own processes over one socket: a 4-byte length, then MessagePack.

The door controller, the latch and the vision process use it. Every message is checked like one from a stranger: a
worker may be compromised.
"""

import asyncio
import socket
import struct
from typing import Any, Generic, TypeVar

import msgspec

from gated.errors import WireError
from gated.wording import UNDECODABLE

MAX_MESSAGE_BYTES = 65_536
"""Limits one message, without its header, in bytes."""
MAX_UNSENT_BYTES = 262_144
"""Limits the bytes that wait to be sent. Above it, `send` takes the peer for stuck."""
FLUSH_S = 0.2
"""Limits how long `close` waits for the last bytes to leave, in seconds."""
HEADER = struct.Struct("<I")
"""Format of the header: the body's length as an unsigned 32-bit integer, little-endian."""

In = TypeVar("In")


class Codec(Generic[In]):
    """Encoder and decoder for one end of a channel. `incoming` is the type (or union of types) that may arrive."""

    def __init__(self, incoming: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, message: msgspec.Struct) -> bytes:
        """Return one message with its header. Raises `WireError` if the message is too long."""
        body = self._encoder.encode(message)
        if len(body) > MAX_MESSAGE_BYTES:
            raise WireError(f"a message of {len(body)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        return HEADER.pack(len(body)) + body

    def length(self, header: bytes) -> int:
        """Return the body's length in bytes. Raises `WireError` if it exceeds `MAX_MESSAGE_BYTES`."""
        (length,) = HEADER.unpack(header)
        if length > MAX_MESSAGE_BYTES:
            raise WireError(f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        return int(length)

    def decode(self, body: bytes) -> In:
        """Return the decoded message. Raises `WireError` if it is not one of the expected types."""
        try:
            message: In = self._decoder.decode(body)
        except UNDECODABLE as error:
            raise WireError(f"not a message of ours: {_location(error)}") from None  # the error would quote the message
        return message


def _location(error: Exception) -> str:
    """Return the error's class name and the field it names, without any text from the sender."""
    _, at, place = str(error).rpartition(" - at ")
    return f"{type(error).__name__}{at}{place if at else ''}"


class Channel(Generic[In]):
    """The asyncio end of a channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, incoming: Any) -> None:
        self._reader, self._writer, self._codec = reader, writer, Codec[In](incoming)

    @classmethod
    async def over(cls, sock: socket.socket, incoming: Any) -> "Channel[In]":
        """Return a channel over a socket that is already connected."""
        return cls(*await asyncio.open_connection(sock=sock), incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message without waiting. Raises `WireError` if the peer is gone or has stopped reading."""
        transport = self._writer.transport
        if transport.is_closing():
            raise WireError("the other side is gone")
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise WireError("the other side has stopped reading")
        self._writer.write(self._codec.encode(message))

    async def receive(self, timeout_s: float | None = None) -> In:
        """Return the next message. `timeout_s`: seconds to wait; None waits without limit.

        Raises `EOFError` at the end of the stream, `WireError` for an invalid message, and `TimeoutError`. Does not use
        `asyncio.wait_for`: in Python 3.11 it can swallow a cancellation, and the task would not stop.
        """
        try:
            async with asyncio.timeout(timeout_s):
                header = await self._reader.readexactly(HEADER.size)
                return self._codec.decode(await self._reader.readexactly(self._codec.length(header)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the other side is gone") from error

    @property
    def peer_uid(self) -> int:
        """Return the peer's user id, as the kernel reports it (`SO_PEERCRED`, unix(7))."""
        raw = self._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", raw)[1])

    async def close(self) -> None:
        """Close the channel. Bytes that the peer has not taken within `FLUSH_S` are lost."""
        self._writer.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


class BlockingChannel(Generic[In]):
    """The end of a channel for a process without an event loop."""

    def __init__(self, sock: socket.socket, incoming: Any) -> None:
        self._socket, self._codec = sock, Codec[In](incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Send one message and wait until the kernel has it. Raises `EOFError` if the peer is gone."""
        try:
            self._socket.sendall(self._codec.encode(message))
        except (BrokenPipeError, ConnectionError) as error:
            raise EOFError("the other side is gone") from error

    def receive(self) -> In:
        """Wait for the next message and return it.

        Raises `EOFError` at the end of the stream, `WireError` if it is invalid.
        """
        return self._codec.decode(self._exactly(self._codec.length(self._exactly(HEADER.size))))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self._socket.recv(count - len(data))
            except ConnectionError as error:
                raise EOFError("the other side is gone") from error
            if not part:
                raise EOFError("the other side is gone")
            data += part
        return data
