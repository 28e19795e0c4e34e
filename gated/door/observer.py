"""A look at the latch from beside the brain: it is told the state and may ask for nothing."""

import asyncio
import contextlib
from pathlib import Path

from gated.door.messages import Beat, FromLatch, Goodbye, Hello, LatchState, Refused
from gated.errors import LatchError, WireError
from gated.runtime.channel import Channel

ANSWER_S = 2.0
"""So long the latch may take for each answer."""


async def observe(path: Path) -> LatchState:
    """What the latch that serves the socket at `path` believes now. Raises `LatchError` when none does, or refuses."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise LatchError(f"no latch serves {path} ({error.strerror})") from error
    channel = Channel[FromLatch](reader, writer, FromLatch)
    try:
        return await _asked(channel)
    except (EOFError, TimeoutError, WireError) as error:
        raise LatchError(f"the latch at {path} does not answer ({error or 'it is silent'})") from error
    finally:
        await channel.close()


async def _asked(channel: Channel[FromLatch]) -> LatchState:
    """The state, and whatever else comes first is not for us."""
    channel.send(Hello(observer=True))
    channel.send(Beat())
    async with asyncio.timeout(ANSWER_S):
        while True:
            answer = await channel.receive()
            if isinstance(answer, Refused):
                raise LatchError(f"the latch refuses to be looked at: {answer.why}")
            if isinstance(answer, LatchState):
                with contextlib.suppress(WireError):
                    channel.send(Goodbye())
                return answer
