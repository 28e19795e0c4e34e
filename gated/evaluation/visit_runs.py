"""Runs visits through the product's own pipeline, search and rules, without a door, and records the decisions.

An outcome also keeps the scores behind the decision, so that one run gives the rates at every threshold. The score of a
visit is the highest threshold at which the gate would still grant it. The judge finds it by deciding again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from msgspec import structs

from gated.access.face_policy import FaceDecision, FaceReason, FaceRules
from gated.access.visits import COMPARED_CANDIDATES, SearchGallery, Visits
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.evaluation.rates import NO_SCORE, Scores
from gated.face.vision_messages import Observation, TrackEnded
from gated.frame import Frame
from gated.gallery.search import Candidate, Index
from gated.types import Score, SubjectId

GAP_S = 10.0
"""Time without frames between two visits: every track has ended, so each visit starts a new one."""

PRECISION = 1e-9
"""Precision of the score of a visit."""

Seen = Observation | TrackEnded


class VisionPipeline(Protocol):
    """The part of `FacePipeline` that evaluation uses."""

    def observe(self, frame: Frame) -> list[Seen]:
        """Return the observations of one frame, and the tracks that ended."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to the gate. `subject`: None for a stranger; for an attack, the person whose face is shown.

    `groups`: such as "children", for the report only, never for a decision. `frames`: `at` in seconds.
    """

    subject: SubjectId | None
    groups: frozenset[str]
    attack: str | None
    frames: Iterable[Frame]


@dataclass(frozen=True, slots=True, eq=False)
class VisitOutcome:
    """The result of a visit. Scores are cosine similarities. `NO_SCORE`: no threshold would grant."""

    subject: SubjectId | None
    groups: frozenset[str]
    attack: str | None
    reason: FaceReason | None
    """Reason of the decision. None when no face was seen at all."""
    granted: SubjectId | None
    """The subject that the gate granted."""
    is_acquired: bool
    """Whether there were as many usable frames as a grant needs."""
    passes_pad: bool
    """Whether PAD alone would grant this visit, with a search that always finds a sure candidate."""
    score: float
    """The highest threshold that grants this visit: to the visitor's own subject, or to any for a stranger."""
    score_without: float
    """The same without the visitor in the gallery (leave one identity out). For a stranger equal to `score`."""
    mated: float | None = None
    """Comparison score of the first usable frame with the visitor's own templates, the best of them."""
    non_mated: Scores = field(default_factory=lambda: np.empty(0))
    """Comparison scores of the same frame with every other person, one score a person."""


class Judge:
    """A gate without a door: one pipeline, one gallery, one set of rules."""

    def __init__(self, pipeline: VisionPipeline, index: Index, rules: FaceRules) -> None:
        self._pipeline, self._index, self._rules = pipeline, index, rules
        self._began_at, self._number = 0.0, 0

    def outcome(self, visit: Visit) -> VisitOutcome:
        """Observe a whole visit, decide on it, and find the thresholds that would change the decision."""
        seen = self._observed(visit.frames)
        search = _cached(self._index, COMPARED_CANDIDATES)
        decision = self._decide(seen, search, self._rules)
        mated, non_mated = self._compared(seen, visit.subject)
        usable = [message for message in seen if isinstance(message, TrackEnded) or message.pad_score is not None]
        lenient = structs.replace(self._rules, threshold=-1.0, agreement=-1.0)
        passing = self._decide(usable, _sure_candidate, lenient)
        return VisitOutcome(
            subject=visit.subject,
            groups=visit.groups,
            attack=visit.attack,
            reason=None if decision is None else decision.reason,
            granted=decision.subject if decision is not None and decision.grant else None,
            is_acquired=sum(isinstance(message, Observation) for message in usable) >= self._rules.frames,
            passes_pad=passing is not None and passing.grant,
            score=self._passing_score(seen, search, visit.subject if visit.attack is None else None),
            score_without=self._passing_score(seen, self._without(visit.subject), None),
            mated=mated,
            non_mated=non_mated,
        )

    def _observed(self, frames: Iterable[Frame]) -> list[Seen]:
        """Return vision's messages for these frames. The frames get new times, long after the last visit."""
        seen: list[Seen] = []
        began_at = last_at = self._began_at + GAP_S
        for frame in frames:
            last_at, self._number = began_at + frame.at, self._number + 1
            seen += self._pipeline.observe(replace(frame, at=last_at, number=self._number))
        self._began_at = last_at
        here = {message.track for message in seen if isinstance(message, Observation)}
        late = {message.track for message in seen if isinstance(message, TrackEnded)} - here
        return [message for message in seen if message.track not in late]  # drops the end of an earlier visit

    def _decide(self, seen: Sequence[Seen], search: SearchGallery, rules: FaceRules) -> FaceDecision | None:
        """Return the decision of the product's own `Visits`: the first grant, else the first denial, else None."""
        visits = Visits(search, self._index.dimension, rules, centring=lambda: self._index.centring)
        decisions = []
        for message in seen:
            if isinstance(message, TrackEnded):
                decisions.append(visits.end(message.track, message.at))
            else:
                decisions.append(visits.observe(message, message.frame_at))
        decisions += [visits.end(track, self._began_at) for track in {message.track for message in seen}]
        made = [outcome.decision for outcome in decisions if outcome is not None]
        return next((decision for decision in made if decision.grant), made[0] if made else None)

    def _passing_score(self, seen: Sequence[Seen], search: SearchGallery, wanted: SubjectId | None) -> float:
        """Return the highest threshold that grants (to `wanted`, if given), to 1e-9.

        A visit granted at a threshold is granted at every lower one. So the interval is halved.
        """

        def grants(threshold: float) -> bool:
            """Return whether the visit is granted at this threshold."""
            decision = self._decide(seen, search, structs.replace(self._rules, threshold=threshold))
            return decision is not None and decision.grant and wanted in (None, decision.subject)

        low, high = -1.0, 1.0 + 1e-9
        if not grants(low):
            return NO_SCORE
        while high - low > PRECISION:
            middle = (low + high) / 2
            low, high = (middle, high) if grants(middle) else (low, middle)
        return low

    def _without(self, subject: SubjectId | None) -> SearchGallery:
        """Return a search of the gallery without one subject."""
        search = _cached(self._index, COMPARED_CANDIDATES + 1)
        return lambda probe: [candidate for candidate in search(probe) if candidate.subject != subject]

    def _compared(self, seen: Sequence[Seen], subject: SubjectId | None) -> tuple[float | None, Scores]:
        """Compare the first usable frame with everybody. Return the mated score and the non-mated scores."""
        for message in seen:
            probe = _probe(message, self._index.dimension)
            if probe is not None:
                everybody = self._index.search(probe, max(1, self._index.size))
                mated = next((float(c.score) for c in everybody if c.subject == subject), None)
                return mated, np.array([c.score for c in everybody if c.subject != subject], np.float64)
        return None, np.empty(0)


def _probe(message: Seen, dimension: int) -> Embedding | None:
    if isinstance(message, TrackEnded) or message.embedding is None:
        return None
    try:
        return check_embedding(np.frombuffer(message.embedding, "<f4"), dimension)
    except (EmbeddingError, ValueError):
        return None


def _cached(index: Index, limit: int) -> SearchGallery:
    """Return the product's search with a cache, because each visit is decided many times."""
    found: dict[bytes, tuple[Candidate, ...]] = {}

    def search(probe: Embedding) -> tuple[Candidate, ...]:
        """Return the candidates of the index, from the cache if possible."""
        key = probe.tobytes()
        if key not in found:
            found[key] = index.search(probe, limit)
        return found[key]

    return search


def _sure_candidate(probe: Embedding) -> Sequence[Candidate]:
    """Return a sure candidate for every probe. A denial then comes from PAD."""
    return [Candidate(SubjectId("anybody"), "", Score(1.0), "active")]
