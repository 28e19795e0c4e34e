"""Connect everything that opens the gate: faces, cards, PINs, passes and unlock schedules. One `Permissions` object
decides for all of them. Used by the brain.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec import Struct

from gated.access.attack_response import AttackResponse
from gated.access.credential_service import CredentialService
from gated.access.face_service import FaceService
from gated.access.guess_budget import GuessBudget
from gated.access.guess_store import GuessStore
from gated.access.lockdown import UNREADABLE_LOCKDOWN, LockdownRecord, read_last_record
from gated.access.permissions import Permissions
from gated.access.readers.reader_set import ReaderSet
from gated.access.responder import CredentialOutcome
from gated.access.schedules import Calendar
from gated.access.second_credential import SecondCredentials
from gated.access.unlock_schedules import UnlockSchedules
from gated.access.visit_rate import VisitRate
from gated.config import Settings
from gated.door.latch_client import LatchClient
from gated.errors import BusyError, StateError
from gated.events import MAIN, Event, Lockdown
from gated.gallery.gallery import Gallery
from gated.people.given_consents import consents_given_now, forget
from gated.people.keyring import KeyRing
from gated.people.preferences import FirstCue
from gated.runtime.tasks import until_cancelled
from gated.sitetime import zone
from gated.types import CredentialKind

log = logging.getLogger(__name__)

SECOND_CHECK_S = 0.25
"""The interval in seconds at which the gate checks for second credentials that did not come."""
CHANGE_CHECK_S = 1.0
"""The interval in seconds at which the gate checks for changes by another process to people and access rules."""


class EntranceReports(Struct, frozen=True):
    """The functions that an entrance calls to report. `losses(part, why)`: a part failed, or works again if `why` is
    None.
    """

    report: Callable[[Event], None]
    outcome: Callable[[CredentialOutcome], None]
    prefer: Callable[[FirstCue | None], None]
    losses: Callable[[str, str | None], None]
    is_enrolling_announced: Callable[[], bool] = lambda: True
    """Return whether the gate is announcing an enrolment at this moment."""
    on_pending: Callable[[int, int], None] | None = None
    """Receives how many keys of other gates, and how many people's consents, wait for acceptance here. None: not
    reported.
    """


class Entrance:
    """Everything that opens one gate. Call it on the event loop's thread. The databases have separate threads."""

    def __init__(
        self,
        settings: Settings,
        gallery: Gallery,
        door: LatchClient,
        reports: EntranceReports,
        wall: Callable[[], datetime | None],
    ) -> None:
        """`wall` returns the aware time of day, or None while it is not trusted. Unreadable data is dropped and raises
        no error.
        """
        self._state, self._gallery, self._door, self._reports = settings.state, gallery, door, reports
        self._changed = asyncio.Event()
        forget(settings.state)
        site, access = settings.site, settings.access
        self._pass_key = Path(settings.readers.pass_key) if settings.readers.pass_key else None
        self._site_and_gate = site.id, settings.gate.id
        self._ring = KeyRing.open_best(settings.state, site.id)
        calendar = Calendar(settings.schedules, site.holidays, zone(site.timezone), site.workdays)
        self.permissions = Permissions(self._ring, calendar, settings.doors, settings.gate.id)
        self._second = SecondCredentials(access.second_credential_s)
        self.credentials = self._credential_service(settings, wall)
        budget = self.credentials.budget
        attacks = AttackResponse(budget.stored_attacks, self.credentials.record_attack)
        self._second.is_face_resting = attacks.is_resting
        rate = VisitRate(reports.losses)
        self.readers = ReaderSet(
            settings.readers, self.credentials, settings.state, reports.report, reports.losses,
            admits_pass=rate.admits_pass,
        )  # fmt: skip
        self.faces = FaceService(
            access,
            gallery,
            door,
            settings.door.release_s,
            reports.report,
            permissions=self.permissions,
            attacks=attacks,
            wall=wall,
            prefer=reports.prefer,
            is_enrolling_announced=reports.is_enrolling_announced,
            rate=rate,
            given=partial(consents_given_now, settings.state),
            state=settings.state,
            second=self._second,
            request_second=lambda: reports.outcome(CredentialOutcome("second", CredentialKind.FACE, MAIN)),
        )
        self.credentials.on_opened, self._second.judge_again = self.faces.confirm, self.faces.judge_again
        schedules = {name: wires.free_passage for name, wires in settings.doors.items() if wires.free_passage}
        self._unlock = UnlockSchedules(schedules, self.permissions, self._renew, reports.report, wall)
        self.permissions.refresh_calendar()
        self._apply_lockdown(read_last_record(settings.state), is_first=True)

    def _credential_service(self, settings: Settings, wall: Callable[[], datetime | None]) -> CredentialService:
        return CredentialService(
            settings.readers,
            self._ring,
            self.permissions,
            {name: wires.release_s for name, wires in settings.doors.items()},
            release=self._door.release,
            report=self._reports.report,
            on_outcome=self._reports.outcome,
            wall=wall,
            budget=GuessBudget(settings.readers, GuessStore(settings.state, lost=settings.readers.attempts - 1)),
            second=self._second,
        )

    def close(self) -> None:
        """Write what is not on disk yet, and close the files."""
        self.credentials.close()
        self._ring.close()

    async def accept_passes(self, works: Callable[[], None]) -> None:
        """Accept visitor passes until cancelled. Calls `works` once passes are accepted.

        Raises `ConfigError` without a valid key, and `StateError` without a ledger.
        """
        from gated.access.pass_keys import read_pass_key
        from gated.access.pass_ledger import PassCheck, PassLedger

        assert self._pass_key is not None
        key = await asyncio.to_thread(read_pass_key, self._pass_key)
        with closing(await asyncio.to_thread(PassLedger, self._state)) as ledger:
            self.credentials.passes = PassCheck(key, *self._site_and_gate, ledger)
            works()
            try:
                await until_cancelled()
            finally:
                self.credentials.passes = None

    def revoke(self, subjects: frozenset[str]) -> None:
        """Deny these people from now on, even if the database still lists them as active.

        A person who is missing from a later call may enter again after the next successful read of the database.
        """
        self.permissions.revoke(subjects)
        self.request_reload()

    async def run(self) -> None:
        """Make decisions. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, part in (
                ("faces", self.faces.run),
                ("readers", self.readers.run),
                ("unlock schedules", self._unlock.run),
                ("changes", self._follow_changes),
                ("second credentials", self._end_windows),
            ):
                group.create_task(part(), name=name)

    def renew_leases(self) -> None:
        """Renew the leases of the unlock schedules at once, because a latch has connected."""
        self._unlock.renew()

    def request_reload(self) -> None:
        """Read changes of another process now, and not only at the next interval."""
        self._changed.set()

    def _renew(self, door: str, lease_s: float, decided_at: float) -> None:
        self._door.release("", lease_s, decided_at, door, "schedule")

    async def _end_windows(self) -> None:
        """Deny the people whose second credential did not come in time."""
        while True:
            await asyncio.sleep(SECOND_CHECK_S)
            self.deny_overdue(time.monotonic())

    def deny_overdue(self, now: float) -> None:
        """Deny the people whose window for a second credential has ended at `now`, in monotonic seconds."""
        for first in self._second.expire(now):
            first.deny()

    async def _follow_changes(self) -> None:
        """Follow changes of other processes. Reads access rules before the gallery: a new face must have its rules at
        once.
        """
        while True:
            self._changed.clear()
            revoked = self.permissions.requested_revocations
            self._apply_lockdown(await asyncio.to_thread(read_last_record, self._state))
            if await self._reload("credentials", self._ring, self._ring.reload_if_changed) and not self._ring.trouble:
                self.permissions.end_revocations(revoked)
            await self._reload("gallery", self._gallery, self._reload_gallery)
            await self._report_pending()
            self.permissions.refresh_calendar()
            self.credentials.store_clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHANGE_CHECK_S):
                    await self._changed.wait()

    async def _reload(self, part: str, stored: KeyRing | Gallery, reload: Callable[[], object]) -> bool:
        """Read the changes of one database. Return whether it could be read, and report the part as lost if not."""
        try:
            await asyncio.to_thread(reload)
        except (BusyError, StateError) as error:
            self._reports.losses(part, str(error))
            return False
        self._reports.losses(part, stored.trouble or stored.left_out or None)
        return True

    async def _report_pending(self) -> None:
        """Report how many items wait for acceptance. A gallery that cannot be read was already reported as lost."""
        if (report := self._reports.on_pending) is not None:
            with suppress(BusyError, StateError):
                report(*await asyncio.to_thread(self._gallery.to_accept, self._site_and_gate[1]))

    def _reload_gallery(self) -> None:
        if self._gallery.reload_if_changed():
            log.info("the gallery changed: %d people", self._gallery.size)

    def _apply_lockdown(self, record: LockdownRecord | None, *, is_first: bool = False) -> None:
        """Begin or end a lockdown. Informs the latch at every start, because the latch may remember a
        different state.
        """
        self._reports.losses("lockdown", UNREADABLE_LOCKDOWN.by if record is UNREADABLE_LOCKDOWN else None)
        is_changed, is_on = self.permissions.apply_lockdown(record), self.permissions.is_locked_down
        if is_changed:
            self._reports.report(Lockdown(record.by if record is not None else "", is_over=not is_on))
        if is_changed or is_first:
            self._door.lockdown(is_on)
            self._unlock.renew()
