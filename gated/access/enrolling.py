"""Enrolled here and now: somebody who is known and has agreed stands before the gate, and their face is taken.

Nobody is asked to blink, to turn or to look: whoever comes near enough, alone, is looked at until there are enough
good looks. While that lasts nothing is decided about this face.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isfinite

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, EnrolmentError
from gated.events import Event, PersonEnrolled
from gated.face.messages import Observation, TrackEnded
from gated.gallery.enrolment import enrol_known, recognition_consent
from gated.gallery.gallery import Gallery
from gated.types import SubjectId

TEMPLATES, LEAST = 5, 3
"""So many are taken, and so many will do when the time is up."""
APART_S = 0.3
"""Two looks that are nearer to each other show hardly more than one."""

ADVICE = {
    "nobody": "nobody stood before the gate",
    "crowd": "let the person stand there alone",
    "attack": "the face did not seem a living one: no picture, no screen, and even light",
    "odd": "the face could not be used",
    "too_small": "let the person come closer",
    "blurred": "let the person stand still, and wipe the lens",
    "too_dark": "find more light",
    "too_bright": "find softer light",
    "uneven_light": "turn the person's face towards the light",
    "turned_away": "let the person face the gate",
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


class Sitting:
    """The looks at one face, until there are enough. Pure but for its memory: time is passed in.

    A look counts when nobody else was in the same frame. One that seems an attack, or another face in this one's
    place, has it begin anew: nobody gets in by a lucky look in a hundred.
    """

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._frame: list[Observation] = []
        self._trouble: Counter[str] = Counter()
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

    def observe(self, seen: Observation | TrackEnded, now: float) -> bool:
        """Take one look; True for the face that is being taken, about which nothing may be decided."""
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
        if 0 <= now - seen.frame_at <= self._demands.max_frame_age_s:
            self._frame.append(seen)
        return seen.track == self.track

    def _judge(self, faces: list[Observation]) -> None:
        """A frame is over, and everybody in it known."""
        face = faces[0]
        trouble = "crowd" if len(faces) > 1 else self._trouble_of(face)
        if trouble == "attack":
            self.taken.clear()
        if trouble is not None:
            self._trouble[trouble] += 1
        elif face.track == self.track and face.frame_at - self._taken_at >= APART_S and not self.is_full:
            self.taken.append(self._vector(face))
            self._taken_at = face.frame_at

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

    def __init__(self, gallery: Gallery, report: Callable[[Event], None]) -> None:
        self._gallery, self._report = gallery, report
        self._sitting: Sitting | None = None
        self._is_full = asyncio.Event()

    def observe(self, seen: Observation | TrackEnded, now: float) -> bool:
        """Take what vision says; True for a face about which nothing may be decided."""
        if self._sitting is None:
            return False
        is_theirs = self._sitting.observe(seen, now)
        if self._sitting.is_full:
            self._is_full.set()
        return is_theirs

    def restart(self) -> None:
        """Vision is lost, and what it saw with it."""
        if self._sitting is not None:
            self._sitting.restart()

    async def take(self, subject: SubjectId, within_s: float, demands: Demands) -> int:
        """Give somebody who is known here, and agreed to it, templates of the face before the gate; gives how many.

        Raises `EnrolmentError` (with what to do) without consent, without enough good looks in time, and for a face
        that is another's; `SubjectNotFoundError`; `BusyError` and `StateError` when nothing could be stored.
        """
        if self._sitting is not None:
            raise EnrolmentError("somebody is being enrolled at this gate already; wait until that is over")
        sitting = self._sitting = Sitting(demands)
        self._is_full.clear()
        try:
            consent = recognition_consent(await asyncio.to_thread(self._gallery.person, subject))
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._is_full.wait()
            taken = _enough(sitting, within_s)
            at, threshold = datetime.now(UTC), demands.threshold
            done = await asyncio.to_thread(enrol_known, self._gallery, subject, taken, threshold=threshold, at=at)
        finally:
            self._sitting = None
        self._report(PersonEnrolled(subject, done.templates, consent.notice_version, self._gallery.embedder_sha256))
        return done.templates


def _enough(sitting: Sitting, within_s: float) -> tuple[Embedding, ...]:
    if len(sitting.taken) < LEAST:
        raise EnrolmentError(f"{len(sitting.taken)} of {LEAST} good looks in {within_s:g} s: {sitting.advice}")
    return tuple(sitting.taken)
