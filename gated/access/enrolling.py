"""Enrolled here and now: somebody who is known and has agreed stands before the gate, and their face is taken.

Nobody is asked to blink, to turn or to look: whoever comes near enough, alone, is looked at until there are enough
good looks. While that lasts nothing is decided about this face.

The gate says "enrolling" first, so that whoever stands there by chance can step aside, and takes no look while it says
anything else. The first good look says whose face it is: another face in the same order ends it. Nothing is stored
until the office has confirmed that its operator still waits.
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
from gated.face.messages import Observation, TrackEnded
from gated.gallery.enrolment import Enrolled, enrol_known, recognition_consent
from gated.gallery.gallery import Gallery
from gated.gallery.people import Consent
from gated.types import SubjectId

TEMPLATES, LEAST = 5, 3
"""So many are taken, and so many will do when the time is up."""
APART_S = 0.3
"""Two looks that are nearer to each other show hardly more than one."""
NOTICE_S = 2.0
"""So long "enrolling" is told before the first look counts."""
WATCH_S = 0.2
"""How often the operator may be told something new."""

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
"""What to do about what kept a face from being taken most often."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What a look must be for a template to be made of it. Scores are shares of 1."""

    dimension: int
    threshold: float
    """The score from which two faces are one person's."""
    pad_threshold: float
    min_eye_px: float
    max_frame_age_s: float


class Operator(Protocol):
    """Whoever ordered it, and waits."""

    withdrawn: asyncio.Event
    """Set when nobody waits any more."""

    def tell(self, says: str) -> None:
        """Say what goes on; about nobody."""

    async def confirm(self, says: str) -> float:
        """Until when (monotonic seconds) it is known that they wait. Raises `WithdrawnError` where they do not."""


class Counts(Protocol):
    """Counts a first face by a new model set as somebody new."""

    def __call__(self, subject: SubjectId, embedder_sha256: str, /) -> Awaitable[bool]:
        """Whether it may count; on disk when it is true."""


GivenNow = Callable[[SubjectId, datetime], Sequence[Consent]]


async def count_none(_: SubjectId, __: str) -> bool:
    """Of nobody: such a face waits."""
    return False


class Sitting:
    """The looks at one face, until there are enough. Pure but for its memory: time is passed in.

    A look counts when nobody else was in the same frame. One that seems an attack, or another face in this one's
    place, has it begin anew: nobody gets in by a lucky look in a hundred.
    """

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._frame: list[Observation] = []
        self._trouble: Counter[str] = Counter()
        self._first: Embedding | None = None
        """The first good look, which says whose face this order takes; it outlives `restart`."""
        self.is_spoilt = False
        """Whether another face came in the place of the first."""
        self.restart()

    def restart(self) -> None:
        """Whoever stood there is gone."""
        self.track: int | None = None
        """The face that is being taken."""
        self.taken: list[Embedding] = []
        self._taken_at = -inf
        self._frame.clear()

    @property
    def is_full(self) -> bool:
        """Whether no more is needed."""
        return len(self.taken) >= TEMPLATES

    @property
    def advice(self) -> str:
        """What to do about it, in plain words, when too little was taken."""
        trouble = self._trouble.most_common(1)
        return ADVICE.get(trouble[0][0] if trouble else "nobody", ADVICE["odd"])

    @property
    def says(self) -> str:
        """How far it is, and what stands in the way, for the operator."""
        trouble = self._trouble.most_common(1)
        if self.taken or not trouble:
            return f"{len(self.taken)} of {TEMPLATES} looks"
        return f"{len(self.taken)} of {TEMPLATES} looks: {ADVICE.get(trouble[0][0], ADVICE['odd'])}"

    def observe(self, seen: Observation | TrackEnded, now: float, *, is_told: bool = True) -> bool:
        """Take one look; True for the face that is being taken, about which nothing may be decided.

        `is_told`: whether whoever stands there is being told that a face is enrolled; else no look counts.
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
            self._frame = [*self._frame[:1], seen]  # a second face makes it a crowd, and no more is kept
        return seen.track == self.track

    def _judge(self, faces: list[Observation]) -> None:
        """A frame is over, and everybody in it known."""
        face = faces[0]
        trouble = "crowd" if len(faces) > 1 else self._trouble_of(face)
        if trouble == "attack":
            self.taken.clear()
        if trouble is not None:
            self._trouble[trouble] += 1
        elif face.track == self.track and face.frame_at - self._taken_at >= APART_S:
            self._take(self._vector(face), face.frame_at)

    def _take(self, vector: Embedding, at: float) -> None:
        """Keep a good look, if it is of the face that was there first. Compared even when no more are needed."""
        if self._first is None:
            self._first = vector
        self._taken_at = at
        if not float(vector @ self._first) >= self._demands.threshold:
            self.is_spoilt = True
        elif not self.is_full:
            self.taken.append(vector)

    def _trouble_of(self, face: Observation) -> str | None:
        """Why no template may be made of this look, or None; whatever is odd is trouble."""
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
    """Takes one person's face at a time, in the loop's thread; the gallery is written in another."""

    def __init__(
        self,
        gallery: Gallery,
        report: Callable[[Event], None],
        is_told: Callable[[], bool] = lambda: True,
        given: GivenNow = lambda _, __: (),
    ) -> None:
        """`is_told`: whether people at the gate are being told that a face is enrolled. `given`: what somebody is said
        to agree to, at this gate and at this moment.
        """
        self._gallery, self._report, self._is_told, self._given = gallery, report, is_told, given
        self._sitting: Sitting | None = None
        self._told_since: float | None = None

    def observe(self, seen: Observation | TrackEnded, now: float) -> bool:
        """Take what vision says; True for a face about which nothing may be decided."""
        if self._sitting is None:
            return False
        return self._sitting.observe(seen, now, is_told=self._is_noticed(now))

    def restart(self) -> None:
        """Vision is lost, and what it saw with it."""
        if self._sitting is not None:
            self._sitting.restart()

    async def take(
        self, subject: SubjectId, within_s: float, demands: Demands, operator: Operator, counts: Counts = count_none
    ) -> Enrolled:
        """Give somebody who is known here, and agreed to it, templates of the face before the gate. Where they have
        another face, these wait; so they do where they are the first by a new model set, and not one of those that
        `counts` lets count.

        Raises `EnrolmentError` (with what to do) without consent, without enough good looks in time, when another face
        comes in the place of the first, and for a face that is another's; `WithdrawnError` when the office does not
        want it any more; `SubjectNotFoundError`; `BusyError` and `StateError` when nothing could be stored.
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
        """Look until there is enough, or the time is up."""
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
        """Have it confirmed, and store it while that counts. A face that comes meanwhile in its place ends it."""
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
        """Whether "enrolling" has been told for long enough, without a break."""
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
