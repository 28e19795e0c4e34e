"""The brain's wiring: its parts, and the messages between them, on one page. `brain_run` runs the parts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gated import wording
from gated.access.calls import CALL_ANSWER_S, Calls
from gated.access.entrance import Entrance, EntranceReports
from gated.access.responder import CredentialOutcome
from gated.config import Settings
from gated.cues.cue import Situation
from gated.cues.fingerprint import requested_fingerprint
from gated.cues.stage import Stage
from gated.cues.words import fitted_of
from gated.door.latch_client import LatchClient
from gated.errors import DiskError
from gated.events import ClockDoubted, DatabaseReplaced, Duress, Event, OfficeSilent
from gated.face.own_models import OwnModels
from gated.face.vision_start import VisionStart
from gated.gallery.gallery import Gallery
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB
from gated.journal.writer import JournalWriter
from gated.runtime.tasks import Part
from gated.service.duty import Duty
from gated.service.systemd_notify import Notifier
from gated.service.timekeeper import Timekeeper
from gated.sitetime import zone
from gated.storage.rescue import set_aside
from gated.vision_wiring import VisionWiring

if TYPE_CHECKING:  # 0.1 s and 5 MB that a gate without an office does without
    from gated.office_wiring import OfficeLink
    from gated.service.metrics import Metrics

log = logging.getLogger(__name__)


class Brain:
    """The brain of one gate: its parts, and the messages between them."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        vision: VisionStart,
        last_fact: datetime,
        facts: Iterable[Event] = (),
    ) -> None:
        """Build the parts. `config`: the path of the settings. `vision`: starts vision. `last_fact`: the time of the
        last event in the journal. `facts`: events to report first.
        """
        self.settings, self._config, self.why = settings, config, "the recording has ended"
        self._metrics = self._count() if settings.health.metrics_port else None
        self._loop = asyncio.get_running_loop()
        self.stop, self._appended = asyncio.Event(), asyncio.Event()
        self._journal = JournalWriter(
            self._open_journal,
            on_append=lambda _: self._call(self._appended.set),
            on_trouble=lambda trouble: self._call(self._on_journal, trouble),
            set_aside=self._begin_journal,
        )
        self._is_built = False
        self.duty, self.notifier = Duty(self.report, self._anew), Notifier()
        has_office = bool(settings.sync.url)
        self.calls = Calls(self.report, lambda: has_office and self.duty.reaches_office, settings.sync.status_s)
        self._timekeeper = Timekeeper(settings, last_fact, self._on_clock)
        self.clock = self._timekeeper.clock
        self.door = LatchClient(
            settings.latch_socket,
            self.report,
            self._on_latch,
            lambda bits, door: self.entrance.readers.handle_frame(bits, door),  # noqa: PLW0108 - the entrance follows
            lambda key, door: self.entrance.readers.handle_key(key, door),  # noqa: PLW0108
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
            losses=self.duty.set,
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
            self.duty.set,
            lambda: self.stage.situation is Situation.ENROLLING,
            self.stage.show_pending if settings.cues.screen_port else None,
        )
        self.entrance = Entrance(settings, self.gallery, self.door, reports, self.clock.now)
        self.vision = VisionWiring(
            settings,
            self._models,
            self.gallery,
            self.entrance,
            self.stage,
            self.duty,
            self._anew,
            start=vision,
            metrics=self._metrics,
        )
        self.following = self._follow() if settings.sync.url else None
        if self._metrics is not None and self.following is not None:
            self._metrics.certificates(self.following.certificate_ends)
        self._is_built = True

    def vital_parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the parts without which the brain ends, by name, in the order of their start."""
        vital: dict[str, Callable[[], Awaitable[None]]] = {
            "door": self.door.run,
            "cues": self.stage.run,
            "entrance": self.entrance.run,
            "calls": self.calls.run,
            "vision": self.vision.run,
            "clock": self._timekeeper.run,
        }
        if self.notifier.watchdog_s is not None:
            vital["watchdog"] = self.notifier.keep_alive
        return vital

    def optional_parts(self) -> Iterable[tuple[str, Part]]:
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
        """Return the metrics for monitoring systems. Loads their code, which costs memory."""
        from gated.service.metrics import gate_metrics

        return gate_metrics(self.settings.models.set, lambda: self.gallery.template_count, self._open_journal)

    def _follow(self) -> "OfficeLink":
        """Return the link to the office. Loads its code, which only a gate with an office needs."""
        from gated.doctor.guess_time import guess_limits
        from gated.office_wiring import GateFunctions, OfficeLink, vitals
        from gated.sync.denied_subjects import DeniedSubjects

        guessing = guess_limits(self.settings)
        gate = GateFunctions(
            self.entrance,
            self.calls,
            self.duty,
            lambda: self._models.now,
            partial(vitals, self.settings.models.set, self.duty, self.door, self.gallery, self.calls, guessing),
            self.clock.now,
            self._open_journal,
            lambda fact: self._call(self._on_office, fact),
            lambda: self._call(self.entrance.request_reload),
            self.end_as,
            self._appended,
            lambda at: self._call(self.calls.record_proof, at),
            lambda at, asked_at: self._call(self._on_time, at, asked_at),
            lambda why: self._call(self.duty.set, "certificate", why),
            lambda part, why: self._call(self.duty.set, part, why),
        )
        revoked = DeniedSubjects(lambda subjects: self._call(self.entrance.revoke, subjects))
        return OfficeLink(self.settings, self._config, gate, revoked)

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

    def _on_latch(self, is_up: bool, why: str) -> None:
        if is_up:
            self.duty.works("latch")
            self.entrance.renew_leases()
        else:
            self.duty.fails("latch", why)

    def _on_credential_outcome(self, outcome: CredentialOutcome) -> None:
        if outcome.result == "granted":
            self.stage.set_first_cue(outcome.preferences.first)
        elif outcome.result != "refused":
            self.stage.handle_result(outcome.result)

    def _on_journal(self, trouble: Exception | None) -> None:
        """Update the parts "journal" and "disk". The journal writes most often, so it notices first that the disk fails
        or works.
        """
        self.duty.set("journal", None if trouble is None else f"its rows are only in memory: {trouble}")
        if isinstance(trouble, DiskError) or trouble is None:
            self.duty.set("disk", None if trouble is None else str(trouble))

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

    def _on_office(self, fact: Event) -> None:
        self.report(fact)
        if isinstance(fact, OfficeSilent):
            self.duty.set("server", None if fact.is_over else "the office has proved nothing for too long")

    def end_as(self, why: str) -> None:
        """End the brain. `why`: the reason in the journal."""
        self.why = why
        self.stop.set()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a function on the event loop, from another thread. Do nothing if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)
