"""Decide about cards, PINs, visitor passes and remote commands. They need no camera, model or network.

Plain cards and PINs are decided from memory, so that a full or broken disk does not block them. Only a counted use must
be on disk before the door opens. Otherwise the same use could open twice.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from gated.access.grants import OURS, Answers, Release, Shown, WayOutcome, digest
from gated.access.guess_budget import Guessing
from gated.access.passes import PassKey, PassLedger, VisitorPass, read_pass
from gated.access.permissions import Refusal, judge, judge_holder
from gated.access.reader_rests import Attempts
from gated.access.schedules import Calendar
from gated.config import ReaderSettings
from gated.errors import BusyError, StateError
from gated.events import MAIN, Event, WeakPin
from gated.people.credential import Credential
from gated.people.keyring import KeyRing
from gated.people.preferences import Preferences
from gated.pin.rule import is_obvious
from gated.types import SubjectId

log = logging.getLogger(__name__)

MOST_TWINS = 100
PATIENCE_S = 2.0
"""The longest pause of a reader that a person waits through, in seconds. After a longer one the card must be shown
again.
"""
COUNT_S = 2.0
"""The longest wait for the disk to count a use, in seconds. After that the use may be lost, but the queue moves on."""


@dataclass(frozen=True, slots=True)
class Passes:
    """The requirements for reading a visitor pass: the public site key, this site and gate, and the ledger of uses."""

    key: PassKey
    site: str
    gate: str
    ledger: PassLedger


class Ways:
    """Decides in the event loop's thread. argon2 and the disk have one thread each."""

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
        gate: str = "",
        guessing: Guessing | None = None,
    ) -> None:
        """`release_s` gives the release time of every door, in seconds. `gate` is the id of this gate. `guessing` is
        the PIN budget from before a restart; by default a new budget in memory.

        `wall` returns the aware time of day, or None while it is not trusted.
        """
        attempts = Attempts(settings.attempts, settings.attempts_s, settings.rest_s)
        self.guessing = guessing or Guessing(settings)
        self._answers = Answers(attempts, release_s, release, report, on_outcome, guessing=self.guessing)
        self._settings, self._report = settings, report
        self._ring, self.calendar, self._doors = ring, calendar, frozenset(release_s)
        self._wall, self.passes, self._gate = wall, passes, gate
        self._has_passes = bool(settings.pass_key)
        self.revoked = frozenset[str]()
        """The ids of people whom the gate denies, whatever the database says about them."""
        self._typing = asyncio.Lock()
        self._hashing, self._writing = (ThreadPoolExecutor(1, name) for name in ("pins", "uses"))
        self._used: set[str] = set()
        self._twins: set[tuple[str, ...]] = set()
        self._told_weak: set[tuple[SubjectId, bytes]] = set()
        self.is_locked_down = False
        self.on_shown: Callable[[Credential], None] = lambda _: None
        """Called with each card or PIN that opened the main door."""

    def close(self) -> None:
        """Write the uses that are not on disk yet, and close the file of the PIN budget."""
        self._hashing.shutdown()
        self._writing.shutdown()
        self.guessing.close()

    def keep(self) -> None:
        """Store the clock of the PIN budget if it is due. Does not wait."""
        if self.guessing.is_due:
            self._writing.submit(self.guessing.keep)

    def attacked(self, names: Sequence[str]) -> None:
        """Store an attack on a face (see `Guessing.attack`). Does not wait for the disk."""
        self.guessing.attack(names)
        self._write()

    def _write(self) -> None:
        for guess in self.guessing.unwritten():
            self._writing.submit(self.guessing.write, guess)

    async def card(self, number: str, door: str = MAIN, reader: str = "", flat: str = "") -> bool:
        """Handle a card. `number` is the number as the reader sends it. `flat` is the flat number that was typed before
        it.

        A known card opens even while unknown cards rest at the reader (see `attempts`). While 24-bit cards rest there
        (see `guesses`), a card that is identified by 24 bits only must follow its holder's flat number.

        Return True if the card must be examined again when it is still there: no decision was made, or the gate's own
        trouble caused it. This includes a long pause of the reader (see `guesses`). Then people are told to show the
        card again, and the door does not open later as a surprise.
        """
        shown = Shown("card", door, reader=reader, what=number)
        pause_s = self.guessing.card_wait_s(shown.here)
        if pause_s > PATIENCE_S:
            self._answers.rests("card", door)
            return True
        if not await self._answers.my_turn("card", shown.here, pause_s):
            return True
        try:
            return await self._look(shown, self._ring.cards(number), flat)
        finally:
            self._write()

    async def _look(self, shown: Shown, found: Sequence[Credential], flat: str = "") -> bool:
        """Decide about a card that is examined now. Return as `card` does."""
        rests = self.guessing.short_rests(shown.here) and not self._is_told_well(shown.what, found, flat)
        if rests or (not found and not self._answers.may_try("card", shown.door, shown.reader)):
            self._answers.unknown(shown)
            return False
        if len({each.subject or each.id for each in found}) > 1:
            self._tell_twins(found, shown.here)
            self._answers.give(shown, self._closed(shown.door) or Refusal.AMBIGUOUS)
            return False
        return await self._settle(shown, self._best(found, shown.door))

    def _is_told_well(self, number: str, found: Sequence[Credential], flat: str) -> bool:
        """Return whether one of these cards is identified by more than 24 bits, or follows its holder's flat number."""
        return any(
            self._ring.is_told_well(number, each) or (flat and self._ring.lives_in(each.subject, flat))
            for each in found
        )

    async def pin(self, digits: str, door: str = MAIN, reader: str = "", flat: str | None = None) -> None:
        """Handle a PIN, typed alone or after a flat number. PINs are handled one at a time.

        The guess is counted, and its write is started, before the PIN is checked. A refusal waits for the write, for
        `COUNT_S` at most.
        """
        async with self._typing:
            households = None if flat is None else self._ring.households(flat)
            guess = self.guessing.begin(door, households, digest(f"{flat}#{digits}"))
            if guess is None:
                self._answers.rests("pin", door)
                return
            loop = asyncio.get_running_loop()
            written = loop.run_in_executor(self._writing, self.guessing.write, guess)
            found = await loop.run_in_executor(self._hashing, self._ring.pin, digits, households)
            weak = self._weak(digits, found)
            if found is None or weak or self._judge(found, door, self._wall()) is not None:
                await self._written(written)
            await self._settle(Shown("pin", door, reader=reader, what=digits, guess=guess), found, weak)
            if found is not None and found.subject is not None:
                self._tell_weak(digits, found.subject, found.digest)

    def _weak(self, digits: str, found: Credential | None) -> Refusal | None:
        """Return why this PIN opens nothing, or None. It is an obvious pattern, or it is weak and its grace period is
        over.
        """
        until, at = self._settings.weak_pins_until, self._wall()
        if is_obvious(digits):
            return Refusal.WEAK
        if not until or found is None or not self._ring.is_weak(digits, found.subject, self._settings.pin_digits):
            return None
        if at is None:
            return Refusal.CLOCK
        return Refusal.WEAK if at.astimezone(self.calendar.timezone).date().isoformat() >= until else None

    def _tell_weak(self, digits: str, subject: SubjectId, digest_: bytes) -> None:
        """Report once that a person has a weak PIN, and store it. A PIN is readable only while it is typed.

        A duress PIN gives the same report, so the report does not reveal which PIN is weak.
        """
        ring = self._ring
        if ring.is_told_weak(subject) or (subject, digest_) in self._told_weak:
            return
        if not ring.is_weak(digits, subject, self._settings.pin_digits):
            return
        self._told_weak.add((subject, digest_))
        self._report(WeakPin(subject))
        self._writing.submit(_write_down, lambda: ring.store.mark_weak(subject, datetime.now(UTC)))

    def is_flat(self, digits: str) -> bool:
        """Return whether this is the number of a flat. Reads memory only."""
        return bool(self._ring.households(digits))

    def flat(self, door: str = MAIN) -> None:
        """Tell people that the flat number was accepted and the PIN must follow."""
        self._answers.go_on("pin", door)

    async def visitor_pass(self, text: str, door: str = MAIN) -> None:
        """Handle a code that may be a visitor pass.

        A valid pass opens even while passes rest, because nobody can guess a signature. So a person who shows invalid
        passes cannot lock out visitors.
        """
        at, passes = self._wall(), self.passes
        read = self._read(text, door, at)
        if isinstance(read, Refusal) or passes is None or at is None:
            if self._answers.may_try("pass", door):
                shown = Shown("pass", door, what=text)
                self._answers.give(shown, read if isinstance(read, Refusal) else Refusal.UNDECIDED)
            else:
                self._answers.rests("pass", door)
            return
        refusal = await self._count(lambda: passes.ledger.spend(read, at), Refusal.REPLAYED)
        is_released = self._answers.give(Shown("pass", door, read.credential), refusal)
        if refusal is None and not is_released:
            self._writing.submit(_write_down, lambda: passes.ledger.give_back(read))

    def remote(self, command: str, door: str = MAIN) -> Refusal | None:
        """Open the door for the remote command with this id. Return the refusal, or None.

        A refusal gives no cue at the gate, because nobody tried to enter there.
        """
        if refusal := self._closed(door):
            return refusal
        return None if self._answers.give(Shown("remote", door, command), None) else Refusal.UNDECIDED

    def may_pass_by_face(self, subject: SubjectId, door: str, at: datetime | None) -> Refusal | None:
        """Return why a recognised person may not pass now, or None. Reads memory only. `at` is a time from `wall`."""
        holder = self._ring.holder(subject)
        if refusal := self._closed(door) or self._taken_back(subject):
            return refusal
        return Refusal.UNKNOWN if holder is None else judge_holder(holder, door, at, self.calendar, gate=self._gate)

    def preferences(self, subject: SubjectId) -> Preferences:
        """Return the preferences of a person. Reads memory only."""
        return self._ring.preferences(subject)

    def _closed(self, door: str) -> Refusal | None:
        """Return why nobody may pass this door, or None."""
        if self.is_locked_down:
            return Refusal.LOCKDOWN
        return None if door in self._doors else Refusal.DOOR

    def _taken_back(self, subject: SubjectId | None) -> Refusal | None:
        """Return why a revoked person may not pass, or None. The database may still list such a person as active."""
        return Refusal.SUSPENDED if subject in self.revoked else None

    def _read(self, text: str, door: str, at: datetime | None) -> VisitorPass | Refusal:
        if refusal := self._closed(door):
            return refusal
        if self.passes is None:
            return Refusal.UNDECIDED if self._has_passes else Refusal.UNKNOWN
        return read_pass(text, self.passes.key, self.passes.site, self.passes.gate, door, at=at)

    def _judge(self, found: Credential | None, door: str, at: datetime | None) -> Refusal | None:
        holder = self._ring.holder(found.subject) if found is not None and found.subject is not None else None
        gone = self._taken_back(found.subject) if found is not None else None
        return self._closed(door) or gone or judge(found, holder, door, at, self.calendar, gate=self._gate)

    def _best(self, found: Sequence[Credential], door: str) -> Credential | None:
        """Return the card that opens this door, else any of them. The cards belong to one person, and the reader cannot
        distinguish them. Return None if `found` is empty.
        """
        at = self._wall()
        return min(found, key=lambda each: self._judge(each, door, at) is not None, default=None)

    def _tell_twins(self, found: Sequence[Credential], reader: str) -> None:
        """Log once for the installer that this reader cannot distinguish the cards of two people."""
        ids = tuple(each.id for each in found)
        if ids not in self._twins and len(self._twins) < MOST_TWINS:
            self._twins.add(ids)
            log.warning(
                "reader %s cannot tell cards %s apart, and opens for none of them: take all but one of them away, "
                "and give other cards", reader, " and ".join(ids)
            )  # fmt: skip

    async def _written(self, written: asyncio.Future[None]) -> None:
        """Wait until a guess is on disk, for `COUNT_S` at most."""
        try:
            await asyncio.wait_for(written, COUNT_S)
        except TimeoutError:
            log.error("a wrong PIN could not be written down in time, and counts in memory alone")

    async def _settle(self, shown: Shown, found: Credential | None, weak: Refusal | None = None) -> bool:
        """Decide about a card or PIN, act on it, and store its use. A counted use is stored before the door opens.

        Return True if the gate's own trouble caused a refusal. `weak` is the reason why a weak PIN opens nothing.
        """
        at, ring, door = self._wall(), self._ring, shown.door
        refusal = self._judge(found, door, at) or (weak if found is not None else None)
        if found is None:
            self._answers.give(shown, refusal or Refusal.UNKNOWN)
            return refusal in OURS
        is_counted = found.uses_left is not None
        if refusal is None and is_counted:
            refusal = await self._count(lambda: ring.store.use(found.id, at), Refusal.USED_UP)
        is_released = self._answers.give(self._shown(shown, found), refusal)
        if is_released:
            self._used.add(found.id)
            if door == MAIN:  # the camera looks at the main door
                self.on_shown(found)
        if is_released and not is_counted:
            self._writing.submit(_write_down, lambda: ring.store.use(found.id, at))
        if refusal is None and is_counted and not is_released:
            self._writing.submit(_write_down, lambda: ring.store.give_back(found.id))
        return refusal in OURS or (refusal is None and not is_released)

    def _shown(self, shown: Shown, found: Credential) -> Shown:
        return Shown(
            shown.way,
            shown.door,
            found.id,
            found.subject,
            is_first=found.first_used_at is None and found.id not in self._used,
            is_duress=found.is_duress,
            preferences=self._ring.preferences(found.subject),
            reader=shown.reader,
            what=shown.what,
            guess=shown.guess,
        )

    async def _count(self, spend: Callable[[], bool], none_left: Refusal) -> Refusal | None:
        """Count a use. It is on disk when this returns None. A use that cannot be counted does not open."""
        loop = asyncio.get_running_loop()
        try:
            is_counted = await asyncio.wait_for(loop.run_in_executor(self._writing, spend), COUNT_S)
        except (BusyError, StateError, TimeoutError) as error:
            log.error("a use could not be counted, and so did not open: %s", error or "the disk does not answer")
            return Refusal.UNDECIDED
        return None if is_counted else none_left


def _write_down(write: Callable[[], object]) -> None:
    """Store a use in a separate thread after the door was released, so that the next person does not wait for
    the disk.
    """
    try:
        write()
    except (BusyError, StateError) as error:
        log.error("the use of a card, a PIN or a pass could not be written down: %s", error)
