"""The brain's client of the latch. It asks for releases, receives door events, and reconnects by itself."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from gated.door.latch_messages import (
    CardRead,
    DriveLine,
    EventReport,
    FromLatch,
    Goodbye,
    Hello,
    KeyPressed,
    LatchHeartbeat,
    LatchState,
    PlayPattern,
    Refused,
    ReleaseLock,
    SetLockdown,
    Welcome,
)
from gated.errors import LatchError, WireError
from gated.events import MAIN, Event
from gated.runtime.channel import Channel
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

LATCH_HEARTBEAT_S = 0.5
GOODBYE_S = 0.5
"""The time to wait for the last events after a goodbye."""
LATCH_SILENCE_S = 2.0
"""The longest silence of the latch. After that the link is closed and opened again."""


PSEUDONYM_KEY = secrets.token_bytes(32)
"""The key of the person pseudonyms. It is new in each process, so the latch cannot link a person across days."""


async def is_answering(path: Path) -> bool:
    """Return whether a latch accepts connections at the socket `path`."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def ignore_reading(reading: str, door: str) -> None:
    """Ignore a card or a key."""


class LatchClient:
    """The brain's client of the latch, for all doors of one gate.

    It calls `report(event, at)` for each door event and `on_link(up, why)` for each change of the link. It calls
    `on_card(bits, door)` and `on_key(key, door)` for each reading of the latch's readers. It calls `on_missing(parts)`
    when the missing parts change: the name of each missing part, with the reason. Without a latch, `parts` is empty.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[Event, datetime], None],
        on_link: Callable[[bool, str], None],
        on_card: Callable[[str, str], None] = ignore_reading,
        on_key: Callable[[str, str], None] = ignore_reading,
        *,
        on_missing: Callable[[Mapping[str, str]], None] = lambda parts: None,
    ) -> None:
        self._path, self._report, self._on_link = path, report, on_link
        self._on_card, self._on_key, self._on_missing = on_card, on_key, on_missing
        self.missing: dict[str, str] = {}
        """The missing optional parts of the latch, each with the reason."""
        self._latch: Channel[FromLatch] | None = None
        self._lockdown: bool | None = None
        self._forget()

    @property
    def is_linked(self) -> bool:
        """Whether the latch answers."""
        return self._latch is not None

    def release(
        self,
        visit: str,
        lease_s: float,
        decided_at: float,
        door: str = MAIN,
        cause: Literal["grant", "schedule"] = "grant",
        *,
        holder: str = "",
    ) -> None:
        """Ask the latch for a release now. The latch reports the outcome as an event.

        `decided_at` is in monotonic seconds. `holder` is an id of the granted person. The latch receives only a keyed
        digest of this id, and has one lease per person. A schedule must ask again before its lease ends. Raises
        `LatchError` when no latch answers.
        """
        self._send(ReleaseLock(visit, lease_s, decided_at, door, cause, _pseudonym(holder)))

    def lockdown(self, on: bool) -> None:
        """Begin or end a lockdown. The state is kept, and sent to each latch that connects later."""
        self._lockdown = on
        with contextlib.suppress(LatchError):  # the next link sends it
            self._send(SetLockdown(on))

    def play(self, line: str, pattern: Sequence[float] = (), repeats: int = 0) -> None:
        """Play a pattern on an output, as described at `latch_messages.PlayPattern`. Does nothing when no latch
        answers.
        """
        with contextlib.suppress(LatchError):
            self._send(PlayPattern(line, tuple(pattern), repeats))

    def drive(self, line: str, active: bool, door: str = MAIN) -> None:
        """Drive an input line of mock pins. Raises `LatchError` when no latch answers."""
        self._send(DriveLine(line, active, door))

    async def is_answering(self) -> bool:
        """Return whether a latch accepts connections at the socket."""
        return self.is_linked or await is_answering(self._path)

    async def run(self) -> None:
        """Keep the link open until cancelled. Reconnects with backoff."""
        backoff = Backoff(first_s=0.1, most_s=2.0)
        while True:
            try:
                await self._link(backoff)
            except (OSError, EOFError, WireError, LatchError, TimeoutError) as error:
                why = str(error) or "it does not answer"
            if self.is_linked:
                self._latch = None
                self._forget()
                self._on_link(False, why)
                self._update_missing({})
            await asyncio.sleep(backoff.next_s())

    def _forget(self) -> None:
        """Reset every door state to unknown."""
        self.state = "unknown"
        """The state of the first door: "secured", "released", "open", or "unknown" while no latch answers."""
        self.doors: dict[str, str] = {}
        """The state of each door, by the door's name."""
        self.lines: dict[str, bool] = {}
        """Whether each input is active, by names like "main.contact"."""
        self.is_on_fire = False
        """Whether a fire release is active."""

    def _update_missing(self, parts: dict[str, str]) -> None:
        if parts != self.missing:
            self.missing = parts
            self._on_missing(parts)

    def _send(self, message: ReleaseLock | SetLockdown | PlayPattern | DriveLine) -> None:
        try:
            if self._latch is None:
                raise WireError("no latch answers")
            self._latch.send(message)
        except WireError as error:
            raise LatchError(f"the latch cannot be asked: {error}") from error

    async def _link(self, backoff: Backoff) -> None:
        """Serve one connection, from the hello to its end."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        channel = Channel[FromLatch](reader, writer, FromLatch)
        try:
            channel.send(Hello())
            answer = await channel.receive(LATCH_SILENCE_S)
            if not isinstance(answer, Welcome):
                raise LatchError(answer.why if isinstance(answer, Refused) else "the latch did not send welcome")
            if self._lockdown is not None:
                channel.send(SetLockdown(self._lockdown))
            self._latch = channel
            backoff.reset()
            self._on_link(True, "")
            heartbeat = asyncio.create_task(self._send_heartbeats(channel), name="heartbeat")
            try:
                await self._receive(channel)
            except asyncio.CancelledError:
                await self._send_goodbye(channel)
                raise
            finally:
                heartbeat.cancel()
        finally:
            await channel.close()

    async def _send_heartbeats(self, channel: Channel[FromLatch]) -> None:
        with contextlib.suppress(WireError):  # `_receive` notices the end of the link
            while True:
                channel.send(LatchHeartbeat())
                await asyncio.sleep(LATCH_HEARTBEAT_S)

    async def _send_goodbye(self, channel: Channel[FromLatch]) -> None:
        """End the link in order: the latch secures the doors, and its last events are still received."""
        with contextlib.suppress(EOFError, WireError, LatchError, TimeoutError):
            channel.send(Goodbye())
            async with asyncio.timeout(GOODBYE_S):
                await self._receive(channel)

    async def _receive(self, channel: Channel[FromLatch]) -> None:
        while True:
            match await channel.receive(LATCH_SILENCE_S):
                case LatchState(state, doors, lines, is_on_fire) as status:
                    self.state, self.doors, self.lines, self.is_on_fire = state, doors, lines, is_on_fire
                    self._update_missing(status.missing)
                case CardRead(bits, door):
                    self._on_card(bits, door)
                case KeyPressed(key, door):
                    self._on_key(key, door)
                case EventReport(at, event):
                    self._report(event, datetime.fromtimestamp(at, UTC))
                case Refused(why):
                    raise LatchError(why)
                case Welcome():
                    raise WireError("the latch sent welcome twice")


def _pseudonym(subject: str) -> str:
    return blake2b(subject.encode(), key=PSEUDONYM_KEY, digest_size=8).hexdigest() if subject else ""
