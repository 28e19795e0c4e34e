"""Typed messages between our own processes: a length, then MessagePack, over one socket.

The parts are ours, but a message is still checked like a stranger's, because a worker may be compromised.
"""

import asyncio
import socket
import struct
from typing import Any, Generic, TypeVar

import msgspec

from gated.errors import WireError
from gated.wording import UNDECODABLE

MAX_MESSAGE_BYTES = 65_536
MAX_UNSENT_BYTES = 262_144
FLUSH_S = 0.2
HEADER = struct.Struct("<I")

In = TypeVar("In")


class Codec(Generic[In]):
    """Turns messages into bytes, and bytes into one of the kinds of message that may arrive here."""

    def __init__(self, incoming: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(incoming)
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, message: msgspec.Struct) -> bytes:
        """One message with its length before it. Raises `WireError` when it is too long."""
        body = self._encoder.encode(message)
        if len(body) > MAX_MESSAGE_BYTES:
            raise WireError(f"a message of {len(body)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        return HEADER.pack(len(body)) + body

    def length(self, header: bytes) -> int:
        """How long the body is. Raises `WireError` when nobody of ours would send so much."""
        (length,) = HEADER.unpack(header)
        if length > MAX_MESSAGE_BYTES:
            raise WireError(f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}")
        return int(length)

    def decode(self, body: bytes) -> In:
        """The message. Raises `WireError` when it is none that may arrive here."""
        try:
            message: In = self._decoder.decode(body)
        except UNDECODABLE as error:
            raise WireError(f"not a message of ours: {_where(error)}") from None  # the error quotes the message
        return message


def _where(error: Exception) -> str:
    """The kind of the error and the field, without text of the sender."""
    _, at, place = str(error).rpartition(" - at ")
    return f"{type(error).__name__}{at}{place if at else ''}"


class Channel(Generic[In]):
    """The asyncio end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, incoming: Any) -> None:
        self._reader, self._writer, self._codec = reader, writer, Codec[In](incoming)

    @classmethod
    async def over(cls, sock: socket.socket, incoming: Any) -> "Channel[In]":
        """A channel over a socket that is connected already."""
        return cls(*await asyncio.open_connection(sock=sock), incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Send without waiting. Raises `WireError` when the other side is gone or has stopped reading."""
        transport = self._writer.transport
        if transport.is_closing():
            raise WireError("the other side is gone")
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise WireError("the other side has stopped reading")
        self._writer.write(self._codec.encode(message))

    async def receive(self, timeout_s: float | None = None) -> In:
        """The next message. Raises `EOFError` at the end, `WireError` when it is no message of ours, `TimeoutError`.

        Not with `asyncio.wait_for`, which in Python 3.11 can swallow a cancellation: a part would not stop.
        """
        try:
            async with asyncio.timeout(timeout_s):
                header = await self._reader.readexactly(HEADER.size)
                return self._codec.decode(await self._reader.readexactly(self._codec.length(header)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the other side is gone") from error

    @property
    def peer_uid(self) -> int:
        """The user on the other side, as the kernel knows it (`SO_PEERCRED`, unix(7))."""
        raw = self._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", raw)[1])

    async def close(self) -> None:
        """Close; what a reader has not taken by `FLUSH_S` is lost."""
        self._writer.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


class BlockingChannel(Generic[In]):
    """The end for a process that has no event loop."""

    def __init__(self, sock: socket.socket, incoming: Any) -> None:
        self._socket, self._codec = sock, Codec[In](incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Send, and wait until the kernel has it. Raises `EOFError` when the other side is gone."""
        try:
            self._socket.sendall(self._codec.encode(message))
        except (BrokenPipeError, ConnectionError) as error:
            raise EOFError("the other side is gone") from error

    def receive(self) -> In:
        """Wait for the next message. Raises `EOFError` at the end, `WireError` when it is no message of ours."""
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
