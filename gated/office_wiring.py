"""The wiring of the link to the office: records, commands, and the upload of the journal. `app` runs it as an optional
part.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from gated.access.calls import Calls
from gated.access.entrance import Entrance
from gated.commands import CommandRunner
from gated.config import Settings
from gated.door.latch_client import LatchClient
from gated.errors import StateError
from gated.events import Event
from gated.face.manifest import ModelSet
from gated.gallery.gallery import Gallery
from gated.journal.journal import Journal
from gated.protocol.broker import address
from gated.protocol.envelope import Peer
from gated.protocol.jose import Party
from gated.protocol.key_messages import RecoveryNotice
from gated.protocol.sealed_files import Lock, seal_folders
from gated.protocol.status_messages import GuessingLimits
from gated.protocol.topics import Topics
from gated.service.duty import Duty
from gated.service.version import own_version
from gated.sync.command_desk import CommandDesk
from gated.sync.denied_subjects import DeniedSubjects
from gated.sync.handover import Successor, finish_handover, known_key, store_recovery_key
from gated.sync.office_link import run_link
from gated.sync.renewal import Certificates
from gated.sync.replica import Replica
from gated.sync.session import GateSide
from gated.sync.status_reports import Vitals

log = logging.getLogger(__name__)


class GateFunctions(Struct, frozen=True):
    """The functions of the gate that the link uses. Any thread may call `report`. `stop` ends the brain."""

    entrance: Entrance
    calls: Calls
    duty: Duty
    models: Callable[[], ModelSet | None]
    vitals: Callable[[], Vitals]
    wall: Callable[[], datetime | None]
    open_journal: Callable[[], Journal]
    report: Callable[[Event], None]
    on_change: Callable[[], None]
    stop: Callable[[str], None]
    appended: asyncio.Event
    proved: Callable[[float], None]
    """Takes the time (monotonic seconds) of the office's newest authenticated answer. Any thread may call it."""
    timed: Callable[[datetime, float], None] = lambda _, __: None
    """Takes the office's time, and the time (monotonic seconds) of the request. Any thread may call it."""
    ends_soon: Callable[[str | None], None] = lambda _: None
    """Gets a text about certificates that expire soon, or None without such certificates. Any thread may call it."""
    lost: Callable[[str, str | None], None] = lambda _, __: None
    """Gets a lost part of the link and the reason, or None if the part works again. Any thread may call it."""


class OfficeLink:
    """The gate's link to the office. `run` is the life of an optional part: it raises an error, or returns to be
    restarted.
    """

    def __init__(self, settings: Settings, config: Path, gate: GateFunctions, revoked: DeniedSubjects) -> None:
        """Store the parts. `revoked` lives longer than each link: it holds revoked people that are not on disk yet."""
        self._settings, self._config, self._gate, self._revoked = settings, config, gate, revoked
        self.certificates: Certificates | None = None
        self.anew = asyncio.Event()
        """Set it to reopen the link's files, because the disk failed or works again."""

    async def run(self, works: Callable[[], None]) -> None:
        """Synchronise with the office until `anew` is set. Raises `StateError` if a key cannot be read."""
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
        """Build the replica and the gate's side of the link. Runs on the thread that owns the files."""
        settings, gate, models = self._settings, self._gate, self._gate.models()
        lock = self._sealed()
        peer = peer_of(settings)
        replica = Replica(
            settings.state,
            peer,
            models.embedder_sha256 if models is not None else "",
            models.dimension if models is not None else 0,
            settings.access.threshold or (models.threshold if models is not None else 1.0),
            settings.sync.most_new_per_hour,
            gate.report,
            gate.on_change,
            self._revoked,
            settings.sync.most_new_in_batch,
            models.composite if models is not None else None,
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
        """Return whether there was a hand-over: this gate then follows the new office."""
        settings = self._settings
        return Successor(settings.state, settings.sync, peer_of(settings), Lock.of(settings.state)).follow()

    def _learn(self, notice: RecoveryNotice) -> str:
        store_recovery_key(self._settings.state, notice, address(self._settings.sync.url)[0])
        return known_key(self._settings.state)

    def _sealed(self) -> Lock:
        """Return the lock that opens the private files, after sealing the unsealed ones. If sealing fails, the link
        still starts.
        """
        lock = Lock.of(self._settings.state)
        finish_handover(self._settings.state)
        try:
            seal_folders(self._settings.state, lock)
        except StateError as error:
            log.warning("%s; the gate tries again at its next start", error)
        return lock

    def certificate_ends(self, of: str) -> datetime | None:
        """Return when the certificate of the "gate", the "authority" or the "broker" ends. None if it is not known."""
        return self.certificates.ends.get(of) if self.certificates is not None else None

    async def _link(self, replica: Replica, side: GateSide, thread: ThreadPoolExecutor) -> None:
        gate, loop = self._gate, asyncio.get_running_loop()
        runner = CommandRunner(
            self._settings,
            self._config,
            gate.entrance,
            gate.calls,
            on_sync=lambda work: loop.run_in_executor(thread, work, replica),
            send=side.queue,
            stop=gate.stop,
            lost=lambda: gate.duty.lost,
        )
        await run_link(
            self._settings.sync,
            side,
            gate.vitals,
            gate.wall,
            runner.perform,
            wake=gate.appended,
            thread=thread,
            on_link=lambda why: gate.duty.set("network", why),
            lock=Lock.of(self._settings.state),
            succeed=self._succeed,
        )


def peer_of(settings: Settings) -> Peer:
    """Return the keys that this gate and its office use to authenticate each other. Raises `StateError`."""
    sync = settings.sync
    keys = Lock.of(settings.state).identity(Path(sync.gate_keys)), Party.load(Path(sync.office_keys))
    return Peer(*keys, settings.site.id, settings.gate.id)


def vitals(  # noqa: PLR0917 - one call takes all parts of a gate
    models: str, duty: Duty, door: LatchClient, gallery: Gallery, calls: Calls, guessing: GuessingLimits
) -> Vitals:
    """Return the gate's state for its status to the office. It contains nothing about persons.

    `models`: the name of the model set. `guessing`: the limits against guessed PINs and cards.
    """
    return Vitals(
        version=own_version(),
        degraded=duty.lost,
        door=door.state,
        people=gallery.size,
        templates=gallery.template_count,
        models=models,
        calls=calls.count,
        guessing=guessing,
    )
