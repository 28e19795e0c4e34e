"""Judges what people hold up to a gate's own camera: PAD alone, with the gate's own rules for a visit.

Nothing opens, and no face is searched for. Every face counts as a sure candidate, so PAD alone decides. `live_view`
gives the observations, `gated evaluate --live` guides the installer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from gated.access.face_policy import FaceRules
from gated.access.visits import VisitOutcome, Visits
from gated.doctor.attack_rates import BONA_FIDE, ShownRate
from gated.embedding import Embedding
from gated.evaluation.confidence import Rate
from gated.face.vision_messages import Observation, TrackEnded
from gated.gallery.search import Candidate
from gated.types import Score, SubjectId

Answer = Literal["passed", "refused", "unanswered", "crowd"]
"""passed, refused: by PAD. unanswered: too few usable frames. crowd: two faces, so the judged face is unknown."""

Kind = Literal["bona fide", "print", "phone"]
KINDS: tuple[Kind, ...] = (BONA_FIDE, "print", "phone")


class Presentation:
    """One presentation, frame by frame. `answer` is None until PAD has decided."""

    def __init__(self, rules: FaceRules, dimension: int) -> None:
        self.answer: Answer | None = None
        self._visits, self._rules = Visits(_sure_candidate, dimension, rules), rules
        self._faces, self._usable, self._last_at = Counter[int](), 0, 0.0

    def observe(self, seen: Observation | TrackEnded) -> None:
        """Count one message of vision. The first decision is the answer."""
        if isinstance(seen, TrackEnded):
            self._apply(self._visits.end(seen.track, seen.at))
            return
        self._last_at = max(self._last_at, seen.frame_at)
        if seen.problem != "background":
            self._faces[seen.frame] += 1
        if seen.pad_score is not None:
            self._usable += 1
            self._apply(self._visits.observe(seen, seen.frame_at))

    def end(self) -> Answer:
        """Return the answer, because the time is over."""
        for outcome in self._visits.end_all(self._last_at):
            self._apply(outcome)
        crowded = sum(faces > 1 for faces in self._faces.values())
        if crowded >= self._rules.frames:
            return "crowd"
        return self.answer or "unanswered"

    def _apply(self, outcome: VisitOutcome | None) -> None:
        """Keep the first decision. A visit that ended after too few usable frames is none."""
        if outcome is None or self.answer is not None:
            return
        if outcome.decision.grant:
            self.answer = "passed"
        elif self._usable >= self._rules.frames:
            self.answer = "refused"


def rates_of(answers: Iterable[tuple[Kind, Answer]]) -> tuple[ShownRate, ...]:
    """Return BPCER, and APCER by species, of the presentations. Kinds without one are left out (ISO/IEC 30107-3)."""
    counts = Counter(answers)
    kinds = [kind for kind in KINDS if any(counted == kind for counted, _ in counts)]
    return tuple(_rate_of(kind, counts) for kind in kinds)


def _rate_of(kind: Kind, counts: Counter[tuple[Kind, Answer]]) -> ShownRate:
    passed, refused = counts[kind, "passed"], counts[kind, "refused"]
    rate = Rate.of(refused if kind == BONA_FIDE else passed, passed + refused)
    return ShownRate(kind, rate.errors, rate.n, rate.low, rate.high, counts[kind, "unanswered"])


def _sure_candidate(_: Embedding) -> Sequence[Candidate]:
    return [Candidate(SubjectId("anybody"), "", Score(1.0), "active")]
