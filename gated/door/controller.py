"""The brain's hand on the latch: asks for releases, hears what the door does, and comes back when the latch does."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gated.door.messages import (
    Beat,
    DriveLine,
    FromLatch,
    Goodbye,
    Happened,
    Hello,
    LatchState,
    Refused,
    ReleaseLock,
    Welcome,
)
from gated.errors import LatchError, WireError
from gated.events import Event
from gated.runtime.channel import Channel
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

BEAT_S = 0.5
PART_S = 0.5
ANSWER_S = 2.0
"""So long the latch may be silent before it is taken for dead."""


class DoorController:
    """One door, seen from the brain. `report(event, at)` is given every fact; `on_link(up)` each change of the link."""

    def __init__(
        self, path: Path, report: Callable[[Event, datetime], None], on_link: Callable[[bool, str], None]
    ) -> None:
        self._path, self._report, self._on_link = path, report, on_link
        self._latch: Channel[FromLatch] | None = None
        self.state = "unknown"
        """"secured", "released", "open", or "unknown" while no latch answers."""

    @property
    def is_linked(self) -> bool:
        """Whether the latch answers."""
        return self._latch is not None

    def release(self, visit: str, lease_s: float, decided_at: float) -> None:
        """Ask for a release now; the latch reports what came of it. Raises `LatchError` when no latch answers."""
        self._send(ReleaseLock(visit, lease_s, decided_at))

    def drive(self, line: str, active: bool) -> None:
        """Mock pins only: play the outside world. Raises `LatchError` when no latch answers."""
        self._send(DriveLine(line, active))

    async def is_answering(self) -> bool:
        """Whether a latch serves, ours or a service of its own."""
        if self.is_linked:
            return True
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            return False
        writer.close()
        return True

    async def run(self) -> None:
        """Stay linked, for ever."""
        backoff = Backoff(first_s=0.1, most_s=2.0)
        while True:
            try:
                await self._link(backoff)
            except (OSError, EOFError, WireError, LatchError, TimeoutError) as error:
                why = str(error) or "it does not answer"
            if self.is_linked:
                self._latch, self.state = None, "unknown"
                self._on_link(False, why)
            await asyncio.sleep(backoff.next_s())

    def _send(self, message: ReleaseLock | DriveLine) -> None:
        try:
            if self._latch is None:
                raise WireError("no latch answers")
            self._latch.send(message)
        except WireError as error:
            raise LatchError(f"the latch cannot be asked: {error}") from error

    async def _link(self, backoff: Backoff) -> None:
        """One connection, from hello to its end."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        channel = Channel[FromLatch](reader, writer, FromLatch)
        try:
            channel.send(Hello())
            answer = await channel.receive(ANSWER_S)
            if not isinstance(answer, Welcome):
                raise LatchError(answer.why if isinstance(answer, Refused) else "the latch did not say welcome")
            self._latch = channel
            backoff.reset()
            self._on_link(True, "")
            beat = asyncio.create_task(self._beat(channel), name="beat")
            try:
                await self._listen(channel)
            except asyncio.CancelledError:
                await self._part(channel)
                raise
            finally:
                beat.cancel()
        finally:
            await channel.close()

    async def _beat(self, channel: Channel[FromLatch]) -> None:
        with contextlib.suppress(WireError):  # the listener hears the end
            while True:
                channel.send(Beat())
                await asyncio.sleep(BEAT_S)

    async def _part(self, channel: Channel[FromLatch]) -> None:
        """End as friends: the latch secures the door, and we still hear that it did."""
        with contextlib.suppress(EOFError, WireError, LatchError, TimeoutError):
            channel.send(Goodbye())
            async with asyncio.timeout(PART_S):
                await self._listen(channel)

    async def _listen(self, channel: Channel[FromLatch]) -> None:
        while True:
            match await channel.receive(ANSWER_S):
                case LatchState(state):
                    self.state = state
                case Happened(at, event):
                    self._report(event, datetime.fromtimestamp(at, UTC))
                case Refused(why):
                    raise LatchError(why)
                case Welcome():
                    raise WireError("welcome is said once")
