"""The other ways in: a card, a PIN, a visitor's pass. Each is as good as a face, and needs no camera, model or network.

Plain cards and PINs are decided from memory: no disk, full or broken, keeps them from opening. Only what is counted
(uses that are left) must be on disk before it opens, for else it could open twice.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from gated.access.answers import Answers, Release, Shown, WayOutcome
from gated.access.attempts import Attempts
from gated.access.passes import PassKey, PassLedger, VisitorPass, read_pass
from gated.access.rights import Refusal, judge, judge_holder
from gated.access.schedule import Calendar
from gated.config import ReaderSettings
from gated.errors import BusyError, StateError
from gated.events import MAIN, Event
from gated.gallery.entitlement import Credential, Preferences
from gated.gallery.keyring import KeyRing
from gated.types import SubjectId

log = logging.getLogger(__name__)

COUNT_S = 2.0
"""So long a person waits for the disk to count a use; then it may be lost, but nobody behind them waits as well."""


@dataclass(frozen=True, slots=True)
class Passes:
    """What it takes to read a visitor's pass: the site's public key, where we are, and what was spent."""

    key: PassKey
    site: str
    gate: str
    ledger: PassLedger


class Ways:
    """Decides about cards, PINs and passes in the loop's thread; argon2 and the disk have a thread each."""

    def __init__(
        self,
        settings: ReaderSettings,
        ring: KeyRing,
        calendar: Calendar,
        release_s: Mapping[str, float],
        *,
        release: Release,
        report: Callable[[Event], None],
        on_outcome: Callable[[WayOutcome], None],
        wall: Callable[[], datetime | None],
        passes: Passes | None = None,
    ) -> None:
        """`release_s`: of each door that there is. `wall`: the time of day (aware), None while it is not trusted."""
        attempts = Attempts(settings.attempts, settings.attempts_s, settings.rest_s)
        self._answers = Answers(attempts, release_s, release, report, on_outcome)
        self._ring, self.calendar, self._doors = ring, calendar, frozenset(release_s)
        self._wall, self._passes = wall, passes
        self._typing = asyncio.Lock()
        self._hashing, self._writing = (ThreadPoolExecutor(1, name) for name in ("pins", "uses"))
        self._used: set[str] = set()
        self.is_locked_down = False

    def close(self) -> None:
        """Write down the uses that are not on disk yet."""
        self._hashing.shutdown()
        self._writing.shutdown()

    async def card(self, number: str, door: str = MAIN) -> None:
        """A card was shown; `number` as its reader says it."""
        if self._answers.may_try("card", door):
            await self._settle("card", door, self._ring.card(number))

    async def pin(self, digits: str, door: str = MAIN) -> None:
        """A PIN was typed. One after the other: a guess is counted before the next is looked at."""
        async with self._typing:
            if self._answers.may_try("pin", door):
                loop = asyncio.get_running_loop()
                await self._settle("pin", door, await loop.run_in_executor(self._hashing, self._ring.pin, digits))

    async def visitor_pass(self, text: str, door: str = MAIN) -> None:
        """A code was seen that may be a visitor's pass."""
        if self._answers.may_try("pass", door):
            at, passes = self._wall(), self._passes
            read = self._read(text, door, at)
            if isinstance(read, Refusal) or passes is None or at is None:
                self._answers.give(Shown("pass", door), read if isinstance(read, Refusal) else Refusal.UNDECIDED)
                return
            refusal = await self._count(lambda: passes.ledger.spend(read, at), Refusal.REPLAYED)
            is_released = self._answers.give(Shown("pass", door, read.credential), refusal)
            if refusal is None and not is_released:
                self._writing.submit(_write_down, lambda: passes.ledger.give_back(read))

    def remote(self, command: str, door: str = MAIN) -> Refusal | None:
        """The office lets somebody in, by the command of that id; why not, or None. What is refused is not told at the
        gate, where nobody tried anything.
        """
        if refusal := self._closed(door):
            return refusal
        return None if self._answers.give(Shown("remote", door, command), None) else Refusal.UNDECIDED

    def may_pass_by_face(self, subject: SubjectId, door: str, at: datetime | None) -> Refusal | None:
        """Why somebody whose face is known may not pass now, or None; from memory. `at` is as `wall` gives it."""
        holder = self._ring.holder(subject)
        if refusal := self._closed(door):
            return refusal
        return Refusal.UNKNOWN if holder is None else judge_holder(holder, door, at, self.calendar)

    def preferences(self, subject: SubjectId) -> Preferences:
        """What somebody asked for; from memory."""
        return self._ring.preferences(subject)

    def _closed(self, door: str) -> Refusal | None:
        """Why nobody at all may pass by this door."""
        if self.is_locked_down:
            return Refusal.LOCKDOWN
        return None if door in self._doors else Refusal.DOOR

    def _read(self, text: str, door: str, at: datetime | None) -> VisitorPass | Refusal:
        if refusal := self._closed(door):
            return refusal
        if self._passes is None:
            return Refusal.UNKNOWN
        return read_pass(text, self._passes.key, self._passes.site, self._passes.gate, door, at=at)

    async def _settle(self, way: str, door: str, found: Credential | None) -> None:
        """Decide about a card or a PIN, act on it, and write its use down: before it opens only where it is counted."""
        at, store = self._wall(), self._ring.store
        holder = self._ring.holder(found.subject) if found is not None and found.subject is not None else None
        refusal = self._closed(door) or judge(found, holder, door, at, self.calendar)
        if found is None:
            self._answers.give(Shown(way, door), refusal or Refusal.UNKNOWN)
            return
        is_counted = found.uses_left is not None
        if refusal is None and is_counted:
            refusal = await self._count(lambda: store.use(found.id, at), Refusal.USED_UP)
        is_released = self._answers.give(self._shown(way, door, found), refusal)
        if is_released:
            self._used.add(found.id)
        if is_released and not is_counted:
            self._writing.submit(_write_down, lambda: store.use(found.id, at))
        if refusal is None and is_counted and not is_released:
            self._writing.submit(_write_down, lambda: store.give_back(found.id))

    def _shown(self, way: str, door: str, found: Credential) -> Shown:
        return Shown(
            way,
            door,
            found.id,
            found.subject,
            is_first=found.first_used_at is None and found.id not in self._used,
            is_duress=found.is_duress,
            preferences=self._ring.preferences(found.subject),
        )

    async def _count(self, spend: Callable[[], bool], none_left: Refusal) -> Refusal | None:
        """Count a use, on disk when it returns; what cannot be counted does not open."""
        loop = asyncio.get_running_loop()
        try:
            is_counted = await asyncio.wait_for(loop.run_in_executor(self._writing, spend), COUNT_S)
        except (BusyError, StateError, TimeoutError) as error:
            log.error("a use could not be counted, and so did not open: %s", error or "the disk does not answer")
            return Refusal.UNDECIDED
        return None if is_counted else none_left


def _write_down(write: Callable[[], object]) -> None:
    """In a thread of its own, after the door: who waits behind this person does not wait for the disk."""
    try:
        write()
    except (BusyError, StateError) as error:
        log.error("the use of a card, a PIN or a pass could not be written down: %s", error)
