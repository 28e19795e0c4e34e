"""Act on a decision about a card, PIN, pass or remote command: release the door, inform people, write the journal. Used
by `ways`. The module also counts failed attempts.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, Protocol

from gated.access.guess_budget import Guessing
from gated.access.guess_counts import Guess
from gated.access.permissions import Refusal
from gated.access.reader_rests import Attempts
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
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.types import SubjectId

log = logging.getLogger(__name__)


class Release(Protocol):
    """A function that asks the latch for a release, such as `door.controller.DoorController.release`."""

    def __call__(self, visit: str, lease_s: float, decided_at: float, door: str, *, whom: str) -> None:
        """Ask for a release. Raises `LatchError`.

        `decided_at` is in monotonic seconds. `whom` is an id of the person who is let in, equal for all their
        credentials.
        """


OURS = frozenset({Refusal.CLOCK, Refusal.LOCKDOWN, Refusal.UNDECIDED, Refusal.AMBIGUOUS})
"""Refusals that the gate itself causes. They do not count as failed attempts, because the person did nothing wrong."""
KEY = secrets.token_bytes(32)
"""A random key of this process. It keys the digests of shown credentials, so that a digest reveals nothing."""


@dataclass(frozen=True, slots=True)
class WayOutcome:
    """The result that people at the gate are told. It is equal for everybody, except for the order of the cues."""

    result: Literal["granted", "refused", "resting", "go_on"]
    """"go_on" means that a flat number was typed, and that the PIN must follow."""
    way: str
    door: str
    preferences: Preferences = NO_PREFERENCES


@dataclass(frozen=True, slots=True)
class Shown:
    """One credential that was shown at a door, and its owner if known."""

    way: str
    door: str
    credential: str | None = None
    subject: SubjectId | None = None
    is_first: bool = False
    is_duress: bool = False
    preferences: Preferences = NO_PREFERENCES
    reader: str = ""
    """The reader at which the credential was shown. A door can have several readers. Failures are counted for each
    reader.
    """
    what: str = field(default="", repr=False)
    """The number or text that was shown. Showing the same one again is not a second failure."""
    guess: Guess | None = field(default=None, repr=False)
    """For a PIN: the guess that was counted in the budget. `Guessing.right` removes it if the PIN opens the door."""

    @property
    def here(self) -> str:
        """Return the reader, or the door if the reader is not known."""
        return self.reader or self.door


class Answers:
    """Acts on decisions in the event loop's thread. `release_s` is the default release time of each door, in
    seconds.
    """

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
        """`guessing` is the budget that limits PINs. No other limit applies to PINs."""
        self._attempts, self._release_s, self._release = attempts, release_s, release
        self._report, self._on_outcome, self._guessing = report, on_outcome, guessing
        self._newest: dict[tuple[str, str], object] = {}

    async def my_turn(self, way: str, reader: str, pause_s: float = 0.0) -> bool:
        """Wait until a resting reader may look at something again. Return False if something newer was shown meanwhile.

        `pause_s` is an additional minimum wait, in seconds.
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
        """Return whether credentials of this kind may be tried, because they are not resting at this reader."""
        return self._attempts.may_try(way, reader or door, time.monotonic())

    def rests(self, way: str, door: str) -> None:
        """Tell people that this kind of credential is resting. Writes nothing to the journal."""
        self._on_outcome(WayOutcome("resting", way, door))

    def unknown(self, shown: Shown) -> None:
        """Count an unknown card at a reader where cards rest, and tell people that cards are resting."""
        self._count_card(shown)
        self.rests(shown.way, shown.door)

    def go_on(self, way: str, door: str) -> None:
        """Tell people that the first part was accepted and that the second part must follow."""
        self._on_outcome(WayOutcome("go_on", way, door))

    def give(self, shown: Shown, refusal: Refusal | None) -> bool:
        """Act on the decision. Return True if the latch was asked to release the door and did not refuse.

        The people at the gate get no sign of a duress credential, whether the answer is a grant or a refusal.
        """
        visit = secrets.token_hex(6)
        is_released = self._refuse(shown, refusal) if refusal is not None else self._let_in(shown, visit)
        if shown.is_duress and shown.subject is not None:
            self._report(Duress(shown.subject, visit, shown.door))
        return is_released

    def _let_in(self, shown: Shown, visit: str) -> bool:
        """Ask for the release first, then inform people and write the journal, because only the release is urgent."""
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
        """Count a refusal. Return the number of failures if a rest began, and the number of wrong PINs if a cap was
        reached.

        Each number is 0 otherwise. A correct PIN that may not open now counts as a wrong PIN, so that a guesser cannot
        distinguish them. In a lockdown a PIN is not counted, because every answer is the same.
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
    """Return a keyed BLAKE2b digest of 8 bytes for a shown number or text. Empty input gives empty bytes.

    The digest is valid in this process only.
    """
    return blake2b(what.encode("utf-8", "surrogatepass"), key=KEY, digest_size=8).digest() if what else b""
