"""Shows visits to the gate and notes what it decides: the product's own pipeline, search and rules, and no door.

Beside what was decided, an outcome keeps the scores that it hung on, so that one run tells of every threshold: the
score of a visit is the highest threshold at which the gate would still have let it in, found by asking the gate.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from gated.access.policy import Decision, Reason, Rules
from gated.access.visits import NEAREST, Search, Visits
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.evaluation.rates import NO_SCORE, Scores
from gated.face.messages import Observation, TrackEnded
from gated.frame import Frame
from gated.gallery.search import Candidate, Index
from gated.types import Score, SubjectId

GAP_S = 10.0
"""So long nobody is in view between two visits: every track has ended, and whoever comes is new."""

Seen = Observation | TrackEnded


class Eyes(Protocol):
    """What evaluation needs of a `FacePipeline`."""

    def observe(self, frame: Frame) -> list[Seen]:
        """What is new since the frame before."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody comes to the gate. `subject` is None for a stranger; of an attack it is the person whose face is shown.

    `groups`: what rates are told by, as "children"; for a report, never for a decision. `frames`: `at` in seconds.
    """

    subject: SubjectId | None
    groups: frozenset[str]
    attack: str | None
    frames: Iterable[Frame]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a visit. Scores are cosine similarities; `NO_SCORE` where no threshold would have let anybody in."""

    subject: SubjectId | None
    groups: frozenset[str]
    attack: str | None
    reason: Reason | None
    """Why it was decided so; None when no face was seen at the gate at all."""
    granted: SubjectId | None
    """Whom the gate took this visitor for when it opened."""
    is_acquired: bool
    """Whether there were as many usable looks as a grant needs."""
    passes_pad: bool
    """Whether presentation attack detection alone would let this visit in, with a search that is always sure."""
    score: float
    """The highest threshold that lets this visit in: as the visitor's own self, or a stranger as anybody."""
    score_without: float
    """The same, had the visitor not been in the gallery (leave one identity out); a stranger's is `score`."""
    mated: float | None = None
    """The first usable look compared with the visitor's own templates, the best of them."""
    non_mated: Scores = field(default_factory=lambda: np.empty(0))
    """The same look compared with everybody else, one score a person."""


def evaluate_visits(pipeline: Eyes, index: Index, rules: Rules, visits: Iterable[Visit]) -> Iterator[Outcome]:
    """What the gate makes of each visit, one after the other. Raises as `FacePipeline.observe` does."""
    judge = Judge(pipeline, index, rules)
    return (judge.outcome(visit) for visit in visits)


class Judge:
    """A gate without a door: one pipeline, one gallery, one set of rules."""

    def __init__(self, pipeline: Eyes, index: Index, rules: Rules) -> None:
        self._pipeline, self._index, self._rules = pipeline, index, rules
        self._began_at, self._number = 0.0, 0

    def outcome(self, visit: Visit) -> Outcome:
        """Watch one visit to its end, decide on it, and ask what would have changed the decision."""
        seen = self._watch(visit.frames)
        search = _once_each(self._index, NEAREST)
        decision = self._decide(seen, search, self._rules)
        mated, non_mated = self._compared(seen, visit.subject)
        usable = [look for look in seen if isinstance(look, TrackEnded) or look.pad_score is not None]
        passing = self._decide(usable, _anybody, self._rules)
        return Outcome(
            subject=visit.subject,
            groups=visit.groups,
            attack=visit.attack,
            reason=None if decision is None else decision.reason,
            granted=decision.subject if decision is not None and decision.grant else None,
            is_acquired=sum(isinstance(look, Observation) for look in usable) >= self._rules.frames,
            passes_pad=passing is not None and passing.grant,
            score=self._passing_score(seen, search, visit.subject if visit.attack is None else None),
            score_without=self._passing_score(seen, self._without(visit.subject), None),
            mated=mated,
            non_mated=non_mated,
        )

    def _watch(self, frames: Iterable[Frame]) -> list[Seen]:
        """What vision says about these frames; they are given times of their own, long after the visit before."""
        seen: list[Seen] = []
        began_at = last_at = self._began_at + GAP_S
        for frame in frames:
            last_at, self._number = began_at + frame.at, self._number + 1
            seen += self._pipeline.observe(replace(frame, at=last_at, number=self._number))
        self._began_at = last_at
        here = {look.track for look in seen if isinstance(look, Observation)}
        late = {look.track for look in seen if isinstance(look, TrackEnded)} - here
        return [look for look in seen if look.track not in late]  # the end of a visit before this one

    def _decide(self, seen: Sequence[Seen], search: Search, rules: Rules) -> Decision | None:
        """What the product's own `Visits` decide: the first grant, else the first refusal, None without a visit."""
        visits = Visits(search, self._index.dimension, rules)
        decisions = []
        for look in seen:
            if isinstance(look, TrackEnded):
                decisions.append(visits.end(look.track, look.at))
            else:
                decisions.append(visits.observe(look, look.frame_at))
        decisions += [visits.end(track, self._began_at) for track in {look.track for look in seen}]
        made = [outcome.decision for outcome in decisions if outcome is not None]
        return next((decision for decision in made if decision.grant), made[0] if made else None)

    def _passing_score(self, seen: Sequence[Seen], search: Search, wanted: SubjectId | None) -> float:
        """The highest threshold that grants (to `wanted`, if given): the score of one of the looks."""

        def lets_in(threshold: float) -> bool:
            decision = self._decide(seen, search, replace(self._rules, threshold=threshold))
            return decision is not None and decision.grant and wanted in (None, decision.subject)

        probes = [probe for look in seen if (probe := _probe(look, self._index.dimension)) is not None]
        scores = {float(found[0].score) for probe in probes if (found := search(probe))}
        return next((score for score in sorted(scores, reverse=True) if lets_in(score)), NO_SCORE)

    def _without(self, subject: SubjectId | None) -> Search:
        """The search of a gallery that somebody has left."""
        search = _once_each(self._index, NEAREST + 1)
        return lambda probe: [candidate for candidate in search(probe) if candidate.subject != subject]

    def _compared(self, seen: Sequence[Seen], subject: SubjectId | None) -> tuple[float | None, Scores]:
        """The first usable look against everybody: the score with the visitor's own templates, and with the others'."""
        for look in seen:
            probe = _probe(look, self._index.dimension)
            if probe is not None:
                everybody = self._index.search(probe, max(1, self._index.size))
                mated = next((float(c.score) for c in everybody if c.subject == subject), None)
                return mated, np.array([c.score for c in everybody if c.subject != subject], np.float64)
        return None, np.empty(0)


def _probe(look: Seen, dimension: int) -> Embedding | None:
    if isinstance(look, TrackEnded) or look.embedding is None:
        return None
    try:
        return check_embedding(np.frombuffer(look.embedding, "<f4"), dimension)
    except (EmbeddingError, ValueError):
        return None


def _once_each(index: Index, limit: int) -> Search:
    """The product's search, asked once for each look however often the visit is decided anew."""
    found: dict[bytes, tuple[Candidate, ...]] = {}

    def search(probe: Embedding) -> tuple[Candidate, ...]:
        key = probe.tobytes()
        if key not in found:
            found[key] = index.search(probe, limit)
        return found[key]

    return search


def _anybody(probe: Embedding) -> Sequence[Candidate]:
    """A search that is always sure: what is refused then is refused by presentation attack detection."""
    return [Candidate(SubjectId("anybody"), "", Score(1.0), "active")]
