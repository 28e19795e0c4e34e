"""The brain's hand on the latch: asks for releases, hears what the door does, and comes back when the latch does."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from gated.door.messages import (
    Beat,
    CardRead,
    DriveLine,
    FromLatch,
    Goodbye,
    Happened,
    Hello,
    KeyPressed,
    LatchState,
    Play,
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

BEAT_S = 0.5
PART_S = 0.5
ANSWER_S = 2.0
"""So long the latch may be silent before it is taken for dead."""


def nobody_reads(what: str, door: str) -> None:
    """Nobody here has a use for what a reader read."""


class DoorController:
    """The doors of one gate, seen from the brain.

    `report(event, at)` is given every fact, `on_link(up, why)` each change of the link, `on_card(bits, door)` and
    `on_key(key, door)` what the readers on the latch's pins read.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[Event, datetime], None],
        on_link: Callable[[bool, str], None],
        on_card: Callable[[str, str], None] = nobody_reads,
        on_key: Callable[[str, str], None] = nobody_reads,
    ) -> None:
        self._path, self._report, self._on_link = path, report, on_link
        self._on_card, self._on_key = on_card, on_key
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
    ) -> None:
        """Ask for a release now; the latch reports what came of it. Raises `LatchError` when no latch answers.

        `decided_at` is in monotonic seconds. A schedule asks again before its lease ends, for as long as it lasts.
        """
        self._send(ReleaseLock(visit, lease_s, decided_at, door, cause))

    def lockdown(self, on: bool) -> None:
        """From now on nobody is let in, or again. It is remembered, and told to every latch that answers."""
        self._lockdown = on
        with contextlib.suppress(LatchError):  # the next link tells it
            self._send(SetLockdown(on))

    def play(self, line: str, pattern: Sequence[float] = (), repeats: int = 0) -> None:
        """Let a lamp, the buzzer or the pad do this, as `messages.Play` says it; nothing, where no latch answers."""
        with contextlib.suppress(LatchError):
            self._send(Play(line, tuple(pattern), repeats))

    def drive(self, line: str, active: bool, door: str = MAIN) -> None:
        """Mock pins only: play the outside world. Raises `LatchError` when no latch answers."""
        self._send(DriveLine(line, active, door))

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
                self._latch = None
                self._forget()
                self._on_link(False, why)
            await asyncio.sleep(backoff.next_s())

    def _forget(self) -> None:
        """While no latch answers nothing is known."""
        self.state = "unknown"
        """Of the first door: "secured", "released", "open", or "unknown" while no latch answers."""
        self.doors: dict[str, str] = {}
        """The same of each door."""
        self.lines: dict[str, bool] = {}
        """What is believed of each input, as "main.contact"."""
        self.is_on_fire = False
        """Whether a fire release stands."""

    def _send(self, message: ReleaseLock | SetLockdown | Play | DriveLine) -> None:
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
            if self._lockdown is not None:
                channel.send(SetLockdown(self._lockdown))
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
                case LatchState(state, doors, lines, is_on_fire):
                    self.state, self.doors, self.lines, self.is_on_fire = state, doors, lines, is_on_fire
                case CardRead(bits, door):
                    self._on_card(bits, door)
                case KeyPressed(key, door):
                    self._on_key(key, door)
                case Happened(at, event):
                    self._report(event, datetime.fromtimestamp(at, UTC))
                case Refused(why):
                    raise LatchError(why)
                case Welcome():
                    raise WireError("welcome is said once")
