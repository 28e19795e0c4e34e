"""Every way in, wired: faces, cards, PINs, passes and free passage, under one lockdown and one set of rights."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gated.access.answers import WayOutcome
from gated.access.lockdown import LockdownOrder, last_order
from gated.access.passage import FreePassage
from gated.access.passes import PassLedger, pass_key
from gated.access.readers import Readers
from gated.access.schedule import Calendar
from gated.access.service import AccessService
from gated.access.ways import Passes, Ways
from gated.config import Settings
from gated.door.controller import DoorController
from gated.errors import BusyError, StateError
from gated.events import Event, Lockdown
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import First
from gated.gallery.gallery import Gallery
from gated.gallery.keyring import KeyRing

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often it is asked whether somebody else has changed who may come in."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Whom an entrance tells what. `losses(part, why)`: a part is lost, or with None is back."""

    report: Callable[[Event], None]
    outcome: Callable[[WayOutcome], None]
    prefer: Callable[[First | None], None]
    losses: Callable[[str, str | None], None]


class Entrance:
    """All ways in at one gate. Calls come on the loop's thread; the databases have threads of their own."""

    def __init__(
        self,
        settings: Settings,
        gallery: Gallery,
        door: DoorController,
        tell: Tell,
        wall: Callable[[], datetime | None],
    ) -> None:
        """`wall`: the time of day (aware), None while it is not trusted. Raises `StateError` and `ConfigError`."""
        self._state, self._gallery, self._door, self._tell = settings.state, gallery, door, tell
        self._changed = asyncio.Event()
        release_s = {name: wires.release_s for name, wires in settings.doors.items()}
        site = settings.site
        calendar = Calendar(settings.schedules, site.holidays, ZoneInfo(site.timezone))
        self._own_schedules = settings.schedules
        with ExitStack() as opened:
            store = Credentials.open(settings.state, site.id)
            opened.callback(store.close)
            passes = None
            if settings.readers.pass_key:
                ledger = PassLedger(settings.state)
                opened.callback(ledger.close)
                passes = Passes(pass_key(Path(settings.readers.pass_key)), site.id, settings.gate.id, ledger)
            self._ring = KeyRing(store)
            self.ways = Ways(
                settings.readers,
                self._ring,
                calendar,
                release_s,
                release=door.release,
                report=tell.report,
                on_outcome=tell.outcome,
                wall=wall,
                passes=passes,
            )
            opened.callback(self.ways.close)
            self._opened = opened.pop_all()
        self.readers = Readers(settings.readers, self.ways)
        self.faces = AccessService(
            settings.access,
            gallery,
            door,
            settings.door.release_s,
            tell.report,
            ways=self.ways,
            wall=wall,
            prefer=tell.prefer,
        )
        schedules = {name: wires.free_passage for name, wires in settings.doors.items() if wires.free_passage}
        self._passage = FreePassage(schedules, calendar, self._renew, tell.report, wall)
        self._name_hours()
        self._obey(last_order(settings.state), is_first=True)

    def close(self) -> None:
        """Write down what is not on disk yet, and give the files back."""
        self._opened.close()

    async def run(self) -> None:
        """Decide, for ever."""
        async with asyncio.TaskGroup() as group:
            for name, part in (
                ("faces", self.faces.run),
                ("readers", self.readers.run),
                ("passage", self._passage.run),
                ("watch", self._watch),
            ):
                group.create_task(part(), name=name)

    def linked(self) -> None:
        """A latch answers: what holds by schedule need not wait for its next renewal."""
        self._passage.look()

    def look(self) -> None:
        """Somebody else has changed who may come in: what they wrote counts now, not with the next look."""
        self._changed.set()

    def _renew(self, door: str, lease_s: float, decided_at: float) -> None:
        self._door.release("", lease_s, decided_at, door, "schedule")

    async def _watch(self) -> None:
        """Follow what others change: rights first, so that whoever is found has theirs."""
        while True:
            self._changed.clear()
            self._obey(await asyncio.to_thread(last_order, self._state))
            for part, follow in (("credentials", self._ring.reload_if_changed), ("gallery", self._follow_gallery)):
                try:
                    await asyncio.to_thread(follow)
                except (BusyError, StateError) as error:
                    self._tell.losses(part, str(error))
                else:
                    self._tell.losses(part, None)
            self._name_hours()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._changed.wait()

    def _name_hours(self) -> None:
        """Follow the hours that the office names; the settings' own ones of the same name win."""
        schedules = {**self._ring.schedules, **self._own_schedules}
        if schedules != self.ways.calendar.schedules:
            calendar = replace(self.ways.calendar, schedules=schedules)
            self.ways.calendar = self._passage.calendar = calendar

    def _follow_gallery(self) -> None:
        if self._gallery.reload_if_changed():
            log.info("the gallery has changed: %d people", self._gallery.size)

    def _obey(self, order: LockdownOrder | None, *, is_first: bool = False) -> None:
        """Begin or end a lockdown. The latch is told at every start, because it may remember another one."""
        is_on, was_on = order is not None and not order.is_over, self.ways.is_locked_down
        self.ways.is_locked_down = self._passage.is_locked_down = is_on
        if is_on != was_on:
            self._tell.report(Lockdown(order.by if order is not None else "", is_over=not is_on))
        if is_on != was_on or is_first:
            self._door.lockdown(is_on)
            self._passage.look()
