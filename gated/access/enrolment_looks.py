"""The looks of a live enrolment: which looks at a face become templates. Pure except for its memory. Used by
`live_enrolment`.
"""

from collections import Counter
from collections.abc import Callable
from math import inf, isfinite

import numpy as np
from msgspec import Struct

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.face.vision_messages import Observation, TrackEnded

MOST_TEMPLATES, LEAST_TEMPLATES = 5, 3
"""The wanted number of templates, and the smallest accepted number when the time is up."""
LOOK_INTERVAL_S = 0.3
"""The least time between two looks, in seconds. Looks that are closer together show almost the same picture."""
LIVE_ADVICE = {
    "nobody": "nobody stood before the gate",
    "unannounced": "the gate had to announce something else: an open door, an alarm, a lockdown",
    "crowd": "let the person stand there alone",
    "attack": "the face did not seem alive: no picture, no screen, and even light",
    "covered": "mouth and nose seem covered; let the person uncover them for a moment",
    "background": "let the person come closer",
    "odd": "the face could not be used",
    "too_small": "let the person come closer",
    "too_near": "let the person move a little further back",
    "blurred": "let the person stand still, and wipe the lens",
    "too_dark": "find more light",
    "too_bright": "find softer light",
    "uneven_light": "turn the person's face towards the light",
    "turned_away": "let the person face the gate",
    "no_colour": "this camera's picture has no colour (grey or infra-red), so PAD cannot distinguish faces from "
    "prints; fit a colour camera, or a lamp with white light",
}
"""Advice for each reason to reject a look."""


class LookRequirements(Struct, frozen=True):
    """The requirements for a look that becomes a template. Scores are in 0..1. Distances are in pixels, times in
    seconds.
    """

    dimension: int
    threshold: float
    """The least similarity of two templates of one person."""
    pad_threshold: float
    min_eye_px: float
    max_frame_age_s: float
    score: Callable[[Embedding, Embedding], float] = lambda first, second: float(first @ second)
    """The similarity of two looks, as the search computes it."""


class EnrolmentLooks:
    """The looks at one face, until there are enough. Pure except for its memory: callers pass the time in.

    A look counts only if no other face is in the same frame. If PAD classifies a look as an attack, all earlier looks
    are discarded. So a single lucky look is not enough. A different face spoils the enrolment. The first look must show
    mouth and nose, so a template of a covered face never stands alone.
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
        """Take one look. Return True if it shows the face of the running enrolment. The gate must not decide about this
        face.

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
        if not self._requirements.score(vector, self._first) >= self._requirements.threshold:
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
        return "covered" if face.is_covered and not self.accepted else None

    def _vector(self, face: Observation) -> Embedding:
        return check_embedding(np.frombuffer(face.embedding or b"", "<f4"), self._requirements.dimension)
