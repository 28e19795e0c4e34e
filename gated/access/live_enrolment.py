"""Live enrolment: take templates of a known and consenting person who stands before the gate.

The person need not blink, turn or look. The gate uses each good look at a single near face until it has enough. It
makes no access decision about this face meanwhile.

The gate announces "enrolling" first, so that a bystander can step aside. It takes no look while it must announce
something else. The first good look fixes the face: a different face under the same command ends the enrolment. Nothing
is stored until the office confirms that its operator still waits.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import inf, isfinite
from typing import Protocol

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, EnrolmentError, WithdrawnError
from gated.events import ConsentHeld, Enrolling, Event, PersonEnrolled, RecordQuarantined
from gated.face.vision_messages import Observation, TrackEnded
from gated.gallery.enrolment import Enrolled, enrol_known, recognition_consent
from gated.gallery.gallery import Gallery
from gated.people.store import Consent
from gated.types import SubjectId

MOST_TEMPLATES, LEAST_TEMPLATES = 5, 3
"""The number of templates that is taken, and the least number that is accepted when the time is up."""
LOOK_INTERVAL_S = 0.3
"""The least time between two looks, in seconds. Looks that are closer together show almost the same picture."""
ANNOUNCE_S = 2.0
"""How long "enrolling" is announced before the first look counts, in seconds."""
PROGRESS_S = 0.2
"""The interval at which the operator gets progress, in seconds."""

LIVE_ADVICE = {
    "nobody": "nobody stood before the gate",
    "unannounced": "the gate had to announce something else: an open door, an alarm, a lockdown",
    "crowd": "let the person stand there alone",
    "attack": "the face did not seem alive: no picture, no screen, and even light",
    "odd": "the face could not be used",
    "too_small": "let the person come closer",
    "too_near": "let the person move a little further back",
    "blurred": "let the person stand still, and wipe the lens",
    "too_dark": "find more light",
    "too_bright": "find softer light",
    "uneven_light": "turn the person's face towards the light",
    "turned_away": "let the person face the gate",
    "no_colour": "this camera's picture has no colour (grey or infra-red), and faces cannot be told from prints in it: "
    "fit a colour camera, or a lamp that lets it show colour",
}
"""Advice for each reason that kept a look from being used."""


@dataclass(frozen=True, slots=True)
class LookRequirements:
    """The requirements for a look that becomes a template. Scores are in 0..1. Distances are in pixels, times in
    seconds.
    """

    dimension: int
    threshold: float
    """The least similarity of two templates of one person."""
    pad_threshold: float
    min_eye_px: float
    max_frame_age_s: float


class Operator(Protocol):
    """The office operator who ordered the enrolment and waits for it."""

    withdrawn: asyncio.Event
    """Set when the operator waits no longer."""

    def tell(self, says: str) -> None:
        """Show progress to the operator. The text never identifies the person."""

    async def confirm(self, says: str) -> float:
        """Ask whether the operator still waits. Return the monotonic time until which the answer is valid.

        Raises `WithdrawnError` if the operator waits no longer.
        """


class CountNewFace(Protocol):
    """A function that counts the first face of a person by a new model set against the limit for new people."""

    def __call__(self, subject: SubjectId, embedder_sha256: str, /) -> Awaitable[bool]:
        """Return whether the face may take effect at once. The count is on disk when the result is true."""


ConsentsGiven = Callable[[SubjectId, datetime], Sequence[Consent]]


async def count_none(_: SubjectId, __: str) -> bool:
    """Return False: the face waits for acceptance."""
    return False


class EnrolmentLooks:
    """The looks at one face, until there are enough. Pure except for its memory: callers pass the time in.

    A look counts only if no other face is in the same frame. A look that seems an attack discards all earlier looks, so
    that a single lucky look is not enough. A different face spoils the enrolment.
    """

    def __init__(self, requirements: LookRequirements) -> None:
        self._requirements = requirements
        self._frame: list[Observation] = []
        self._problems: Counter[str] = Counter()
        self._first: Embedding | None = None
        """The first good look. It fixes the face that this command enrols. `restart` keeps it."""
        self.has_other_face = False
        """Whether a different face appeared after the first good look."""
        self.restart()

    def restart(self) -> None:
        """Discard the looks, because the person has left."""
        self.track: int | None = None
        """The track number of the face that is being enrolled."""
        self.accepted: list[Embedding] = []
        self._accepted_at = -inf
        self._frame.clear()

    @property
    def is_full(self) -> bool:
        """Return whether enough looks were taken."""
        return len(self.accepted) >= MOST_TEMPLATES

    @property
    def advice(self) -> str:
        """Return advice in plain words for the most frequent problem."""
        problem = self._problems.most_common(1)
        return LIVE_ADVICE.get(problem[0][0] if problem else "nobody", LIVE_ADVICE["odd"])

    @property
    def progress(self) -> str:
        """Return the progress and the most frequent problem, as text for the operator."""
        problem = self._problems.most_common(1)
        if self.accepted or not problem:
            return f"{len(self.accepted)} of {MOST_TEMPLATES} looks"
        return f"{len(self.accepted)} of {MOST_TEMPLATES} looks: {LIVE_ADVICE.get(problem[0][0], LIVE_ADVICE['odd'])}"

    def observe(self, seen: Observation | TrackEnded, now: float, *, is_announced: bool = True) -> bool:
        """Take one look. Return True if it shows the face that is being enrolled, about which no decision may be made.

        If `is_announced` is false, the gate is not announcing the enrolment, and the look does not count.
        """
        if isinstance(seen, TrackEnded):
            if seen.track == self.track:
                self.restart()
            return False
        if seen.problem == "background":
            return False
        if self.track is None:
            self.track = seen.track
        if self._frame and seen.frame != self._frame[0].frame:
            self._judge(self._frame)
            self._frame = []
        if not is_announced:
            self._frame.clear()
            self._problems["unannounced"] += 1
        elif 0 <= now - seen.frame_at <= self._requirements.max_frame_age_s:
            self._frame = [*self._frame[:1], seen]  # one more face is enough to refuse the frame
        return seen.track == self.track

    def _judge(self, faces: list[Observation]) -> None:
        """Evaluate a completed frame, in which all faces are known."""
        face = faces[0]
        problem = "crowd" if len(faces) > 1 else self._problem_of(face)
        if problem == "attack":
            self.accepted.clear()
        if problem is not None:
            self._problems[problem] += 1
        elif face.track == self.track and face.frame_at - self._accepted_at >= LOOK_INTERVAL_S:
            self._accept(self._vector(face), face.frame_at)

    def _accept(self, vector: Embedding, at: float) -> None:
        """Keep a good look if it matches the first one. Compares the faces even when enough looks were taken."""
        if self._first is None:
            self._first = vector
        self._accepted_at = at
        if not float(vector @ self._first) >= self._requirements.threshold:
            self.has_other_face = True
        elif not self.is_full:
            self.accepted.append(vector)

    def _problem_of(self, face: Observation) -> str | None:
        """Return the reason against making a template of this look, or None. Every unexpected value is a reason."""
        if face.pad_score is not None and not face.pad_score >= self._requirements.pad_threshold:
            return "attack"
        if face.problem is not None:
            return face.problem
        if face.quality is None or not face.quality.eye_px >= self._requirements.min_eye_px:
            return "too_small"
        if face.pad_score is None or not isfinite(face.pad_score):
            return "odd"
        try:
            self._vector(face)
        except (EmbeddingError, ValueError):
            return "odd"
        return None

    def _vector(self, face: Observation) -> Embedding:
        return check_embedding(np.frombuffer(face.embedding or b"", "<f4"), self._requirements.dimension)


class LiveEnrolment:
    """Enrols one person at a time, in the event loop's thread. Another thread writes the gallery."""

    def __init__(
        self,
        gallery: Gallery,
        report: Callable[[Event], None],
        is_announced: Callable[[], bool] = lambda: True,
        given: ConsentsGiven = lambda _, __: (),
    ) -> None:
        """`is_announced` returns whether the gate is announcing the enrolment now. `given` returns the consents that
        the person is recorded as giving at this gate at this moment.
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
        counts: CountNewFace = count_none,
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
            raise EnrolmentError("this gate already enrols somebody; wait until that ends")
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
        operator.tell('the gate announces "enrolling" to the person before it')
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not looks.is_full:
                    _refuse_other_face(looks)
                    if operator.withdrawn.is_set():
                        break
                    if looks.accepted:
                        operator.tell(looks.progress)
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
        counts: CountNewFace,
    ) -> Enrolled:
        """Ask the operator to confirm, then store the templates while the confirmation is valid.

        A different face that appears meanwhile ends the enrolment.
        """
        looks = self._looks
        until = await operator.confirm(f"{len(accepted)} good looks were taken at the face before the gate")

        def refuse_late() -> None:
            if looks is not None:
                _refuse_other_face(looks)
            if operator.withdrawn.is_set() or time.monotonic() > until:
                raise WithdrawnError("the office no longer waits; nothing was done")

        is_counted = await counts(subject, self._gallery.embedder_sha256)
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
