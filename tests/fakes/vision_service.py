"""A fake vision process: a service of systemd that an attacker controls, and that sends the bytes of a test."""

import asyncio
import contextlib
import struct

import msgspec


def packed(*messages):
    """Return messages as they stand on the vision link: length, then MessagePack. Bytes pass as they are."""
    bodies = [each if isinstance(each, bytes) else msgspec.msgpack.encode(each) for each in messages]
    return b"".join(struct.pack("<I", len(body)) + body for body in bodies)


class FakeVision:
    """The other end of the vision link, at the socket `path`.

    `chunks_for(call)` returns the chunks to send to connection number `call`, from 1. After the last chunk the
    connection stays open. `calls` counts the connections, `sent` the chunks.
    """

    def __init__(self, path, chunks_for):
        self.path, self._chunks_for, self.calls, self.sent = path, chunks_for, 0, 0

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        self.calls += 1
        with contextlib.suppress(ConnectionError):
            await reader.readexactly(4)
            for chunk in self._chunks_for(self.calls):
                writer.write(chunk)
                await writer.drain()
                self.sent += 1
            await reader.read()
        writer.close()
