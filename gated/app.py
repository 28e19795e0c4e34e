"""The brain, wired: every part is built here, started here, and stopped in mirror order. Read this page first."""

import asyncio
import hashlib
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from gated.access.service import AccessService
from gated.config import Settings
from gated.door.controller import DoorController
from gated.errors import ModelError, StateError
from gated.events import ConfigChanged, Event, Started, Stopped, WorkerLost, WorkerReady
from gated.face.link import VisionLink
from gated.face.manifest import ModelSet, load_set
from gated.face.messages import VisionReady, VisionSettings
from gated.gallery.gallery import Gallery
from gated.health.degraded import Losses
from gated.health.notify import Notifier
from gated.journal.journal import Journal
from gated.journal.writer import JournalWriter
from gated.runtime.child import keep_running
from gated.runtime.lock import FileLock
from gated.runtime.tasks import critical
from gated.sync.link import run_link
from gated.sync.messages import StatusMessage
from gated.sync.topics import Topics

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often the gallery is asked whether somebody else has changed it."""
STOP_S = 0.7
"""So long each part may take to stop; all of them together stay under the 3 s that a stop may take."""
DESK_LATCH_IDLE_S = 10.0
"""So long a latch that we started outlives us."""
BEGIN_S = 10.0
"""So long the latch and vision may take before we go on duty without them."""
REMEMBERED = 1000
"""So many of the newest facts are looked through for the last start."""
SETTLE_S = 2.0
"""After the end of a recording: until the last face has left and the last visit is decided."""


async def run(settings: Settings, config: Path, *, own_latch: bool = True, once: bool = False) -> None:
    """Be the gate, until SIGTERM or SIGINT, or with `once` until the recording has been shown.

    With `own_latch` a latch is started where none serves. Raises `BusyError` when a gate runs on this state folder, and
    whatever makes it impossible to begin; a critical part that ends raises `CriticalTaskError`.
    """
    models = check_models(settings)
    with closing(FileLock(settings.state / "run.lock", "a gate with this state folder")):
        with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
            facts = first_facts(settings, journal)
        gallery = Gallery.open(settings.state, settings.site.id, models.embedder.sha256, models.embedder.dimension)
        with closing(gallery), closing(Brain(settings, gallery)) as brain:
            for fact in facts:
                brain.report(fact)
            await brain.live(config, own_latch=own_latch, once=once)
            brain.report(Stopped(brain.why))


class Brain:
    """The parts, and what they tell each other."""

    def __init__(self, settings: Settings, gallery: Gallery) -> None:
        self.settings, self.gallery, self.why = settings, gallery, "the recording has ended"
        self._loop = asyncio.get_running_loop()
        self._stop, self._appended = asyncio.Event(), asyncio.Event()
        self._settled = {"vision": asyncio.Event(), "latch": asyncio.Event()}
        self._journal = JournalWriter(
            self._open_journal,
            on_append=lambda _: self._call(self._appended.set),
            on_trouble=lambda trouble: self._call(self._on_journal, trouble),
        )
        self.losses = Losses(self.report)
        self.notifier = Notifier()
        self.door = DoorController(settings.latch_socket, self.report, self._on_latch)
        self.access = AccessService(settings.access, gallery, self.door, settings.door.release_s, self.report)
        worker = VisionSettings(settings.camera, settings.models, settings.face)
        self.vision = VisionLink(worker, self._on_vision, self.access.observe, self._on_blind)

    async def live(self, config: Path, *, own_latch: bool, once: bool) -> None:
        """Start every part, wait for the end, and stop them in mirror order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._asked_to_stop, number)
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("door", self.door.run),
            ("gallery", self._watch_gallery),
            ("access", self.access.run),
            ("vision", self.vision.run),
        ]
        if own_latch:
            latch = ["--config", str(config), "latch", "--exit-when-idle", str(DESK_LATCH_IDLE_S)]
            parts.insert(0, ("latch", lambda: keep_running(latch, self.door.is_answering)))
        if self.settings.sync.url:
            parts.append(("sync", self._sync))
        if self.notifier.watchdog_s is not None:
            parts.append(("watchdog", self._watchdog))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(critical(name, part), name=name) for name, part in parts]
            try:
                await self._announce()
                await self._end(once)
                self.notifier.stopping()
            finally:
                for task in reversed(tasks):
                    task.cancel()
                    await asyncio.wait([task], timeout=STOP_S)
                    task.cancel()  # once more for one that did not heed it: nothing may hold up the others

    def report(self, event: Event, at: datetime | None = None) -> None:
        """Write a fact down, and tell it in the log unless it is the latch's, which has a log of its own."""
        if at is None:
            log.info("%s", event)
        self._journal.report(event, at)

    def close(self) -> None:
        """Write down what is not on disk yet."""
        if not self._journal.close():
            log.error("the last events could not be written")

    async def _announce(self) -> None:
        """Tell systemd, once the latch answers and vision sees, or has said that it cannot."""
        for worker, settled in self._settled.items():
            await self._first(settled.wait(), self._stop.wait(), asyncio.sleep(BEGIN_S))
            if not settled.is_set() and not self._stop.is_set():
                self._lost(worker, "it does not answer")
        self.notifier.ready()
        log.info("on duty%s", f", without {', '.join(self.losses.names)}" if self.losses.names else "")

    async def _end(self, once: bool) -> None:
        """Wait until we are asked to stop, or until the recording is over and the door is shut behind the last one."""
        await self._first(self._stop.wait(), *([self.vision.exhausted.wait()] if once else []))
        if not self._stop.is_set():
            await asyncio.sleep(SETTLE_S)
            while self.door.state == "released":  # noqa: ASYNC110 - the latch tells its state with every beat
                await asyncio.sleep(0.1)

    @staticmethod
    async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
        """Wait for the first of several, and forget the others."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _watch_gallery(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if await asyncio.to_thread(self.gallery.reload_if_changed):
                    log.info("the gallery has changed: %d people", self.gallery.size)
            except StateError as error:
                self._lost("gallery", str(error))
            else:
                self.losses.set("gallery", None)

    async def _sync(self) -> None:
        await run_link(
            self.settings.sync,
            Topics(self.settings.site.id, self.settings.gate.id),
            self._open_journal,
            self._status,
            self._appended,
        )

    def _status(self) -> StatusMessage:
        """What the server is told about us; nothing about anybody."""
        return StatusMessage(
            site=self.settings.site.id,
            gate=self.settings.gate.id,
            version=version("gated"),
            degraded=self.losses.names,
            door=self.door.state,
            people=self.gallery.size,
            templates=self.gallery.template_count,
        )

    def _open_journal(self) -> Journal:
        return Journal.open(self.settings.state, self.settings.site.id, self.settings.gate.id)

    async def _watchdog(self) -> None:
        while True:
            self.notifier.alive()
            await asyncio.sleep(self.notifier.watchdog_s or WATCH_S)

    def _on_vision(self, ready: VisionReady) -> None:
        self.access.begin(ready)
        self._found("vision")

    def _on_blind(self, why: str) -> None:
        self.access.stop()
        self._lost("vision", why)

    def _on_latch(self, is_up: bool, why: str) -> None:
        if is_up:
            self._found("latch")
        else:
            self._lost("latch", why)

    def _on_journal(self, is_in_trouble: bool) -> None:
        self.losses.set("journal", "it cannot be written" if is_in_trouble else None)

    def _found(self, worker: str) -> None:
        self.report(WorkerReady(worker))
        self.losses.set(worker, None)
        self._settled[worker].set()

    def _lost(self, worker: str, why: str) -> None:
        """Report a loss once, however often the next worker fails for the same reason."""
        if self.losses.why(worker) != why:
            log.error("%s is lost: %s", worker, why)
            self.report(WorkerLost(worker, why))
        self.losses.set(worker, why)
        if worker in self._settled:
            self._settled[worker].set()

    def _asked_to_stop(self, number: int) -> None:
        self.why = signal.Signals(number).name
        self._stop.set()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """From another thread: do it on ours, or not at all when the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def check_models(settings: Settings) -> ModelSet:
    """The model set's manifest. Raises `ModelError` when the set is unknown, or may not drive this gate's lock."""
    models = load_set(settings.models)
    if models.grade == "demo" and settings.door.pins == "gpio":
        raise ModelError(
            f'{settings.models.set!r} is for demonstration and never drives a real lock; set [door] pins = "mock"'
        )
    return models


def first_facts(settings: Settings, journal: Journal) -> list[Event]:
    """That we have started, and whether the settings are other ones than last time."""
    digest = hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
    last = next((e.event for e in reversed(journal.last(REMEMBERED)) if isinstance(e.event, Started)), None)
    started = Started(version("gated"), digest)
    if last is None or last.settings_sha256 == digest:
        return [started]
    return [started, ConfigChanged(last.settings_sha256, digest)]
