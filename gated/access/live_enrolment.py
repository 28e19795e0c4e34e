"""Live enrolment: take templates of a known and consenting person who stands before the gate.

The person need not blink, turn or look. The gate uses each good look at a single near face until it has enough. It
makes no access decision about this face during that time.

The gate announces "enrolling" first, so that a bystander can step aside. It uses no look while it must announce
something else. The first good look fixes the face: a different face under the same command ends the enrolment. It
stores nothing before the office confirms that its operator still waits.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from gated.access.enrolment_looks import LEAST_TEMPLATES, EnrolmentLooks, LookRequirements
from gated.embedding import Embedding
from gated.errors import EnrolmentError, WithdrawnError
from gated.events import ConsentHeld, Enrolling, Event, PersonEnrolled, RecordQuarantined
from gated.face.vision_messages import Observation, TrackEnded
from gated.gallery.enrolment import Enrolled, enrol_known, recognition_consent
from gated.gallery.gallery import Gallery
from gated.people.store import Consent
from gated.types import SubjectId

ANNOUNCE_S = 2.0
"""How long "enrolling" is announced before the first look counts, in seconds."""
PROGRESS_S = 0.2
"""The interval at which the operator gets progress, in seconds."""


class Operator(Protocol):
    """The office operator who ordered the enrolment and waits for it."""

    withdrawn: asyncio.Event
    """Set when the operator waits no longer."""

    def show_progress(self, text: str) -> None:
        """Show progress to the operator. The text never identifies the person."""

    async def confirm(self, text: str) -> float:
        """Ask whether the operator still waits. Return the monotonic time until which the answer is valid.

        Raises `WithdrawnError` if the operator waits no longer.
        """


class CountNewFace(Protocol):
    """A function that counts the first face of a person by a new model set against the limit for new people."""

    def __call__(self, subject: SubjectId, embedder_sha256: str, /) -> Awaitable[bool]:
        """Return whether the face may take effect at once. The count is on disk when the result is true."""


ConsentsGiven = Callable[[SubjectId, datetime], Sequence[Consent]]


class LiveEnrolment:
    """Enrols one person at a time, in the event loop's thread. Another thread writes the gallery."""

    def __init__(
        self,
        gallery: Gallery,
        report: Callable[[Event], None],
        is_announced: Callable[[], bool] = lambda: True,
        given: ConsentsGiven = lambda _, __: (),
    ) -> None:
        """`is_announced` returns whether the gate is announcing the enrolment now. `given` returns the consents that a
        `gated people consents give` command now records for this person.
        """
        self._gallery, self._report, self._is_announced, self._given = gallery, report, is_announced, given
        self._looks: EnrolmentLooks | None = None
        self._announced_since: float | None = None

    def observe(self, seen: Observation | TrackEnded, now: float) -> bool:
        """Take one message from vision. Return True for a face about which no decision may be made."""
        if self._looks is None:
            return False
        return self._looks.observe(seen, now, is_announced=self._is_announced_long_enough(now))

    def restart(self) -> None:
        """Discard the looks, because the vision process was lost."""
        if self._looks is not None:
            self._looks.restart()

    async def enrol(
        self,
        subject: SubjectId,
        within_s: float,
        requirements: LookRequirements,
        operator: Operator,
        counts: CountNewFace | None = None,
    ) -> Enrolled:
        """Give a known and consenting person templates of the face before the gate. Return the result.

        The new templates wait for acceptance if the person already has a different face. The first face by a new model
        set also waits, unless `counts` lets it take effect.

        Raises `EnrolmentError` with advice: without consent, without enough good looks in time, or for a face of
        another person. A different face that appears after the first also raises it. Raises `WithdrawnError` when the
        office cancels, and `SubjectNotFoundError` for an unknown person. Raises `BusyError` and `StateError` when
        nothing could be stored.
        """
        if self._looks is not None:
            raise EnrolmentError("this gate already enrols another person; wait for the end of that enrolment")
        looks = self._looks = EnrolmentLooks(requirements)
        self._announced_since, is_shown = None, False
        try:
            consent = recognition_consent(await asyncio.to_thread(self._gallery.person, subject))
            self._report(Enrolling())
            is_shown = True
            accepted = await self._collect(looks, within_s, operator)
            done = await self._store(subject, accepted, requirements, operator, counts)
        finally:
            self._looks = None
            if is_shown:
                self._report(Enrolling(is_over=True))
        if done.waits:
            self._report(RecordQuarantined(subject, done.waits))
        else:
            more, by = list(done.consents), self._gallery.embedder_sha256
            self._report(PersonEnrolled(subject, done.templates, consent.notice_version, by, more))
        if done.is_consent_held:
            self._report(ConsentHeld(subject))
        return done

    async def _collect(self, looks: EnrolmentLooks, within_s: float, operator: Operator) -> tuple[Embedding, ...]:
        """Collect looks until there are enough or the time is up."""
        operator.show_progress('the gate announces "enrolling" to the person before it')
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not looks.is_full:
                    _refuse_other_face(looks)
                    if operator.withdrawn.is_set():
                        break
                    if looks.accepted:
                        operator.show_progress(looks.progress)
                    await asyncio.sleep(PROGRESS_S)
        _refuse_other_face(looks)
        if operator.withdrawn.is_set():
            raise WithdrawnError("the office no longer waits; nothing was done")
        return _require_enough(looks, within_s)

    async def _store(
        self,
        subject: SubjectId,
        accepted: Sequence[Embedding],
        requirements: LookRequirements,
        operator: Operator,
        counts: CountNewFace | None,
    ) -> Enrolled:
        """Ask the operator to confirm, then store the templates while the confirmation is valid.

        A different face that appears meanwhile ends the enrolment.
        """
        looks = self._looks
        until = await operator.confirm(f"{len(accepted)} good looks were taken at the face before the gate")

        def refuse_late() -> None:
            """Raise an error if another face came, the operator withdrew, or the confirmation ended."""
            if looks is not None:
                _refuse_other_face(looks)
            if operator.withdrawn.is_set() or time.monotonic() > until:
                raise WithdrawnError("the office no longer waits; nothing was done")

        is_counted = counts is not None and await counts(subject, self._gallery.embedder_sha256)
        at, threshold = datetime.now(UTC), requirements.threshold
        given = partial(self._given, subject, at)
        store = partial(enrol_known, threshold=threshold, at=at, before=refuse_late, is_counted=is_counted, given=given)
        return await asyncio.to_thread(store, self._gallery, subject, accepted)

    def _is_announced_long_enough(self, now: float) -> bool:
        """Return whether "enrolling" has been announced for `ANNOUNCE_S` without a break."""
        if not self._is_announced():
            self._announced_since = None
            return False
        if self._announced_since is None:
            self._announced_since = now
        return now - self._announced_since >= ANNOUNCE_S


def _refuse_other_face(looks: EnrolmentLooks) -> None:
    if looks.has_other_face:
        raise EnrolmentError("a different face came after the first; let one person stand there, and enrol again")


def _require_enough(looks: EnrolmentLooks, within_s: float) -> tuple[Embedding, ...]:
    if len(looks.accepted) < LEAST_TEMPLATES:
        raise EnrolmentError(f"{len(looks.accepted)} of {LEAST_TEMPLATES} good looks in {within_s:g} s: {looks.advice}")
    return tuple(looks.accepted)
