"""Read the state of a running latch. The observer connects beside the brain and can release nothing."""

import asyncio
import contextlib
from pathlib import Path

from gated.door.latch_messages import FromLatch, Goodbye, Hello, LatchHeartbeat, LatchState, Refused
from gated.errors import LatchError, WireError
from gated.runtime.channel import Channel

STATE_TIMEOUT_S = 2.0
"""The time that the latch has to answer."""


async def read_latch_state(path: Path) -> LatchState:
    """Return the state of the latch that serves the socket at `path`.

    Raises `LatchError` if no latch runs there, or if the latch refuses or does not answer.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise LatchError(f"no latch runs at {path} ({error.strerror})") from error
    channel = Channel[FromLatch](reader, writer, FromLatch)
    try:
        return await _ask(channel)
    except (EOFError, TimeoutError, WireError) as error:
        raise LatchError(f"the latch at {path} does not answer ({error or 'it is silent'})") from error
    finally:
        await channel.close()


async def _ask(channel: Channel[FromLatch]) -> LatchState:
    """Ask for the state and return it. Other messages before it are skipped."""
    channel.send(Hello(observer=True))
    channel.send(LatchHeartbeat())
    async with asyncio.timeout(STATE_TIMEOUT_S):
        while True:
            answer = await channel.receive()
            if isinstance(answer, Refused):
                raise LatchError(f"the latch refuses to show its state: {answer.why}")
            if isinstance(answer, LatchState):
                with contextlib.suppress(WireError):
                    channel.send(Goodbye())
                return answer
