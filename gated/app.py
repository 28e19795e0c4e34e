"""The brain's wiring: build every part, start it here, and stop the parts in reverse order. Read this page first."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gated import wording
from gated.access.calls import CALL_ANSWER_S, Calls
from gated.access.entrance import Entrance, EntranceReports
from gated.access.responder import CredentialOutcome
from gated.access.sighting import sight_of
from gated.config import Settings
from gated.config.settings_trial import SettingsTrial, begin
from gated.cues.cue import Situation
from gated.cues.fingerprint import requested_fingerprint
from gated.cues.stage import Stage
from gated.cues.words import fitted_of
from gated.door.latch_client import LatchClient
from gated.errors import CameraError, DiskError, ModelError, StateError
from gated.events import ClockDoubted, DatabaseReplaced, Duress, Event, OfficeSilent, Stopped
from gated.face.manifest import lawful_set
from gated.face.own_models import OwnModels
from gated.face.vision_link import VisionLink
from gated.face.vision_messages import Observation, TrackEnded, VisionReady, VisionSettings
from gated.gallery.gallery import Gallery
from gated.gallery.mending import mend
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB
from gated.journal.recent_rows import last_time, read_newest
from gated.journal.writer import JournalWriter
from gated.runtime import garbage
from gated.runtime.child import keep_running
from gated.runtime.secrecy import keep_memory_secret
from gated.runtime.tasks import Backoff, Part, critical, first_of, optional
from gated.service.camera_colour import ColourWatch
from gated.service.duty import Duty
from gated.service.start_events import first_facts
from gated.service.systemd_notify import Notifier
from gated.service.timekeeper import Timekeeper
from gated.service.version import own_version
from gated.sitetime import zone
from gated.storage.process_lock import FolderLock
from gated.storage.rescue import set_aside

if TYPE_CHECKING:  # 0.1 s and 5 MB that a gate without an office does without
    from gated.office_wiring import OfficeLink
    from gated.protocol.status_messages import GuessingLimits
    from gated.service.metrics import Metrics
    from gated.sync.status_reports import Vitals

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""The interval between checks of settings on trial, in seconds."""
STOP_S = 0.7
"""The time for one part to stop, in seconds. All parts together stay below the 3 s that a stop may take."""
DESK_LATCH_IDLE_S = 10.0
"""The time that a latch started by us runs after our end, in seconds."""
BEGIN_S = 10.0
"""The time that the latch and vision each have to answer, in seconds.

After that the brain goes on duty without them.
"""
ON_DISK = frozenset({"disk", "credentials", "gallery"})
"""When one of these parts works again, files can be opened again."""
MUTE = frozenset({"network", "server", "sync", "journal"})
"""Parts without which the office does not receive a call."""
STABLE_S = 2.0
"""The wait after the end of a recording, in seconds: the last face leaves, and the last visit is decided."""


async def run(
    settings: Settings, config: Path, *, own_latch: bool = True, once: bool = False, vision: Path | None = None
) -> None:
    """Run the gate until SIGTERM or SIGINT. With `once`, run until the recording ends.

    `settings` gives the state folder and the models' folder. All other settings are read again, including those on
    trial. `own_latch` starts a latch if none serves. `vision` is the socket of the vision service, as in `VisionLink`.

    Raises `BusyError` if a gate already runs on this state folder, `ConfigError`, and `CriticalTaskError` if a critical
    part ends. No state of the disk prevents the start.
    """
    keep_memory_secret()
    with closing(FolderLock(settings.state, "run.lock", "a gate with this state folder")):
        start = begin(config)
        settings = msgspec.structs.replace(
            start.settings, models=msgspec.structs.replace(start.settings.models, dir=settings.models.dir)
        )
        mended, entries = mend(settings.state), read_newest(settings.state, settings.site.id, settings.gate.id)
        facts = first_facts(settings, start, entries, mended)
        with closing(Brain(settings, config, last_time(entries), facts, vision)) as brain:
            await brain.live(own_latch=own_latch, once=once, trial=start.trial)
            brain.report(Stopped(brain.why))


class Brain:
    """The brain of one gate: its parts, and the messages between them."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        last_fact: datetime,
        facts: Iterable[Event] = (),
        vision: Path | None = None,
    ) -> None:
        """Build the parts. `config`: the path of the settings. `last_fact`: the time of the last event in the journal.
        `facts`: events to report first. `vision`: the socket of the vision service.
        """
        self.settings, self._config, self.why = settings, config, "the recording has ended"
        self._metrics = self._count() if settings.health.metrics_port else None
        self._loop = asyncio.get_running_loop()
        self._stop, self._appended, self._blind = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._why_blind, self._has_seen = "", False
        self._journal = JournalWriter(
            self._open_journal,
            on_append=lambda _: self._call(self._appended.set),
            on_trouble=lambda trouble: self._call(self._on_journal, trouble),
            set_aside=self._begin_journal,
        )
        self._is_built = False
        self.calls = Calls(self.report, self._is_linked, settings.sync.status_s)
        self.duty, self.notifier = Duty(self.report), Notifier()
        self._colour = ColourWatch(self.duty.set)
        self._timekeeper = Timekeeper(settings, last_fact, self._on_clock)
        self.clock = self._timekeeper.clock
        self.door = LatchClient(
            settings.latch_socket,
            self.report,
            self._on_latch,
            self._on_card,
            self._on_key,
            on_missing=self.duty.misses,
        )
        timezone = zone(settings.site.timezone)
        self.stage = Stage(
            settings.cues,
            settings.prompts,
            timezone,
            self.door.play,
            self.clock.now,
            fitted=fitted_of(settings),
            may_locate=self._may_locate,
            losses=self._set,
            compared=partial(requested_fingerprint, settings.state),
        )
        for fact in facts:  # before the entrance reports a lockdown or an unlock schedule
            self.report(fact)
        self._models = OwnModels(settings, lambda why: self.duty.fails("vision", why))
        self.gallery = Gallery.open_best(settings.state, settings.site.id, *self._models.embedder)
        reports = EntranceReports(
            self.report,
            self._on_credential_outcome,
            self.stage.set_first_cue,
            self._set,
            lambda: self.stage.situation is Situation.ENROLLING,
            self.stage.show_pending if settings.cues.screen_port else None,
        )
        self.entrance = Entrance(settings, self.gallery, self.door, reports, self.clock.now)
        worker = VisionSettings(settings.camera, settings.models, settings.face, bool(settings.readers.pass_key))
        self.vision = VisionLink(
            worker, self._on_vision, self._on_seen, self._on_blind, self.entrance.readers.handle_code, service=vision
        )
        self.following = self._follow() if settings.sync.url else None
        if self._metrics is not None and self.following is not None:
            self._metrics.certificates(self.following.certificate_ends)
        self._is_built = True

    async def live(self, *, own_latch: bool, once: bool, trial: SettingsTrial | None = None) -> None:
        """Start every part, wait for the end, and stop the parts in reverse order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._asked_to_stop, number)
        vital = {
            "door": self.door.run,
            "cues": self.stage.run,
            "entrance": self.entrance.run,
            "calls": self.calls.run,
            "vision": self._see,
            "clock": self._timekeeper.run,
        }
        if own_latch:
            latch = ["--config", str(self._config), "latch", "--exit-when-idle", str(DESK_LATCH_IDLE_S)]
            vital = {"latch": lambda: keep_running(latch, self.door.is_answering), **vital}
        if self.notifier.watchdog_s is not None:
            vital["watchdog"] = self._watchdog
        parts = [critical(name, run) for name, run in vital.items()]
        parts += [optional(name, run, self._set) for name, run in self._optional_parts()]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
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
                    task.cancel()  # cancel again: a stuck part must not block other parts

    def _optional_parts(self) -> Iterable[tuple[str, Part]]:
        """Yield the parts that the gate can do without, by their names in `degraded`. Their failure does not end the
        brain.
        """
        settings = self.settings
        if settings.readers.pass_key:
            yield "passes", self.entrance.accept_passes
        if self._metrics is not None:
            yield "metrics", partial(self._metrics.serve, settings.health.metrics_port)
        if self.following is not None:
            yield "sync", self.following.run

    def report(self, event: Event, at: datetime | None = None) -> None:
        """Store an event, show it, and log it. The latch logs its own events (`at` is given).

        A `Duress` event goes only to the journal and the office: an attacker may read the log.
        """
        if at is None and not isinstance(event, Duress):
            log.info("%s", wording.fact(event))
        self._journal.report(event, at)
        if self._metrics is not None:
            self._metrics.fact(event, at or datetime.now(UTC))
        age_s = 0.0 if at is None else max(0.0, (datetime.now(UTC) - at).total_seconds())
        self.stage.handle_event(event, age_s)
        if age_s < CALL_ANSWER_S:
            self.calls.handle_event(event)

    def close(self) -> None:
        """Write everything that is not on disk yet."""
        self._timekeeper.close()
        self.entrance.close()
        self.gallery.close()
        if not self._journal.close():
            log.error("the last events could not be written")

    def _count(self) -> "Metrics":
        """Return the metrics for monitoring systems."""
        from gated.service.metrics import Metrics

        def waiting() -> float:
            """Return the number of journal rows that the office has not acknowledged."""
            with closing(self._open_journal()) as journal:
                position = journal.position()
            return position.head - position.acked

        metrics = Metrics(own_version(), self.settings.models.set)
        metrics.gauge("gated_templates", "Number of templates in the search.", lambda: self.gallery.template_count)
        metrics.gauge("gated_events_waiting", "Journal rows that the office has not acknowledged.", waiting)
        return metrics

    async def _announce(self) -> None:
        """Tell systemd that the gate is ready, once the latch and vision have each answered, failed, or used up
        `BEGIN_S`.
        """
        for worker, known in self.duty.answered.items():
            await first_of(known.wait(), self._stop.wait(), asyncio.sleep(BEGIN_S), name="begin")
            if not known.is_set() and not self._stop.is_set():
                self.duty.fails(worker, "it does not answer")
        self.notifier.ready()
        garbage.watch()
        log.info("on duty%s", f", without {', '.join(self.duty.lost)}" if self.duty.lost else "")

    async def _end(self, once: bool) -> None:
        """Wait for a stop request. With `once`, wait until the recording is over and the door is secured.

        Raises `ModelError` or `CameraError` if a recording cannot be played: with `once` there is no wait for a repair.
        """
        if once and self._models.now is None:
            lawful_set(self.settings)  # raises with the reason, as in `gated check`
        ends = [self.vision.exhausted.wait(), self._blind.wait()] if once else []
        await first_of(self._stop.wait(), *ends, name="end")
        if self._blind.is_set() and once and not self.vision.exhausted.is_set():
            part, _, why = self._why_blind.partition(": ")
            raise (ModelError if part == "models" else CameraError)(why)
        if not self._stop.is_set():
            await asyncio.sleep(STABLE_S)
            while self.door.state == "released":  # noqa: ASYNC110 - the latch sends its state with every heartbeat
                await asyncio.sleep(0.1)

    async def _prove(self, trial: SettingsTrial) -> None:
        """Keep the office's settings after a good trial. Otherwise end the brain, so that it restarts without them."""
        while (verdict := trial.judge(self.duty.lost, time.monotonic())) is None:  # noqa: ASYNC110 - only time decides
            await asyncio.sleep(WATCH_S)
        try:
            if await asyncio.to_thread(trial.apply_verdict, verdict):
                self.report(verdict)
        except StateError as error:
            log.error("%s", error)
        if verdict.outcome == "rolled_back":
            self._end_as("settings rolled back")

    async def _see(self) -> None:
        """Run vision, as soon as there is a model set that may be used here."""
        backoff = Backoff(1.0, 30.0)
        while self._models.now is None:
            await asyncio.sleep(backoff.next_s())
            self._reload_models()
        await self.vision.run()

    def _reload_models(self) -> None:
        """Read the manifest again, and use its models if they changed."""
        if self._models.reload():
            self.gallery.switch_embedder(*self._models.embedder)
            self._anew()

    def _follow(self) -> "OfficeLink":
        """Return the link to the office. Loads its code, which only a gate with an office needs."""
        from gated.doctor.guess_time import guess_limits
        from gated.office_wiring import GateFunctions, OfficeLink
        from gated.sync.denied_subjects import DeniedSubjects

        gate = GateFunctions(
            self.entrance,
            self.calls,
            self.duty,
            lambda: self._models.now,
            partial(self._vitals, guess_limits(self.settings)),
            self.clock.now,
            self._open_journal,
            lambda fact: self._call(self._on_office, fact),
            lambda: self._call(self.entrance.request_reload),
            self._end_as,
            self._appended,
            lambda at: self._call(self.calls.record_proof, at),
            lambda at, asked_at: self._call(self._on_time, at, asked_at),
            lambda why: self._call(self.duty.set, "certificate", why),
            lambda part, why: self._call(self.duty.set, part, why),
        )
        revoked = DeniedSubjects(lambda subjects: self._call(self.entrance.revoke, subjects))
        return OfficeLink(self.settings, self._config, gate, revoked)

    def _vitals(self, guessing: "GuessingLimits") -> "Vitals":
        """Return the gate's status for the office. It contains nothing about persons."""
        from gated.sync.status_reports import Vitals

        return Vitals(
            version=own_version(),
            degraded=self.duty.lost,
            door=self.door.state,
            people=self.gallery.size,
            templates=self.gallery.template_count,
            models=self.settings.models.set,
            calls=self.calls.count,
            guessing=guessing,
        )

    def _open_journal(self) -> Journal:
        return Journal.open(self.settings.state, self.settings.site.id, self.settings.gate.id)

    def _begin_journal(self) -> None:
        """Set a damaged journal aside and begin a new one. Runs on the writer's thread. Raises `DiskError`."""
        kept = set_aside(self.settings.state / JOURNAL_DB)
        self._call(self.report, DatabaseReplaced(JOURNAL_DB, kept.name))
        self._call(self._anew)

    def _anew(self) -> None:
        """Make the link to the office and the entrance open their files again."""
        if self.following is not None:
            self.following.anew.set()
        self.entrance.request_reload()

    async def _watchdog(self) -> None:
        while True:
            self.notifier.alive()
            await asyncio.sleep(self.notifier.watchdog_s or WATCH_S)

    def _on_vision(self, ready: VisionReady) -> None:
        """Accept vision if it uses the models of our own manifest. Raises `WireError` if it uses others."""
        if not self._models.is_seen_by(ready):
            self._reload_models()
            self._models.check(ready)
        self._has_seen = True
        self.entrance.faces.begin(ready)
        self.duty.works("vision")

    def _on_seen(self, seen: Observation | TrackEnded) -> None:
        """Show a seen face before it is decided. Otherwise "looking" would replace the decision on the screen."""
        if isinstance(seen, Observation):
            self.stage.handle_sight(sight_of(seen, self.settings))
            if seen.quality is not None:
                self._colour.observe(seen.quality.colour)
            if self._metrics is not None:
                self._metrics.count_observation(seen.problem)
        self.entrance.faces.observe(seen)

    def _on_blind(self, why: str) -> None:
        self.entrance.faces.stop()
        self.duty.fails("vision", why)
        if not self._has_seen and why.startswith(("models: ", "camera: ")):
            self._why_blind = why
            self._blind.set()

    def _on_latch(self, is_up: bool, why: str) -> None:
        if is_up:
            self.duty.works("latch")
            self.entrance.renew_leases()
        else:
            self.duty.fails("latch", why)

    def _on_card(self, bits: str, door: str) -> None:
        self.entrance.readers.handle_frame(bits, door)

    def _on_key(self, key: str, door: str) -> None:
        self.entrance.readers.handle_key(key, door)

    def _on_credential_outcome(self, outcome: CredentialOutcome) -> None:
        if outcome.result == "granted":
            self.stage.set_first_cue(outcome.preferences.first)
        elif outcome.result != "refused":
            self.stage.handle_result(outcome.result)

    def _on_journal(self, trouble: Exception | None) -> None:
        """Update the parts "journal" and "disk". The journal writes most often, so it notices first that the disk fails
        or works.
        """
        self._set("journal", None if trouble is None else f"its rows are only in memory: {trouble}")
        if isinstance(trouble, DiskError) or trouble is None:
            self._set("disk", None if trouble is None else str(trouble))

    def _set(self, part: str, why: str | None) -> None:
        """Set a part as lost with its reason, or as working (None). If a disk part works again, reopen its files."""
        is_back = why is None and part in self.duty.lost
        self.duty.set(part, why)
        if is_back and part in ON_DISK:
            self._anew()

    def _on_clock(self, fact: ClockDoubted) -> None:
        self.report(fact)
        self.duty.set("clock", None if fact.is_over else fact.why)

    def _on_time(self, at: datetime, asked_at: float) -> None:
        """Pass on the office's time, requested at `asked_at` (monotonic seconds)."""
        self.clock.accept_office_time(at, time.monotonic() - asked_at)

    def _may_locate(self) -> bool:
        """Return whether the locating sound is scheduled now. Without a trusted clock it is not."""
        if not self.settings.cues.locate or not self._is_built:
            return False
        at = self.clock.now()
        return at is not None and self.entrance.permissions.calendar.allows(self.settings.cues.locate, at)

    def _is_linked(self) -> bool:
        """Return whether the link to the office works now. An event that cannot be stored is not sent either."""
        return bool(self.settings.sync.url) and MUTE.isdisjoint(self.duty.lost)

    def _on_office(self, fact: Event) -> None:
        self.report(fact)
        if isinstance(fact, OfficeSilent):
            self.duty.set("server", None if fact.is_over else "the office has proved nothing for too long")

    def _asked_to_stop(self, number: int) -> None:
        self._end_as(signal.Signals(number).name)

    def _end_as(self, why: str) -> None:
        self.why = why
        self._stop.set()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a function on the event loop, from another thread. Do nothing if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)
