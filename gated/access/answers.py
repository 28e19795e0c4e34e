"""What the gate does about a card, a PIN or a pass that was decided: release, tell people and the journal, count."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, Protocol

from gated.access.attempts import Attempts
from gated.access.guesses import Guess
from gated.access.guessing import Guessing
from gated.access.rights import Refusal
from gated.errors import LatchError
from gated.events import (
    CardsGuessed,
    Duress,
    Event,
    PinsGuessed,
    ReleaseRefused,
    TooManyAttempts,
    WayDenied,
    WayGranted,
)
from gated.gallery.entitlement import AS_EVERYBODY, Preferences
from gated.types import SubjectId

log = logging.getLogger(__name__)


class Release(Protocol):
    """Asks the latch for a release, as `door.controller` does. Raises `LatchError`."""

    def __call__(self, visit: str, lease_s: float, decided_at: float, door: str, *, whom: str) -> None:
        """`decided_at`: in monotonic seconds. `whom`: an id of whoever is let in, the same for all that is theirs."""


OURS = frozenset({Refusal.CLOCK, Refusal.LOCKDOWN, Refusal.UNDECIDED, Refusal.AMBIGUOUS})
"""The gate's own reasons: whoever was refused for one of them did nothing wrong, and it is not counted."""
KEY = secrets.token_bytes(32)
"""Of this process alone, so that what was shown is remembered as a digest that tells nothing."""


@dataclass(frozen=True, slots=True)
class WayOutcome:
    """What people at the gate are told: the same for everybody, but for the cue that they want first."""

    result: Literal["granted", "refused", "resting", "go_on"]
    """go_on: a flat number was typed, and the PIN is to follow."""
    way: str
    door: str
    preferences: Preferences = AS_EVERYBODY


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown at which door, and whose it is, as far as that is known."""

    way: str
    door: str
    credential: str | None = None
    subject: SubjectId | None = None
    is_first: bool = False
    is_duress: bool = False
    preferences: Preferences = AS_EVERYBODY
    reader: str = ""
    """Which one, where a door has several; failures are counted by readers."""
    what: str = field(default="", repr=False)
    """What was shown, so that the same again is no second failure."""
    guess: Guess | None = field(default=None, repr=False)
    """Of a PIN: as what it counts, unless it lets somebody in."""

    @property
    def here(self) -> str:
        """Where it was shown."""
        return self.reader or self.door


class Answers:
    """Acts on decisions in the loop's thread. `release_s` is each door's own, where nobody prefers another."""

    def __init__(
        self,
        attempts: Attempts,
        release_s: Mapping[str, float],
        release: Release,
        report: Callable[[Event], None],
        on_outcome: Callable[[WayOutcome], None],
        *,
        guessing: Guessing | None = None,
    ) -> None:
        """`guessing`: the budget of PINs, which have no other."""
        self._attempts, self._release_s, self._release = attempts, release_s, release
        self._report, self._on_outcome, self._guessing = report, on_outcome, guessing
        self._newest: dict[tuple[str, str], object] = {}

    async def my_turn(self, way: str, reader: str, pause_s: float = 0.0) -> bool:
        """Wait until a reader that rests may look at something again; False when something newer was shown since.
        `pause_s`: so long it pauses beside that.
        """
        now = time.monotonic()
        self._newest[way, reader] = mine = object()
        if wait_s := max(pause_s, self._attempts.wait_s(way, reader, now)):
            await asyncio.sleep(wait_s)
        if self._newest.get((way, reader)) is not mine:
            return False
        self._attempts.looked(way, reader, time.monotonic())
        return True

    def may_try(self, way: str, door: str, reader: str = "") -> bool:
        """Whether this way does not rest."""
        return self._attempts.may_try(way, reader or door, time.monotonic())

    def rests(self, way: str, door: str) -> None:
        """Something was shown to a way that rests: people are told so, and the journal nothing more."""
        self._on_outcome(WayOutcome("resting", way, door))

    def unknown(self, shown: Shown) -> None:
        """A card was shown that is not known, to a reader where cards rest: it counts, and is told so."""
        self._count_card(shown)
        self.rests(shown.way, shown.door)

    def go_on(self, way: str, door: str) -> None:
        """The first half was shown, and the other is to follow."""
        self._on_outcome(WayOutcome("go_on", way, door))

    def give(self, shown: Shown, refusal: Refusal | None) -> bool:
        """Answer; True when the lock was asked to release. People hear nothing of a duress, in whichever answer."""
        visit = secrets.token_hex(6)
        is_released = self._refuse(shown, refusal) if refusal is not None else self._let_in(shown, visit)
        if shown.is_duress and shown.subject is not None:
            self._report(Duress(shown.subject, visit, shown.door))
        return is_released

    def _let_in(self, shown: Shown, visit: str) -> bool:
        """Release first, tell then: the person waits for the one and nobody for the other."""
        trouble = self._ask(shown, visit)
        if trouble is None and shown.guess is not None and self._guessing is not None:
            self._guessing.right(shown.guess)
        self._on_outcome(
            WayOutcome("granted" if trouble is None else "refused", shown.way, shown.door, shown.preferences)
        )
        if shown.credential is not None:
            self._report(
                WayGranted(shown.way, visit, shown.credential, shown.subject, shown.door, is_first=shown.is_first)
            )
        if trouble is not None:
            self._report(trouble)
        return trouble is None

    def _ask(self, shown: Shown, visit: str) -> ReleaseRefused | None:
        lease_s = shown.preferences.release_s or self._release_s[shown.door]
        try:
            whom = shown.subject or shown.credential or ""
            self._release(visit, lease_s, time.monotonic(), shown.door, whom=whom)
        except LatchError as error:
            log.error("%s", error)
            return ReleaseRefused(visit, str(error), shown.door)
        return None

    def _refuse(self, shown: Shown, refusal: Refusal) -> Literal[False]:
        failures, guesses = self._count(shown, refusal)
        self._on_outcome(WayOutcome("resting" if failures else "refused", shown.way, shown.door, shown.preferences))
        self._report(WayDenied(shown.way, refusal, shown.subject, shown.credential, shown.door))
        if failures:
            self._report(TooManyAttempts(shown.way, failures, shown.door))
        if guesses:
            self._report(PinsGuessed(guesses, shown.door))
        return False

    def _count(self, shown: Shown, refusal: Refusal) -> tuple[int, int]:
        """How many failures began a rest, and how many PINs in a day were all that are given; 0 where none did.

        A right PIN that may not open now counts as a wrong one, for who guesses must not learn which it was. In a
        lockdown nothing can be learnt.
        """
        if shown.way == "card" and refusal not in OURS:
            self._count_card(shown)
        if shown.guess is None or self._guessing is None:
            is_one_too_many = refusal not in OURS and self._attempts.failed(
                shown.way, shown.here, time.monotonic(), digest(shown.what)
            )
            return (self._attempts.limit if is_one_too_many else 0), 0
        if refusal is Refusal.LOCKDOWN:
            self._guessing.right(shown.guess)
            return 0, 0
        return self._guessing.wrong(shown.guess)

    def _count_card(self, shown: Shown) -> None:
        if self._guessing is not None and (cards := self._guessing.card(shown.here, digest(shown.what))):
            self._report(CardsGuessed(cards, shown.door))


def digest(what: str) -> bytes:
    """What stands for something that was shown, in this process alone; empty for nothing."""
    return blake2b(what.encode("utf-8", "surrogatepass"), key=KEY, digest_size=8).digest() if what else b""
