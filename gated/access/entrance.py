"""Connect everything that opens the gate: faces, cards, PINs, passes and unlock schedules. One lockdown and one set of
access rules apply to all of them. Used by the brain. An unlock schedule uses only the calendar of the settings, never a
day that the office names.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from gated.access.credential_service import Passes, Ways
from gated.access.face_service import AccessService
from gated.access.grants import WayOutcome
from gated.access.guess_budget import Guessing
from gated.access.guess_store import GuessLog
from gated.access.lockdown import UNREADABLE, LockdownOrder, last_order
from gated.access.passes import PassLedger, pass_key
from gated.access.readers.reader_set import Readers
from gated.access.schedules import Calendar
from gated.access.unlock_schedules import FreePassage
from gated.access.visit_rate import Crowd
from gated.config import Schedule, Settings
from gated.door.latch_client import DoorController
from gated.errors import BusyError, StateError
from gated.events import Event, Lockdown
from gated.gallery.gallery import Gallery
from gated.people.given_consents import forget, given_now
from gated.people.keyring import KeyRing
from gated.people.preferences import FirstCue
from gated.people.schedule_values import CalendarDays
from gated.runtime.tasks import until_cancelled
from gated.sitetime import zone

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""The interval in seconds at which the gate checks whether another process changed who may enter."""


@dataclass(frozen=True, slots=True)
class Tell:
    """The functions that an entrance calls to report. `losses(part, why)`: a part failed, or works again if `why` is
    None.
    """

    report: Callable[[Event], None]
    outcome: Callable[[WayOutcome], None]
    prefer: Callable[[FirstCue | None], None]
    losses: Callable[[str, str | None], None]
    is_enrolling_told: Callable[[], bool] = lambda: True
    """Return whether the gate is announcing an enrolment at this moment."""
    waits: Callable[[int, int], None] | None = None
    """Receives how many keys of other gates, and how many people's consents, wait for acceptance here. None: not
    reported.
    """


def with_office(own: Calendar, schedules: Mapping[str, Schedule], named: CalendarDays) -> Calendar:
    """Return the calendar of the settings, extended by the office's schedules and days.

    For a schedule or day that both define, the settings win.
    """
    certain = {*own.holidays, *own.workdays}
    days = frozenset(own.holidays) | (named.holidays - frozenset(own.workdays))
    makeup = frozenset(own.workdays) | (named.workdays - days)
    return replace(
        own,
        schedules={**schedules, **own.schedules},
        holidays=days,
        workdays=makeup,
        doubtful=named.doubtful - certain,
        is_doubtful=named.is_doubtful,
    )


class Entrance:
    """Everything that opens one gate. Call it on the event loop's thread. The databases have separate threads."""

    def __init__(
        self,
        settings: Settings,
        gallery: Gallery,
        door: DoorController,
        tell: Tell,
        wall: Callable[[], datetime | None],
    ) -> None:
        """`wall` returns the aware time of day, or None while it is not trusted. Unreadable data is dropped and raises
        no error.
        """
        self._state, self._gallery, self._door, self._tell = settings.state, gallery, door, tell
        self._changed = asyncio.Event()
        forget(settings.state)
        release_s = {name: wires.release_s for name, wires in settings.doors.items()}
        site = settings.site
        calendar = Calendar(settings.schedules, site.holidays, zone(site.timezone), site.workdays)
        self._own = calendar
        self._pass_key = Path(settings.readers.pass_key) if settings.readers.pass_key else None
        self._here = site.id, settings.gate.id
        self._ring = KeyRing.open_best(settings.state, site.id)
        self.ways = Ways(
            settings.readers,
            self._ring,
            calendar,
            release_s,
            release=door.release,
            report=tell.report,
            on_outcome=tell.outcome,
            wall=wall,
            gate=settings.gate.id,
            guessing=Guessing(settings.readers, GuessLog(settings.state, lost=settings.readers.attempts - 1)),
        )
        self._revoked = frozenset[str]()
        crowd = Crowd(tell.losses)
        self.readers = Readers(
            settings.readers, self.ways, settings.state, tell.report, tell.losses, admits_pass=crowd.admits_pass
        )
        self.faces = AccessService(
            settings.access,
            gallery,
            door,
            settings.door.release_s,
            tell.report,
            ways=self.ways,
            wall=wall,
            prefer=tell.prefer,
            is_enrolling_told=tell.is_enrolling_told,
            crowd=crowd,
            given=partial(given_now, settings.state),
        )
        self.ways.on_shown = self.faces.confirm
        schedules = {name: wires.free_passage for name, wires in settings.doors.items() if wires.free_passage}
        self._passage = FreePassage(schedules, calendar, self._renew, tell.report, wall)
        self._name_hours()
        self._obey(last_order(settings.state), is_first=True)

    def close(self) -> None:
        """Write what is not on disk yet, and close the files."""
        self.ways.close()
        self._ring.close()

    async def keep_passes(self, works: Callable[[], None]) -> None:
        """Accept visitor passes until cancelled. Calls `works` once passes are accepted.

        Raises `ConfigError` without a valid key, and `StateError` without a ledger.
        """
        assert self._pass_key is not None
        key = await asyncio.to_thread(pass_key, self._pass_key)
        with closing(await asyncio.to_thread(PassLedger, self._state)) as ledger:
            self.ways.passes = Passes(key, *self._here, ledger)
            works()
            try:
                await until_cancelled()
            finally:
                self.ways.passes = None

    def revoke(self, subjects: frozenset[str]) -> None:
        """Deny these people from now on, whatever the database says about them.

        A person who is missing from a later call may enter again after the next successful read of the database.
        """
        self._revoked = subjects
        self.ways.revoked |= subjects
        self.look()

    async def run(self) -> None:
        """Make decisions. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, part in (
                ("faces", self.faces.run),
                ("readers", self.readers.run),
                ("passage", self._passage.run),
                ("watch", self._watch),
            ):
                group.create_task(part(), name=name)

    def linked(self) -> None:
        """Renew scheduled releases at once, because a latch has connected."""
        self._passage.look()

    def look(self) -> None:
        """Read changes of another process now, and not only at the next interval."""
        self._changed.set()

    def _renew(self, door: str, lease_s: float, decided_at: float) -> None:
        self._door.release("", lease_s, decided_at, door, "schedule")

    async def _watch(self) -> None:
        """Follow changes of other processes. Reads access rules before the gallery, so that a new face has its rules at
        once.
        """
        while True:
            self._changed.clear()
            revoked = self._revoked
            self._obey(await asyncio.to_thread(last_order, self._state))
            for part, stored, follow in (
                ("credentials", self._ring, self._ring.reload_if_changed),
                ("gallery", self._gallery, self._follow_gallery),
            ):
                try:
                    await asyncio.to_thread(follow)
                except (BusyError, StateError) as error:
                    self._tell.losses(part, str(error))
                else:
                    self._tell.losses(part, stored.trouble or stored.left_out or None)
                    if stored is self._ring and not stored.trouble:
                        self.ways.revoked &= revoked | self._revoked
            await self._count()
            self._name_hours()
            self.ways.keep()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._changed.wait()

    async def _count(self) -> None:
        """Report how many items wait for acceptance. If they cannot be read, `_watch` reports the gallery as lost."""
        if (tell := self._tell.waits) is not None:
            with suppress(BusyError, StateError):
                tell(*await asyncio.to_thread(self._gallery.to_accept, self._here[1]))

    def _name_hours(self) -> None:
        """Apply the schedules and days of the office. The settings win over them.

        A door with an unlock schedule uses only the calendar of the settings, so that no day of the office can unlock
        it.
        """
        calendar = with_office(self._own, self._ring.schedules, self._ring.days)
        if calendar != self.ways.calendar:
            self.ways.calendar = calendar

    def _follow_gallery(self) -> None:
        if self._gallery.reload_if_changed():
            log.info("the gallery has changed: %d people", self._gallery.size)

    def _obey(self, order: LockdownOrder | None, *, is_first: bool = False) -> None:
        """Begin or end a lockdown. Informs the latch at every start, because the latch may remember a
        different state.
        """
        self._tell.losses("lockdown", UNREADABLE.by if order is UNREADABLE else None)
        is_on, was_on = order is not None and not order.is_over, self.ways.is_locked_down
        self.ways.is_locked_down = self._passage.is_locked_down = is_on
        if is_on != was_on:
            self._tell.report(Lockdown(order.by if order is not None else "", is_over=not is_on))
        if is_on != was_on or is_first:
            self._door.lockdown(is_on)
            self._passage.look()
