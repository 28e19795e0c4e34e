"""The brain, wired: every part is built here, started here, and stopped in mirror order. Read this page first."""

import asyncio
import hashlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from gated.access.answers import WayOutcome
from gated.access.entrance import Entrance, Tell
from gated.config import Settings
from gated.config.trial import Trial, begin
from gated.cues.scene import Sight
from gated.cues.stage import Stage
from gated.door.controller import DoorController
from gated.errors import ModelError, StateError
from gated.events import ClockDoubted, ConfigChanged, Duress, Event, ServerSilent, SettingsTried, Started, Stopped
from gated.face.link import VisionLink
from gated.face.manifest import EmbedderEntry, ModelSet, load_set
from gated.face.messages import Observation, TrackEnded, VisionReady, VisionSettings
from gated.gallery.gallery import Gallery
from gated.health.clock import WallClock, kernel_keeps_time
from gated.health.duty import Duty
from gated.health.notify import Notifier
from gated.journal.journal import Journal
from gated.journal.writer import JournalWriter
from gated.orders import Orders
from gated.runtime.child import keep_running
from gated.runtime.lock import FileLock
from gated.runtime.tasks import critical
from gated.sync.commands import CommandDesk
from gated.sync.gate import GateSide, Vitals
from gated.sync.jose import Identity, Party
from gated.sync.link import run_link
from gated.sync.replica import Replica
from gated.sync.topics import Topics
from gated.sync.wire import Peer

if TYPE_CHECKING:
    from gated.health.metrics import Metrics

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often the clock is looked at."""
STOP_S = 0.7
"""So long each part may take to stop; all of them together stay under the 3 s that a stop may take."""
DESK_LATCH_IDLE_S = 10.0
"""So long a latch that we started outlives us."""
BEGIN_S = 10.0
"""So long the latch and vision may take before we go on duty without them."""
REMEMBERED = 1000
"""So many of the newest facts are looked through for the last start."""
EYES_OF_A_FACE = 0.45
"""The distance between the eyes over the width of a face's box, roughly; for faces too small to be measured."""
SETTLE_S = 2.0
"""After the end of a recording: until the last face has left and the last visit is decided."""


async def run(settings: Settings, config: Path, *, own_latch: bool = True, once: bool = False) -> None:
    """Be the gate, until SIGTERM or SIGINT, or with `once` until the recording has been shown.

    `settings` say where its state is and where models lie; the others are read anew, with those on trial.
    With `own_latch` a latch is started where none serves. Raises `BusyError` when a gate runs on this state folder, and
    whatever makes it impossible to begin; a critical part that ends raises `CriticalTaskError`.
    """
    with closing(FileLock(settings.state / "run.lock", "a gate with this state folder")):
        start = begin(config)
        settings = msgspec.structs.replace(
            start.settings, models=msgspec.structs.replace(start.settings.models, dir=settings.models.dir)
        )
        models, peer = check_models(settings), peer_of(settings)
        with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
            facts, not_before = first_facts(settings, journal), last_time(journal)
        if start.dropped:
            facts.append(SettingsTried("rolled_back", start.dropped))
        gallery = Gallery.open(settings.state, settings.site.id, models.embedder.sha256, models.embedder.dimension)
        with closing(gallery), closing(Brain(settings, gallery, not_before, facts)) as brain:
            if peer is not None:
                brain.follow(peer, models.embedder, config)
            await brain.live(config, own_latch=own_latch, once=once, trial=start.trial)
            brain.report(Stopped(brain.why))


class Brain:
    """The parts, and what they tell each other."""

    def __init__(self, settings: Settings, gallery: Gallery, not_before: datetime, facts: Sequence[Event] = ()) -> None:
        """`not_before`: when the last fact was written down; no clock is believed that says it is earlier. `facts`:
        what there is to tell before all else.
        """
        self.settings, self.gallery, self.why = settings, gallery, "the recording has ended"
        self._sync: Callable[[], Awaitable[None]] | None = None
        self._metrics = self._count() if settings.health.metrics_port else None
        self._loop = asyncio.get_running_loop()
        self._stop, self._appended = asyncio.Event(), asyncio.Event()
        self._journal = JournalWriter(
            self._open_journal,
            on_append=lambda _: self._call(self._appended.set),
            on_trouble=lambda trouble: self._call(self._on_journal, trouble),
        )
        self.duty, self.notifier = Duty(self.report), Notifier()
        is_kept = kernel_keeps_time if settings.site.clock == "auto" else lambda: True
        self.clock = WallClock(not_before, self._on_clock, is_kept)
        self.door = DoorController(settings.latch_socket, self.report, self._on_latch, self._on_card, self._on_key)
        timezone = ZoneInfo(settings.site.timezone)
        self.stage = Stage(settings.cues, settings.prompts, timezone, self.door.play, self.clock.now)
        for fact in facts:  # before the entrance finds that there is a lockdown, or free passage
            self.report(fact)
        tell = Tell(self.report, self._on_way, self.stage.preferences, self.duty.set)
        self.entrance = Entrance(settings, gallery, self.door, tell, self.clock.now)
        worker = VisionSettings(settings.camera, settings.models, settings.face, bool(settings.readers.pass_key))
        self.vision = VisionLink(worker, self._on_vision, self._on_seen, self._on_blind, self.entrance.readers.code)

    def follow(self, peer: Peer, embedder: EmbedderEntry, config: Path) -> None:
        """Have an office: its records and its orders, from the moment that this lives. Raises `StateError`."""
        settings, thread = self.settings, ThreadPoolExecutor(1, "sync")
        replica = Replica(
            settings.state,
            peer,
            embedder.sha256,
            embedder.dimension,
            settings.access.threshold or embedder.threshold,
            settings.sync.most_new_per_hour,
            lambda fact: self._call(self._on_office, fact),
            lambda: self._call(self.entrance.look),
        )
        side = GateSide(
            peer,
            Topics(settings.site.id, settings.gate.id),
            settings.sync,
            open_journal=self._open_journal,
            replica=replica,
            desk=CommandDesk(settings.state, settings.site.id, settings.gate.id),
            report=lambda fact: self._call(self._on_office, fact),
            now=time.monotonic(),
        )
        orders = Orders(
            settings,
            config,
            self.entrance,
            on_sync=lambda work: self._loop.run_in_executor(thread, work, replica),
            send=side.post,
            stop=self._end_as,
            lost=lambda: self.duty.lost,
        )
        self._sync = lambda: run_link(
            settings.sync,
            side,
            self._vitals,
            self.clock.now,
            orders.perform,
            wake=self._appended,
            thread=thread,
            on_link=lambda why: self.duty.set("network", why),
        )

    async def live(self, config: Path, *, own_latch: bool, once: bool, trial: Trial | None = None) -> None:
        """Start every part, wait for the end, and stop them in mirror order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._asked_to_stop, number)
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("door", self.door.run),
            ("cues", self.stage.run),
            ("entrance", self.entrance.run),
            ("vision", self.vision.run),
            ("clock", self._watch_clock),
        ]
        if own_latch:
            latch = ["--config", str(config), "latch", "--exit-when-idle", str(DESK_LATCH_IDLE_S)]
            parts.insert(0, ("latch", lambda: keep_running(latch, self.door.is_answering)))
        if self._sync is not None:
            parts.append(("sync", self._sync))
        if self.notifier.watchdog_s is not None:
            parts.append(("watchdog", self._watchdog))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(critical(name, part), name=name) for name, part in parts]
            try:
                await self._announce()
                if trial is not None:
                    tasks.append(group.create_task(self._prove(trial), name="trial"))
                await self._end(once)
                self.notifier.stopping()
            finally:
                for task in reversed(tasks):
                    task.cancel()
                    await asyncio.wait([task], timeout=STOP_S)
                    task.cancel()  # once more for one that did not heed it: nothing may hold up the others

    def report(self, event: Event, at: datetime | None = None) -> None:
        """Write a fact down, show it, and tell it in the log unless it is the latch's, which has a log of its own.

        That somebody was forced is for the journal and the server alone: whoever forces may read over a shoulder.
        """
        if at is None and not isinstance(event, Duress):
            log.info("%s", event)
        self._journal.report(event, at)
        if self._metrics is not None:
            self._metrics.fact(event, at or datetime.now(UTC))
        self.stage.fact(event, 0.0 if at is None else max(0.0, (datetime.now(UTC) - at).total_seconds()))

    def close(self) -> None:
        """Write down what is not on disk yet."""
        if self._metrics is not None:
            self._metrics.close()
        self.entrance.close()
        if not self._journal.close():
            log.error("the last events could not be written")

    def _count(self) -> "Metrics | None":
        """Figures for who watches many gates; without them the gate goes on."""
        from gated.health.metrics import Metrics

        def waiting() -> float:
            with closing(self._open_journal()) as journal:
                position = journal.position()
            return position.head - position.acked

        metrics = Metrics(version("gated"), self.settings.models.set)
        metrics.gauge("gated_templates", "Templates that are searched.", lambda: self.gallery.template_count)
        metrics.gauge("gated_events_waiting", "Rows that the office does not hold yet.", waiting)
        try:
            metrics.serve(self.settings.health.metrics_port)
        except StateError as error:
            log.error("%s", error)
            return None
        return metrics

    async def _announce(self) -> None:
        """Tell systemd, once the latch answers and vision sees, or has said that it cannot."""
        for worker, settled in self.duty.settled.items():
            await self._first(settled.wait(), self._stop.wait(), asyncio.sleep(BEGIN_S))
            if not settled.is_set() and not self._stop.is_set():
                self.duty.fails(worker, "it does not answer")
        self.notifier.ready()
        log.info("on duty%s", f", without {', '.join(self.duty.lost)}" if self.duty.lost else "")

    async def _end(self, once: bool) -> None:
        """Wait until we are asked to stop, or until the recording is over and the door is shut behind the last one."""
        await self._first(self._stop.wait(), *([self.vision.exhausted.wait()] if once else []))
        if not self._stop.is_set():
            await asyncio.sleep(SETTLE_S)
            while self.door.state == "released":  # noqa: ASYNC110 - the latch tells its state with every beat
                await asyncio.sleep(0.1)

    async def _prove(self, trial: Trial) -> None:
        """Keep settings from the office once the gate has been well with them; else end, to begin anew without them."""
        while (verdict := trial.judge(self.duty.lost, time.monotonic())) is None:  # noqa: ASYNC110 - it is time that proves
            await asyncio.sleep(WATCH_S)
        try:
            if await asyncio.to_thread(trial.settle, verdict):
                self.report(verdict)
        except StateError as error:
            log.error("%s", error)
        if verdict.outcome == "rolled_back":
            self._end_as("settings rolled back")

    @staticmethod
    async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
        """Wait for the first of several, and forget the others."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _watch_clock(self) -> None:
        while True:
            self.clock.now()
            await asyncio.sleep(WATCH_S)

    def _vitals(self) -> Vitals:
        """What the server is told about us; nothing about anybody."""
        return Vitals(
            version=version("gated"),
            degraded=self.duty.lost,
            door=self.door.state,
            people=self.gallery.size,
            templates=self.gallery.template_count,
            models=self.settings.models.set,
        )

    def _open_journal(self) -> Journal:
        return Journal.open(self.settings.state, self.settings.site.id, self.settings.gate.id)

    async def _watchdog(self) -> None:
        while True:
            self.notifier.alive()
            await asyncio.sleep(self.notifier.watchdog_s or WATCH_S)

    def _on_vision(self, ready: VisionReady) -> None:
        self.entrance.faces.begin(ready)
        self.duty.works("vision")

    def _on_seen(self, seen: Observation | TrackEnded) -> None:
        """A face that is seen is shown before it is decided about, or "looking" would outlive the decision."""
        if isinstance(seen, Observation):
            self.stage.sight(sight_of(seen, self.settings))
            if self._metrics is not None:
                self._metrics.look(seen.problem)
        self.entrance.faces.observe(seen)

    def _on_blind(self, why: str) -> None:
        self.entrance.faces.stop()
        self.duty.fails("vision", why)

    def _on_latch(self, is_up: bool, why: str) -> None:
        if is_up:
            self.duty.works("latch")
            self.entrance.linked()
        else:
            self.duty.fails("latch", why)

    def _on_card(self, bits: str, door: str) -> None:
        self.entrance.readers.bits(bits, door)

    def _on_key(self, key: str, door: str) -> None:
        self.entrance.readers.key(key, door)

    def _on_way(self, outcome: WayOutcome) -> None:
        if outcome.result == "granted":
            self.stage.preferences(outcome.preferences.first)

    def _on_journal(self, is_in_trouble: bool) -> None:
        self.duty.set("journal", "it cannot be written" if is_in_trouble else None)

    def _on_clock(self, fact: ClockDoubted) -> None:
        self.report(fact)
        self.duty.set("clock", None if fact.is_over else fact.why)

    def _on_office(self, fact: Event) -> None:
        self.report(fact)
        if isinstance(fact, ServerSilent):
            self.duty.set("server", None if fact.is_over else "nothing proves that it still speaks to us")

    def _asked_to_stop(self, number: int) -> None:
        self._end_as(signal.Signals(number).name)

    def _end_as(self, why: str) -> None:
        self.why = why
        self._stop.set()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """From another thread: do it on ours, or not at all when the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


def sight_of(seen: Observation, settings: Settings) -> Sight:
    """What a face in view means to the people at the gate: where it is and whether it can be used, not whose it is."""
    x, _, width, _ = seen.box
    eye_px = seen.quality.eye_px if seen.quality is not None else width * EYES_OF_A_FACE
    return Sight(
        track=seen.track,
        problem=seen.problem,
        centre_x=min(1.0, max(0.0, (x + width / 2) / settings.camera.width)),
        size_ratio=eye_px / settings.face.min_eye_px,
        pitch_deg=seen.quality.pitch_deg if seen.quality is not None else 0.0,
    )


def peer_of(settings: Settings) -> Peer | None:
    """The keys that this gate and its office know each other by; None without an office. Raises `StateError`."""
    sync = settings.sync
    if not sync.url:
        return None
    keys = Identity.load(Path(sync.gate_keys)), Party.load(Path(sync.office_keys))
    return Peer(*keys, settings.site.id, settings.gate.id)


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


def last_time(journal: Journal) -> datetime:
    """When the last fact was written down."""
    last = journal.last(1)
    return datetime.fromisoformat(last[0].at) if last else datetime.fromtimestamp(0, UTC)
