"""A gate's link with real databases, without the rest of a gate. `load` measures the office and the network with it."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gated.config import SyncSettings
from gated.events import Event
from gated.journal.journal import Journal
from gated.protocol.command_messages import Command
from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity, Party
from gated.protocol.topics import Topics
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.office_link import run_link
from gated.sync.operator_dialog import OperatorDialog
from gated.sync.replica import Replica
from gated.sync.session import GateSide
from gated.sync.status_reports import Vitals

SITE = "bench"
EMBEDDER, DIMENSION, THRESHOLD = "e" * 64, 128, 0.6


@dataclass
class SimulatedGate:
    """A gate's link with real databases, without the rest of a gate."""

    name: str
    state: Path
    settings: SyncSettings
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self, loop: asyncio.AbstractEventLoop) -> tuple[GateSide, Replica]:
        """Open the gate's side of the link. Call it on the link's own thread."""
        peer = Peer(
            Identity.load(Path(self.settings.gate_keys)), Party.load(Path(self.settings.office_keys)), SITE, self.name
        )

        def on_change() -> None:
            """Wake the task that waits for a change. May be called on any thread."""
            loop.call_soon_threadsafe(self.changed.set)

        replica = Replica(
            self.state, peer, EMBEDDER, DIMENSION, THRESHOLD, self.settings.most_new_per_hour, forget, on_change
        )
        side = GateSide(
            peer,
            Topics(SITE, self.name),
            self.settings,
            open_journal=self.journal,
            replica=replica,
            desk=CommandDesk(self.state, SITE, self.name),
            report=forget,
            now=time.monotonic(),
        )
        return side, replica

    def journal(self) -> Journal:
        """Open the journal on a connection of its own."""
        return Journal.open(self.state, SITE, self.name)

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[Replica]:
        """Run the link inside this context."""
        thread = ThreadPoolExecutor(1, self.name)
        self.changed, self.wake = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        side, replica = await loop.run_in_executor(thread, self.open, loop)
        link = asyncio.create_task(
            run_link(
                self.settings,
                side,
                lambda: Vitals("bench", [], "secured", 0, 0, "courtyard"),
                lambda: datetime.now(UTC),
                done,
                wake=self.wake,
                thread=thread,
            )
        )
        try:
            yield replica
        finally:
            link.cancel()
            with suppress(asyncio.CancelledError):
                await link


def forget(event: Event) -> None:
    """Drop a journal event. It is not measured."""


async def done(command: Command, talk: OperatorDialog) -> CommandOutcome:
    """Carry out every command at once."""
    return CommandOutcome("done")
