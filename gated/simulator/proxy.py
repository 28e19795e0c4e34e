"""A wire between a gate and its broker, as bad as real ones: late, slow, cut, deaf, torn, used up.

Plain TCP on this machine: what runs above it (TLS, MQTT) meets the fault itself. asyncio alone; one `Proxy` belongs to
one event loop.
"""

import asyncio
import socket
import struct
from random import Random
from types import TracebackType
from typing import Self

from gated.simulator.way import SOUND, Fault, Way

IN_FLIGHT = 64
"""Chunks that a connection has under way in one direction, at most; then its sender feels it."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST instead of FIN (socket(7))."""


class Proxy:
    """Listens on `port` of 127.0.0.1 and passes on to a target; `async with`, or `start` and `close`.

    `up` is the way from who dials to the target, `down` the way back. The same `seed` throws the same jitter.
    """

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        self.up, self.down = Way(), Way()
        self.connections = 0
        """That were ever accepted."""
        self._target, self._dice = (host, port), Random(seed)  # noqa: S311 - jitter
        self._lanes: set[_Lane] = set()
        self._server: asyncio.Server | None = None
        self._place = socket.socket()  # never listens: keeps the port ours while the wire is cut
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = int(self._place.getsockname()[1])

    async def start(self) -> None:
        """Listen, unless it does."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_port=True)

    async def heal(self) -> None:
        """The wire is sound, and listens."""
        self.inflict(SOUND)
        await self.start()

    async def close(self) -> None:
        """End everything. May be called twice."""
        self.cut()
        await asyncio.gather(*[lane.task for lane in self._lanes], return_exceptions=True)
        self._place.close()

    def inflict(self, fault: Fault) -> None:
        """From now on both ways are like this."""
        self.up.inflict(fault)
        self.down.inflict(fault)

    def cut(self) -> None:
        """Every connection is closed, and none is accepted until `heal` or `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for lane in self._lanes:
            lane.end()

    def reset(self) -> None:
        """Every connection ends with RST; new ones are as good as before."""
        for lane in self._lanes:
            lane.end(is_reset=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # cut since
            writer.transport.abort()
            return
        self.connections += 1
        lane = _Lane(self._dice, writer)
        lane.task = asyncio.create_task(lane.run(reader, self._target, self.up, self.down), name="proxy-lane")
        self._lanes.add(lane)
        lane.task.add_done_callback(lambda _: self._lanes.discard(lane))


class _Lane:
    """One connection over the wire."""

    task: asyncio.Task[None]

    def __init__(self, dice: Random, near: asyncio.StreamWriter) -> None:
        self._dice, self._writers = dice, [near]

    async def run(self, reader: asyncio.StreamReader, target: tuple[str, int], up: Way, down: Way) -> None:
        """Dial the target and carry both ways, until both have ended or one breaks."""
        try:
            far_reader, far = await asyncio.open_connection(*target)
            self._writers.append(far)
            async with asyncio.TaskGroup() as tasks:
                for way, source, sink in ((up, reader, far), (down, far_reader, self._writers[0])):
                    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
                    tasks.create_task(self._take(way, source, queue), name="proxy-take")
                    tasks.create_task(self._give(way, queue, sink), name="proxy-give")
        except* OSError:
            self._drop(is_reset=True)
        except* EOFError:  # truncated
            pass
        finally:
            for writer in self._writers:
                writer.close()

    def end(self, *, is_reset: bool = False) -> None:
        """Close both sides at once."""
        self._drop(is_reset=is_reset)
        self.task.cancel()

    def _drop(self, *, is_reset: bool) -> None:
        for writer in self._writers:
            if is_reset and not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _take(self, way: Way, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Take in what one side sends; an empty chunk is its end."""
        loop, due, chunk = asyncio.get_running_loop(), 0.0, b" "
        while chunk:
            try:
                chunk = await reader.read(way.step_bytes)
            except ConnectionError:
                if not way.is_silent:
                    raise
                chunk = b""
            due = max(due, loop.time() + way.latency_s(self._dice))
            await queue.put((due, chunk))

    async def _give(self, way: Way, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """Hand it to the other side when it is due, as far as it passes; `EOFError` where the wire cuts it off."""
        loop, sent, is_torn = asyncio.get_running_loop(), 0, False
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(due - loop.time())
            if is_torn and not way.is_silent:
                raise ConnectionResetError
            is_end = not chunk and not way.is_silent
            passed = way.part(chunk)
            is_torn |= len(passed) < len(chunk) or not (chunk or is_end)
            if passed:
                writer.write(passed[: int(max(0, min(len(passed), way.fault.truncate_bytes - sent)))])
                await writer.drain()
                sent += len(passed)
            if sent >= way.fault.truncate_bytes:
                raise EOFError
            if is_end:
                writer.write_eof()
            if not chunk:
                return
            await asyncio.sleep(way.wait_s(len(passed), loop.time()))
