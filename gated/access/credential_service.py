"""Decide about cards, PINs, visitor passes and remote commands. They need no camera, model or network.

It decides about plain cards and PINs from memory. So a full or broken disk does not block them. Only a counted use must
be on disk before the door opens. Otherwise the same use could open twice.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from gated.access.access_rules import Refusal
from gated.access.guess_budget import GuessBudget
from gated.access.permissions import Permissions
from gated.access.reader_rests import FailureCounts
from gated.access.responder import (
    CAUSED_BY_GATE,
    CredentialOutcome,
    PresentedCredential,
    RequestRelease,
    Responder,
    presented_digest,
)
from gated.access.second_credential import SecondCredentials, kind_of
from gated.access.second_requests import SecondRequests
from gated.access.use_writer import UseWriter
from gated.access.weak_pins import WeakPins
from gated.config import ReaderSettings
from gated.events import MAIN, Event
from gated.people.credential import Credential
from gated.people.keyring import KeyRing
from gated.types import CredentialKind

if TYPE_CHECKING:  # loaded by the entrance if the gate accepts visitor passes
    from gated.access.pass_ledger import PassCheck
    from gated.access.passes import VisitorPass

log = logging.getLogger(__name__)

MOST_AMBIGUOUS = 100
"""The number of ambiguous sets of cards that are logged."""
LONGEST_CARD_PAUSE_S = 2.0
"""The longest pause of a reader that a person waits through, in seconds. After a longer one the card must be shown
again.
"""


class CredentialService:
    """Decides in the event loop's thread. argon2 and the disk have one thread each."""

    def __init__(
        self,
        settings: ReaderSettings,
        ring: KeyRing,
        permissions: Permissions,
        release_s: Mapping[str, float],
        *,
        release: RequestRelease,
        report: Callable[[Event], None],
        on_outcome: Callable[[CredentialOutcome], None],
        wall: Callable[[], datetime | None],
        passes: "PassCheck | None" = None,
        budget: GuessBudget | None = None,
        second: SecondCredentials | None = None,
    ) -> None:
        """`release_s` gives the release time of every door, in seconds. `budget` is the budget for wrong PINs and
        unknown cards from before a restart; by default a new budget in memory.

        `wall` returns the aware time of day, or None while it is not trusted. `second` holds the credentials that wait
        for a second one; by default nothing waits.
        """
        failures = FailureCounts(settings.attempts, settings.attempts_s, settings.rest_s)
        self.budget = budget or GuessBudget(settings)
        self._responder = Responder(failures, release_s, release, report, on_outcome, budget=self.budget)
        self._ring, self._permissions, self._wall, self.passes = ring, permissions, wall, passes
        self._has_passes = bool(settings.pass_key)
        self._typing = asyncio.Lock()
        self._hashing, self._writer = ThreadPoolExecutor(1, "pins"), UseWriter()
        self._weak_pins = WeakPins(settings, ring, report, self._writer)
        self._used: set[str] = set()
        windows = second or SecondCredentials(0.0)
        self._second = SecondRequests(
            windows, self._responder, ring, self._writer, permissions, wall=wall, note_use=self._used.add
        )
        self._ambiguous: set[tuple[str, ...]] = set()
        self.on_opened: Callable[[Credential], None] = lambda _: None
        """Called with each card or PIN that opened the main door, unless a duress PIN came first."""

    def close(self) -> None:
        """Write the uses that are not on disk yet, and close the file of the budget."""
        self._hashing.shutdown()
        self._writer.close()
        self.budget.close()

    def store_clock(self) -> None:
        """Store the clock of the budget if it is due. Does not wait."""
        if self.budget.is_due:
            self._writer.submit(self.budget.store_clock)

    def record_attack(self, places: Sequence[str]) -> None:
        """Store an attack on a face (see `GuessBudget.record_attack`). Does not wait for the disk."""
        self.budget.record_attack(places)
        self._write_guesses()

    def _write_guesses(self) -> None:
        for guess in self.budget.pop_unwritten():
            self._writer.submit(partial(self.budget.write, guess))

    async def handle_card(self, number: str, door: str = MAIN, reader: str = "", flat: str = "") -> bool:
        """Handle a card. `number` is the number as the reader sends it. `flat` is the flat number that was typed before
        it.

        A known card opens even while unknown cards rest at the reader (see `reader_rests`). While 24-bit cards rest
        there (see `guess_counts`), people must type the flat number before such a card.

        Return True if the reader must examine a card that stays there again. This happens without a decision, or if a
        fault of the gate caused the refusal. This includes a long pause of the reader (see `guess_counts`). Then the
        gate asks people to show the card again. The door does not open later by surprise.
        """
        presented = PresentedCredential(CredentialKind.CARD, door, reader=reader, text=number)
        pause_s = self.budget.card_pause_s(presented.place)
        if pause_s > LONGEST_CARD_PAUSE_S:
            self._responder.report_rest(CredentialKind.CARD, door)
            return True
        if not await self._responder.wait_for_turn(CredentialKind.CARD, presented.place, pause_s):
            return True
        try:
            return await self._decide_card(presented, self._ring.cards(number), flat)
        finally:
            self._write_guesses()

    async def _decide_card(self, presented: PresentedCredential, found: Sequence[Credential], flat: str = "") -> bool:
        """Decide about a card that is examined now. Return as `handle_card` does."""
        rests = self.budget.are_short_cards_resting(presented.place) and not self._is_identified(
            presented.text, found, flat
        )
        if rests or (not found and not self._responder.may_try(CredentialKind.CARD, presented.door, presented.reader)):
            self._responder.reject_resting_card(presented)
            return False
        if len({each.subject or each.id for each in found}) > 1:
            self._log_ambiguous(found, presented.place)
            self._responder.act(presented, self._permissions.judge_door(presented.door) or Refusal.AMBIGUOUS)
            return False
        return await self._decide(presented, self._best(found, presented.door))

    def _is_identified(self, number: str, found: Sequence[Credential], flat: str) -> bool:
        """Return whether one of these cards is identified by more than 24 bits, or follows its holder's flat number."""
        return any(
            self._ring.identifies_precisely(number, each) or (flat and self._ring.lives_in(each.subject, flat))
            for each in found
        )

    async def handle_pin(self, digits: str, door: str = MAIN, reader: str = "", flat: str | None = None) -> None:
        """Handle a PIN, typed alone or after a flat number. PINs are handled one at a time.

        The guess is counted, and its write is started, before the PIN is checked. A refusal waits for the write, for
        `use_writer.COUNT_S` at most.
        """
        async with self._typing:
            households = None if flat is None else self._ring.households(flat)
            waiting = self._second.recognised_homes(door)
            if flat and not digits and waiting:  # the face names the household, so the PIN needs no flat number
                digits, households = flat, waiting
            guess = self.budget.begin(door, households, presented_digest(f"{flat}#{digits}"), waiting)
            if guess is None:
                self._responder.report_rest(CredentialKind.PIN, door)
                return
            written = self._writer.start_guess(partial(self.budget.write, guess))
            search = partial(self._ring.pin, digits, households)
            found = await asyncio.get_running_loop().run_in_executor(self._hashing, search)
            weak = self._weak_pins.judge(digits, found, self._wall(), self._permissions.calendar)
            if found is None or weak or self._judge(found, door) is not None:
                await self._writer.finish_guess(written)
            presented = PresentedCredential(CredentialKind.PIN, door, reader=reader, text=digits, guess=guess)
            await self._decide(presented, found, weak)
            self._weak_pins.report_if_weak(digits, found)

    def is_flat(self, digits: str) -> bool:
        """Return whether this is the number of a flat. Reads memory only."""
        return bool(self._ring.households(digits))

    def accept_flat(self, door: str = MAIN) -> None:
        """Show that the flat number was accepted and the PIN must follow."""
        self._responder.request_pin(door)

    async def handle_pass(self, text: str, door: str = MAIN) -> None:
        """Handle a code that may be a visitor pass.

        A valid pass opens the door even while passes rest, because nobody can guess a signature. So a person who shows
        invalid passes cannot lock out visitors.
        """
        at, passes = self._wall(), self.passes
        read = self._read_pass(text, door, at)
        if isinstance(read, Refusal) or passes is None or at is None:
            if self._responder.may_try(CredentialKind.PASS, door):
                presented = PresentedCredential(CredentialKind.PASS, door, text=text)
                self._responder.act(presented, read if isinstance(read, Refusal) else Refusal.UNDECIDED)
            else:
                self._responder.report_rest(CredentialKind.PASS, door)
            return
        refusal = await self._writer.count(lambda: passes.ledger.spend(read, at), Refusal.REPLAYED)
        is_spent, refusal = refusal is None, refusal or self._permissions.judge_door(door)
        is_released = self._responder.act(PresentedCredential(CredentialKind.PASS, door, read.credential), refusal)
        if is_spent and not is_released:
            self._writer.record(lambda: passes.ledger.give_back(read))

    def handle_remote(self, command: str, door: str = MAIN) -> Refusal | None:
        """Open the door for the remote command with this id. Return the refusal, or None.

        A refusal gives no cue at the gate, because nobody tried to enter there.
        """
        if refusal := self._permissions.judge_door(door):
            return refusal
        presented = PresentedCredential(CredentialKind.REMOTE, door, command)
        return None if self._responder.act(presented, None) else Refusal.UNDECIDED

    def _read_pass(self, text: str, door: str, at: datetime | None) -> "VisitorPass | Refusal":
        if refusal := self._permissions.judge_door(door):
            return refusal
        if self.passes is None:
            return Refusal.UNDECIDED if self._has_passes else Refusal.UNKNOWN
        return self.passes.read(text, door, at)

    def _best(self, found: Sequence[Credential], door: str) -> Credential | None:
        """Return the card that opens this door, else any of them. The cards belong to one person, and the reader cannot
        distinguish them. Return None if `found` is empty.
        """
        rank = {None: 0, Refusal.SECOND_MISSING: 1}
        return min(found, key=lambda each: rank.get(self._judge(each, door), len(rank)), default=None)

    def _judge(self, found: Credential | None, door: str) -> Refusal | None:
        """Return why this credential opens nothing now, with what the person has just shown, or None."""
        kinds = kind_of(self._second.first(found, door))
        return self._permissions.judge_credential(found, door, self._wall(), kinds)

    def _log_ambiguous(self, found: Sequence[Credential], reader: str) -> None:
        """Log once for the installer that this reader cannot distinguish the cards of two people."""
        ids = tuple(each.id for each in found)
        if ids not in self._ambiguous and len(self._ambiguous) < MOST_AMBIGUOUS:
            self._ambiguous.add(ids)
            log.warning(
                "reader %s cannot distinguish the cards %s, so none of them opens the door; keep one of them, "
                    "and replace the others", reader, " and ".join(ids)
            )  # fmt: skip

    async def _decide(
        self, presented: PresentedCredential, found: Credential | None, weak: Refusal | None = None
    ) -> bool:
        """Decide about a card or PIN, act on it, and store its use. A counted use is stored before the door opens.

        A card with counted uses is never the first of two: its use would be lost if the second one does not come. The
        disk may need seconds to count a use, so the card is judged again afterwards.

        Return True if the gate's own trouble caused a refusal. `weak` is the reason why a weak PIN opens nothing.
        """
        at, ring, door = self._wall(), self._ring, presented.door
        refusal, first = self._judge(found, door), self._second.first(found, door)
        if found is None:
            self._responder.act(presented, refusal or Refusal.UNKNOWN)
            return refusal in CAUSED_BY_GATE
        refusal = weak if refusal in (None, Refusal.SECOND_MISSING) and weak else refusal
        is_counted = found.uses_left is not None
        if refusal is Refusal.SECOND_MISSING and not is_counted:
            self._second.request(self._identified(presented, found), found)
            return False
        is_spent = False
        if refusal is None and is_counted:
            refusal = await self._writer.count(lambda: ring.store.use(found.id, at), Refusal.USED_UP)
            is_spent = refusal is None
            refusal, first = refusal or self._judge(found, door), self._second.first(found, door)
        also = None if first is None else first.kind
        is_released = self._responder.act(replace(self._identified(presented, found), also=also), refusal)
        if is_released:
            self._second.complete(first)
            self._used.add(found.id)
            is_forced = first is not None and first.is_duress
            if door == MAIN and not is_forced:  # the camera looks at the main door
                self.on_opened(found)
        if is_released and not is_counted:
            self._writer.record(lambda: ring.store.use(found.id, at))
        if is_spent and not is_released:
            self._writer.record(lambda: ring.store.give_back(found.id))
        return refusal in CAUSED_BY_GATE or (refusal is None and not is_released)

    def _identified(self, presented: PresentedCredential, found: Credential) -> PresentedCredential:
        return replace(
            presented,
            credential=found.id,
            subject=found.subject,
            is_first=found.first_used_at is None and found.id not in self._used,
            is_duress=found.is_duress,
            preferences=self._permissions.preferences(found.subject),
        )
