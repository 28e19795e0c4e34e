"""Act on a decision about a card, PIN, pass or remote command: release the door, inform people, write the journal. Used
by `credential_service`. The module also counts failed attempts.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, Protocol

from msgspec import Struct

from gated.access.access_rules import Refusal
from gated.access.guess_budget import GuessBudget
from gated.access.guess_counts import Guess
from gated.access.reader_rests import FailureCounts
from gated.errors import LatchError
from gated.events import (
    CardsGuessed,
    CredentialDenied,
    CredentialGranted,
    Duress,
    Event,
    PinsGuessed,
    ReleaseRefused,
    TooManyAttempts,
)
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.types import CredentialKind, SubjectId

log = logging.getLogger(__name__)


class RequestRelease(Protocol):
    """A function that requests a release from the latch, such as `door.latch_client.LatchClient.release`."""

    def __call__(self, visit: str, lease_s: float, decided_at: float, door: str, *, holder: str) -> None:
        """Ask for a release. Raises `LatchError`.

        `decided_at` is in monotonic seconds. `holder` is an id of the granted person, the same for all credentials of
        that person.
        """


CAUSED_BY_GATE = frozenset({Refusal.CLOCK, Refusal.LOCKDOWN, Refusal.UNDECIDED, Refusal.AMBIGUOUS})
"""Refusals that the gate itself causes. They do not count as failed attempts, because the person did nothing wrong."""
DIGEST_KEY = secrets.token_bytes(32)
"""A random key of this process. It keys the digests of shown credentials, so that a digest reveals nothing."""


class CredentialOutcome(Struct, frozen=True):
    """The result that people at the gate are told. It is equal for everybody, except for the order of the cues."""

    result: Literal["granted", "refused", "resting", "go_on", "second", "second_face"]
    """"go_on": a flat number was typed, and the PIN must follow. "second": a card or PIN must follow the face.
    "second_face": the face or another credential kind must follow a card or PIN.
    """
    kind: CredentialKind
    door: str
    preferences: Preferences = NO_PREFERENCES


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """One presented credential, its door, and its owner if known."""

    kind: CredentialKind
    door: str
    credential: str | None = None
    subject: SubjectId | None = None
    is_first: bool = False
    is_duress: bool = False
    preferences: Preferences = NO_PREFERENCES
    reader: str = ""
    """The reader at which the credential was presented. A door can have several readers. Failures are counted for each
    reader.
    """
    text: str = field(default="", repr=False)
    """The number or text that was presented. Presenting the same one again is not a second failure."""
    guess: Guess | None = field(default=None, repr=False)
    """For a PIN: its guess in the budget. It is removed from the budget if the PIN opens the door."""
    also: CredentialKind | None = None
    """The kind of the credential that the person showed first, if one kind is not enough."""

    @property
    def place(self) -> str:
        """Return the reader, or the door if the reader is not known."""
        return self.reader or self.door


class Responder:
    """Acts on decisions in the event loop's thread."""

    def __init__(
        self,
        failures: FailureCounts,
        release_s: Mapping[str, float],
        release: RequestRelease,
        report: Callable[[Event], None],
        on_outcome: Callable[[CredentialOutcome], None],
        *,
        budget: GuessBudget | None = None,
    ) -> None:
        """`release_s` is the default release time of each door, in seconds. `budget` limits PINs. No other limit
        applies to PINs.
        """
        self._failures, self._release_s, self._release = failures, release_s, release
        self._report, self._on_outcome, self._budget = report, on_outcome, budget
        self._newest: dict[tuple[CredentialKind, str], object] = {}

    async def wait_for_turn(self, kind: CredentialKind, reader: str, pause_s: float = 0.0) -> bool:
        """Wait until a resting reader may check a credential again. Return False if a newer one came meanwhile.

        `pause_s` is an additional minimum wait, in seconds.
        """
        now = time.monotonic()
        self._newest[kind, reader] = token = object()
        if wait_s := max(pause_s, self._failures.wait_s(kind, reader, now)):
            await asyncio.sleep(wait_s)
        if self._newest.get((kind, reader)) is not token:
            return False
        self._failures.record_check(kind, reader, time.monotonic())
        return True

    def may_try(self, kind: CredentialKind, door: str, reader: str = "") -> bool:
        """Return whether credentials of this kind may be tried at this reader: they do not rest there."""
        return self._failures.may_try(kind, reader or door, time.monotonic())

    def report_rest(self, kind: CredentialKind, door: str) -> None:
        """Tell people that this credential kind is resting. Writes nothing to the journal."""
        self._on_outcome(CredentialOutcome("resting", kind, door))

    def reject_resting_card(self, presented: PresentedCredential) -> None:
        """Count an unknown card at a reader where cards rest, and show that cards rest."""
        self._count_card(presented)
        self.report_rest(presented.kind, presented.door)

    def request_pin(self, door: str) -> None:
        """Show that the flat number was accepted and the PIN must follow."""
        self._on_outcome(CredentialOutcome("go_on", CredentialKind.PIN, door))

    def request_second(self, presented: PresentedCredential) -> None:
        """Show that another credential kind must follow. Report a duress PIN at once."""
        self._on_outcome(CredentialOutcome("second_face", presented.kind, presented.door, presented.preferences))
        if presented.is_duress and presented.subject is not None:
            self._report(Duress(presented.subject, secrets.token_hex(6), presented.door))

    def remove_correct(self, guess: Guess | None) -> None:
        """Remove the guess of a PIN from the budget, because the PIN helped to open the door."""
        if guess is not None and self._budget is not None:
            self._budget.remove_correct(guess)

    def act(self, presented: PresentedCredential, refusal: Refusal | None) -> bool:
        """Act on the decision. Return True if the latch was asked to release the door and did not refuse.

        The people at the gate get no sign of a duress credential, whether the answer is a grant or a refusal.
        """
        visit = secrets.token_hex(6)
        is_released = self._refuse(presented, refusal) if refusal is not None else self._grant(presented, visit)
        if presented.is_duress and presented.subject is not None:
            self._report(Duress(presented.subject, visit, presented.door))
        return is_released

    def _grant(self, presented: PresentedCredential, visit: str) -> bool:
        """Ask for the release first, then inform people and write the journal, because only the release is urgent."""
        trouble = self._request_release(presented, visit)
        if trouble is None:
            self.remove_correct(presented.guess)
        result: Literal["granted", "refused"] = "granted" if trouble is None else "refused"
        self._on_outcome(CredentialOutcome(result, presented.kind, presented.door, presented.preferences))
        if presented.credential is not None:
            self._report(
                CredentialGranted(
                    presented.kind, visit, presented.credential, presented.subject, presented.door,
                    is_first=presented.is_first, also=presented.also,
                )
            )  # fmt: skip
        if trouble is not None:
            self._report(trouble)
        return trouble is None

    def _request_release(self, presented: PresentedCredential, visit: str) -> ReleaseRefused | None:
        lease_s = presented.preferences.release_s or self._release_s[presented.door]
        try:
            holder = presented.subject or presented.credential or ""
            self._release(visit, lease_s, time.monotonic(), presented.door, holder=holder)
        except LatchError as error:
            log.error("%s", error)
            return ReleaseRefused(visit, str(error), presented.door)
        return None

    def _refuse(self, presented: PresentedCredential, refusal: Refusal) -> Literal[False]:
        kind, door = presented.kind, presented.door
        failures, guesses = self._count(presented, refusal)
        result: Literal["resting", "refused"] = "resting" if failures else "refused"
        self._on_outcome(CredentialOutcome(result, kind, door, presented.preferences))
        self._report(CredentialDenied(kind, refusal, presented.subject, presented.credential, door))
        if failures:
            self._report(TooManyAttempts(kind, failures, door))
        if guesses:
            self._report(PinsGuessed(guesses, door))
        return False

    def _count(self, presented: PresentedCredential, refusal: Refusal) -> tuple[int, int]:
        """Count a refusal. Return two numbers: the failures if a rest began, and the wrong PINs if a cap was reached.

        Each number is 0 otherwise.
        """
        match presented.kind.limit:
            case "numbers":
                if refusal not in CAUSED_BY_GATE:
                    self._count_card(presented)
                return self._count_failure(presented, refusal), 0
            case "guesses":
                return self._count_pin(presented, refusal)
            case "failures":
                return self._count_failure(presented, refusal), 0
            case "none":
                return 0, 0

    def _count_pin(self, presented: PresentedCredential, refusal: Refusal) -> tuple[int, int]:
        """Count a refused PIN.

        A correct PIN that may not open now counts as a wrong PIN: a stranger must not see the difference. In a
        lockdown a PIN is not counted, because every answer is the same.
        """
        if presented.guess is None or self._budget is None:
            return self._count_failure(presented, refusal), 0
        if refusal is Refusal.LOCKDOWN:
            self._budget.remove_correct(presented.guess)
            return 0, 0
        return self._budget.count_wrong(presented.guess)

    def _count_failure(self, presented: PresentedCredential, refusal: Refusal) -> int:
        """Count a refusal that the gate did not cause. Return the limit if it was reached, else 0."""
        is_reached = refusal not in CAUSED_BY_GATE and self._failures.record_failure(
            presented.kind, presented.place, time.monotonic(), presented_digest(presented.text)
        )
        return self._failures.limit if is_reached else 0

    def _count_card(self, presented: PresentedCredential) -> None:
        if self._budget is not None and (
            cards := self._budget.count_card(presented.place, presented_digest(presented.text))
        ):
            self._report(CardsGuessed(cards, presented.door))


def presented_digest(text: str) -> bytes:
    """Return a keyed BLAKE2b digest of 8 bytes for a presented number or text. Empty input gives empty bytes.

    The digest is valid in this process only.
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), key=DIGEST_KEY, digest_size=8).digest() if text else b""
