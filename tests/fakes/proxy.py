"""A TCP proxy between a gate and its broker that simulates a bad network: latency, low rate, cuts, resets, truncation.

Plain TCP on this machine, so that TLS and MQTT above it meet the fault itself. Uses asyncio only. One `Proxy` belongs
to one event loop.
"""

import asyncio
import socket
import struct
from random import Random
from types import TracebackType
from typing import Self

from tests.fakes.network_direction import SOUND, Direction, Fault

IN_FLIGHT = 64
"""Most chunks in flight in one direction of a connection. Then the sender is blocked."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: close sends RST instead of FIN (socket(7))."""


class Proxy:
    """Listens on `port` of 127.0.0.1 and forwards to a target. Use `async with`, or `start` and `close`.

    `up` is the direction from the client to the target, `down` the reverse. The same `seed` gives the same jitter.
    """

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        self.up, self.down = Direction(), Direction()
        self.connections = 0
        """Number of connections ever accepted."""
        self._target, self._dice = (host, port), Random(seed)
        self._lanes: set[_Lane] = set()
        self._server: asyncio.Server | None = None
        self._place = socket.socket()  # never listens: reserves the port while the network is cut
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = int(self._place.getsockname()[1])

    async def start(self) -> None:
        """Listen, unless already listening."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_port=True)

    async def heal(self) -> None:
        """Remove all faults, and listen."""
        self.inflict(SOUND)
        await self.start()

    async def close(self) -> None:
        """End all connections. Idempotent."""
        self.cut()
        await asyncio.gather(*[lane.task for lane in self._lanes], return_exceptions=True)
        self._place.close()

    def inflict(self, fault: Fault) -> None:
        """Apply a fault to both directions."""
        self.up.inflict(fault)
        self.down.inflict(fault)

    def cut(self) -> None:
        """Close every connection. Accept none until `heal` or `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for lane in self._lanes:
            lane.end()

    def reset(self) -> None:
        """End every connection with RST. New connections work as before."""
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
        if self._server is None:  # cut meanwhile
            writer.transport.abort()
            return
        self.connections += 1
        lane = _Lane(self._dice, writer)
        lane.task = asyncio.create_task(lane.run(reader, self._target, self.up, self.down), name="proxy-lane")
        self._lanes.add(lane)
        lane.task.add_done_callback(lambda _: self._lanes.discard(lane))


class _Lane:
    """One proxied connection."""

    task: asyncio.Task[None]

    def __init__(self, dice: Random, near: asyncio.StreamWriter) -> None:
        self._dice, self._writers = dice, [near]

    async def run(self, reader: asyncio.StreamReader, target: tuple[str, int], up: Direction, down: Direction) -> None:
        """Connect to the target and forward both directions, until both have ended or one fails."""
        try:
            far_reader, far = await asyncio.open_connection(*target)
            self._writers.append(far)
            async with asyncio.TaskGroup() as tasks:
                for direction, source, sink in ((up, reader, far), (down, far_reader, self._writers[0])):
                    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
                    tasks.create_task(self._receive(direction, source, queue), name="proxy-receive")
                    tasks.create_task(self._forward(direction, queue, sink), name="proxy-forward")
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

    async def _receive(
        self, direction: Direction, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Read from one side into the queue. An empty chunk marks the end."""
        loop, due, chunk = asyncio.get_running_loop(), 0.0, b" "
        while chunk:
            try:
                chunk = await reader.read(direction.step_bytes)
            except ConnectionError:
                if not direction.is_silent:
                    raise
                chunk = b""
            due = max(due, loop.time() + direction.latency_s(self._dice))
            await queue.put((due, chunk))

    async def _forward(
        self, direction: Direction, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        """Write each chunk when it is due, as far as the fault lets it pass. Raises `EOFError` on truncation."""
        loop, sent, is_torn = asyncio.get_running_loop(), 0, False
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(due - loop.time())
            if is_torn and not direction.is_silent:
                raise ConnectionResetError
            is_end = not chunk and not direction.is_silent
            passed = direction.part(chunk)
            is_torn |= len(passed) < len(chunk) or not (chunk or is_end)
            if passed:
                writer.write(passed[: int(max(0, min(len(passed), direction.fault.truncate_bytes - sent)))])
                await writer.drain()
                sent += len(passed)
            if sent >= direction.fault.truncate_bytes:
                raise EOFError
            if is_end:
                writer.write_eof()
            if not chunk:
                return
            await asyncio.sleep(direction.wait_s(len(passed), loop.time()))
