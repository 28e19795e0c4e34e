"""The link to the office, wired: records, commands, the journal's way up. An optional part."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gated.access.calls import Calls
from gated.access.entrance import Entrance
from gated.config import Settings
from gated.errors import StateError
from gated.events import Event
from gated.face.manifest import EmbedderEntry
from gated.health.duty import Duty
from gated.journal.journal import Journal
from gated.orders import Orders
from gated.sync.commands import CommandDesk
from gated.sync.dial import address
from gated.sync.gate import GateSide, Vitals
from gated.sync.jose import Party
from gated.sync.link import run_link
from gated.sync.messages import Recovery
from gated.sync.renewal import Certificates
from gated.sync.replica import Replica
from gated.sync.revoked import Revoked
from gated.sync.sealing import Lock, seal_folders
from gated.sync.succession import Successor, known_key, learn, settle
from gated.sync.topics import Topics
from gated.sync.wire import Peer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gate:
    """What the link needs of the gate. `report` and `look` may be called from any thread; `stop` ends the brain."""

    entrance: Entrance
    calls: Calls
    duty: Duty
    embedder: Callable[[], EmbedderEntry | None]
    vitals: Callable[[], Vitals]
    wall: Callable[[], datetime | None]
    open_journal: Callable[[], Journal]
    report: Callable[[Event], None]
    look: Callable[[], None]
    stop: Callable[[str], None]
    appended: asyncio.Event
    proved: Callable[[float], None]
    """Takes the time (monotonic) of the newest thing that the office has proved to have heard; from any thread."""
    timed: Callable[[datetime, float], None] = lambda _, __: None
    """Takes what time the office said it was, and the time (monotonic) at which it was asked; from any thread."""
    ends_soon: Callable[[str | None], None] = lambda _: None
    """Told which certificates end soon, None for none; from any thread."""
    lost: Callable[[str, str | None], None] = lambda _, __: None
    """Told what the link has lost and why, None that it is back; from any thread."""


class Following:
    """Follows the office. `run` is a part's life: it ends by an error, or returns where it is to begin anew."""

    def __init__(self, settings: Settings, config: Path, gate: Gate, revoked: Revoked) -> None:
        """`revoked` outlives every link: who is let in no more, and is not on disk yet."""
        self._settings, self._config, self._gate, self._revoked = settings, config, gate, revoked
        self.certificates: Certificates | None = None
        self.anew = asyncio.Event()
        """Set it when the files under the link are to be opened anew, because the disk has failed or is back."""

    async def run(self, works: Callable[[], None]) -> None:
        """Be in step with the office until `anew`. Raises `StateError` where a key cannot be read."""
        self.anew.clear()
        thread = ThreadPoolExecutor(1, "sync")
        try:
            replica, side = await asyncio.get_running_loop().run_in_executor(thread, self._build)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        works()
        link = asyncio.create_task(self._link(replica, side, thread), name="link")
        anew = asyncio.create_task(self.anew.wait())
        try:
            await asyncio.wait({link, anew}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            anew.cancel()
            link.cancel()
            await asyncio.wait({link})
        if not link.cancelled():
            link.result()

    def _build(self) -> tuple[Replica, GateSide]:
        """On the thread that the files belong to."""
        settings, gate, embedder = self._settings, self._gate, self._gate.embedder()
        lock = self._sealed()
        peer = peer_of(settings)
        replica = Replica(
            settings.state,
            peer,
            embedder.sha256 if embedder is not None else "",
            embedder.dimension if embedder is not None else 0,
            settings.access.threshold or (embedder.threshold if embedder is not None else 1.0),
            settings.sync.most_new_per_hour,
            gate.report,
            gate.look,
            self._revoked,
            settings.sync.most_new_in_batch,
        )
        site, name = settings.site.id, settings.gate.id
        self.certificates = Certificates(settings.sync, site, name, gate.ends_soon, lock)
        side = GateSide(
            peer,
            Topics(settings.site.id, settings.gate.id),
            settings.sync,
            open_journal=gate.open_journal,
            replica=replica,
            desk=CommandDesk(settings.state, settings.site.id, settings.gate.id),
            report=gate.report,
            now=time.monotonic(),
            proved=gate.proved,
            timed=gate.timed,
            lost=gate.lost,
            certificates=self.certificates,
            learn=self._learn,
            recovery=known_key(settings.state),
        )
        return replica, side

    def _succeed(self) -> bool:
        """Whether the office was handed over, and this gate follows the new one from now on."""
        settings = self._settings
        return Successor(settings.state, settings.sync, peer_of(settings), Lock.of(settings.state)).follow()

    def _learn(self, said: Recovery) -> str:
        learn(self._settings.state, said, address(self._settings.sync.url)[0])
        return known_key(self._settings.state)

    def _sealed(self) -> Lock:
        """What opens the private files, after those that lie plain were sealed; the link goes on where that fails."""
        lock = Lock.of(self._settings.state)
        settle(self._settings.state)
        try:
            seal_folders(self._settings.state, lock)
        except StateError as error:
            log.warning("%s; it is tried again at the next start", error)
        return lock

    def certificate_ends(self, of: str) -> datetime | None:
        """When the "gate"'s certificate ends, the "authority"'s, the "broker"'s; None while it is not known."""
        return self.certificates.ends.get(of) if self.certificates is not None else None

    async def _link(self, replica: Replica, side: GateSide, thread: ThreadPoolExecutor) -> None:
        gate, loop = self._gate, asyncio.get_running_loop()
        orders = Orders(
            self._settings,
            self._config,
            gate.entrance,
            gate.calls,
            on_sync=lambda work: loop.run_in_executor(thread, work, replica),
            send=side.post,
            stop=gate.stop,
            lost=lambda: gate.duty.lost,
        )
        await run_link(
            self._settings.sync,
            side,
            gate.vitals,
            gate.wall,
            orders.perform,
            wake=gate.appended,
            thread=thread,
            on_link=lambda why: gate.duty.set("network", why),
            lock=Lock.of(self._settings.state),
            succeed=self._succeed,
        )


def peer_of(settings: Settings) -> Peer:
    """The keys that this gate and its office know each other by. Raises `StateError`."""
    sync = settings.sync
    keys = Lock.of(settings.state).identity(Path(sync.gate_keys)), Party.load(Path(sync.office_keys))
    return Peer(*keys, settings.site.id, settings.gate.id)
