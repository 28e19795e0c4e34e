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

TEMPLATES, LEAST = 5, 3
"""The number of templates that is taken, and the least number that is accepted when the time is up."""
APART_S = 0.3
"""The least time between two looks, in seconds. Looks that are closer together show almost the same picture."""
NOTICE_S = 2.0
"""How long "enrolling" is announced before the first look counts, in seconds."""
WATCH_S = 0.2
"""The interval at which the operator gets progress, in seconds."""

ADVICE = {
    "nobody": "nobody stood before the gate",
    "untold": "the gate had to tell something else: an open door, an alarm, a lockdown",
    "crowd": "let the person stand there alone",
    "attack": "the face did not seem a living one: no picture, no screen, and even light",
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
class Demands:
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


class Counts(Protocol):
    """A function that counts the first face of a person by a new model set against the limit for new people."""

    def __call__(self, subject: SubjectId, embedder_sha256: str, /) -> Awaitable[bool]:
        """Return whether the face may take effect at once. The count is on disk when the result is true."""


GivenNow = Callable[[SubjectId, datetime], Sequence[Consent]]


async def count_none(_: SubjectId, __: str) -> bool:
    """Return False: the face waits for acceptance."""
    return False


class Sitting:
    """The looks at one face, until there are enough. Pure except for its memory: callers pass the time in.

    A look counts only if no other face is in the same frame. A look that seems an attack discards all earlier looks, so
    that a single lucky look is not enough. A different face spoils the enrolment.
    """

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._frame: list[Observation] = []
        self._trouble: Counter[str] = Counter()
        self._first: Embedding | None = None
        """The first good look. It fixes the face that this command enrols. `restart` keeps it."""
        self.is_spoilt = False
        """Whether a different face appeared after the first good look."""
        self.restart()

    def restart(self) -> None:
        """Discard the looks, because the person has left."""
        self.track: int | None = None
        """The track number of the face that is being enrolled."""
        self.taken: list[Embedding] = []
        self._taken_at = -inf
        self._frame.clear()

    @property
    def is_full(self) -> bool:
        """Return whether enough looks were taken."""
        return len(self.taken) >= TEMPLATES

    @property
    def advice(self) -> str:
        """Return advice in plain words for the most frequent problem."""
        trouble = self._trouble.most_common(1)
        return ADVICE.get(trouble[0][0] if trouble else "nobody", ADVICE["odd"])

    @property
    def says(self) -> str:
        """Return the progress and the most frequent problem, as text for the operator."""
        trouble = self._trouble.most_common(1)
        if self.taken or not trouble:
            return f"{len(self.taken)} of {TEMPLATES} looks"
        return f"{len(self.taken)} of {TEMPLATES} looks: {ADVICE.get(trouble[0][0], ADVICE['odd'])}"

    def observe(self, seen: Observation | TrackEnded, now: float, *, is_told: bool = True) -> bool:
        """Take one look. Return True if it shows the face that is being enrolled, about which no decision may be made.

        If `is_told` is false, the gate is not announcing the enrolment, and the look does not count.
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
        if not is_told:
            self._frame.clear()
            self._trouble["untold"] += 1
        elif 0 <= now - seen.frame_at <= self._demands.max_frame_age_s:
            self._frame = [*self._frame[:1], seen]  # one more face is enough to refuse the frame
        return seen.track == self.track

    def _judge(self, faces: list[Observation]) -> None:
        """Evaluate a completed frame, in which all faces are known."""
        face = faces[0]
        trouble = "crowd" if len(faces) > 1 else self._trouble_of(face)
        if trouble == "attack":
            self.taken.clear()
        if trouble is not None:
            self._trouble[trouble] += 1
        elif face.track == self.track and face.frame_at - self._taken_at >= APART_S:
            self._take(self._vector(face), face.frame_at)

    def _take(self, vector: Embedding, at: float) -> None:
        """Keep a good look if it matches the first one. Compares the faces even when enough looks were taken."""
        if self._first is None:
            self._first = vector
        self._taken_at = at
        if not float(vector @ self._first) >= self._demands.threshold:
            self.is_spoilt = True
        elif not self.is_full:
            self.taken.append(vector)

    def _trouble_of(self, face: Observation) -> str | None:
        """Return the reason against making a template of this look, or None. Every unexpected value is a reason."""
        if face.pad_score is not None and not face.pad_score >= self._demands.pad_threshold:
            return "attack"
        if face.problem is not None:
            return face.problem
        if face.quality is None or not face.quality.eye_px >= self._demands.min_eye_px:
            return "too_small"
        if face.pad_score is None or not isfinite(face.pad_score):
            return "odd"
        try:
            self._vector(face)
        except (EmbeddingError, ValueError):
            return "odd"
        return None

    def _vector(self, face: Observation) -> Embedding:
        return check_embedding(np.frombuffer(face.embedding or b"", "<f4"), self._demands.dimension)


class LiveEnrolment:
    """Enrols one person at a time, in the event loop's thread. Another thread writes the gallery."""

    def __init__(
        self,
        gallery: Gallery,
        report: Callable[[Event], None],
        is_told: Callable[[], bool] = lambda: True,
        given: GivenNow = lambda _, __: (),
    ) -> None:
        """`is_told` returns whether the gate is announcing the enrolment now. `given` returns the consents that the
        person is recorded as giving at this gate at this moment.
        """
        self._gallery, self._report, self._is_told, self._given = gallery, report, is_told, given
        self._sitting: Sitting | None = None
        self._told_since: float | None = None

    def observe(self, seen: Observation | TrackEnded, now: float) -> bool:
        """Take one message from vision. Return True for a face about which no decision may be made."""
        if self._sitting is None:
            return False
        return self._sitting.observe(seen, now, is_told=self._is_noticed(now))

    def restart(self) -> None:
        """Discard the looks, because the vision process was lost."""
        if self._sitting is not None:
            self._sitting.restart()

    async def take(
        self, subject: SubjectId, within_s: float, demands: Demands, operator: Operator, counts: Counts = count_none
    ) -> Enrolled:
        """Give a known and consenting person templates of the face before the gate. Return the result.

        The new templates wait for acceptance if the person already has a different face. The first face by a new model
        set also waits, unless `counts` lets it take effect.

        Raises `EnrolmentError` with advice: without consent, without enough good looks in time, or for a face of
        another person. A different face that appears after the first also raises it. Raises `WithdrawnError` when the
        office cancels, and `SubjectNotFoundError` for an unknown person. Raises `BusyError` and `StateError` when
        nothing could be stored.
        """
        if self._sitting is not None:
            raise EnrolmentError("somebody is being enrolled at this gate already; wait until that is over")
        sitting = self._sitting = Sitting(demands)
        self._told_since, is_shown = None, False
        try:
            consent = recognition_consent(await asyncio.to_thread(self._gallery.person, subject))
            self._report(Enrolling())
            is_shown = True
            taken = await self._look(sitting, within_s, operator)
            done = await self._store(subject, taken, demands, operator, counts)
        finally:
            self._sitting = None
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

    async def _look(self, sitting: Sitting, within_s: float, operator: Operator) -> tuple[Embedding, ...]:
        """Collect looks until there are enough or the time is up."""
        operator.tell('the gate says "enrolling" to whoever stands there')
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not sitting.is_full:
                    _refuse_spoilt(sitting)
                    if operator.withdrawn.is_set():
                        break
                    if sitting.taken:
                        operator.tell(sitting.says)
                    await asyncio.sleep(WATCH_S)
        _refuse_spoilt(sitting)
        if operator.withdrawn.is_set():
            raise WithdrawnError("the office does not wait any more; nothing was done")
        return _enough(sitting, within_s)

    async def _store(
        self, subject: SubjectId, taken: Sequence[Embedding], demands: Demands, operator: Operator, counts: Counts
    ) -> Enrolled:
        """Ask the operator to confirm, then store the templates while the confirmation is valid.

        A different face that appears meanwhile ends the enrolment.
        """
        sitting = self._sitting
        until = await operator.confirm(f"{len(taken)} good looks were taken at the face before the gate")

        def refuse_late() -> None:
            if sitting is not None:
                _refuse_spoilt(sitting)
            if operator.withdrawn.is_set() or time.monotonic() > until:
                raise WithdrawnError("the office does not wait any more; nothing was done")

        is_counted = await counts(subject, self._gallery.embedder_sha256)
        at, threshold = datetime.now(UTC), demands.threshold
        given = partial(self._given, subject, at)
        store = partial(enrol_known, threshold=threshold, at=at, before=refuse_late, is_counted=is_counted, given=given)
        return await asyncio.to_thread(store, self._gallery, subject, taken)

    def _is_noticed(self, now: float) -> bool:
        """Return whether "enrolling" has been announced for `NOTICE_S` without a break."""
        if not self._is_told():
            self._told_since = None
            return False
        if self._told_since is None:
            self._told_since = now
        return now - self._told_since >= NOTICE_S


def _refuse_spoilt(sitting: Sitting) -> None:
    if sitting.is_spoilt:
        raise EnrolmentError(
            "another face came in the place of the first; let one person stand there, and order it anew"
        )


def _enough(sitting: Sitting, within_s: float) -> tuple[Embedding, ...]:
    if len(sitting.taken) < LEAST:
        raise EnrolmentError(f"{len(sitting.taken)} of {LEAST} good looks in {within_s:g} s: {sitting.advice}")
    return tuple(sitting.taken)
