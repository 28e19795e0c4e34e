"""The visits at this gate: collect looks at each face in view until a decision, and decide once. Used by
`FaceService`.

Observations come from a process that may be faulty or compromised. This module checks them before they count as
evidence.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from gated.access.face_evidence import Looks, added, weight_of
from gated.access.face_policy import (
    FaceDecision,
    FaceReason,
    FaceRules,
    LookVerdict,
    Recognition,
    decide_visit,
    judge_look,
)
from gated.composite import Centring, Composite
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.face.vision_messages import Observation
from gated.gallery.search import Candidate
from gated.types import SubjectId

PadBound = Callable[[float, float], float]
"""A function of the usual PAD threshold and the monotonic time in seconds. Returns the PAD threshold that
applies then.
"""
SearchGallery = Callable[[Embedding], Sequence[Candidate]]
SearchTime = Callable[[SubjectId], float | None]
"""A function that returns the search time a person prefers, in seconds, or None for the default."""

COMPARED_CANDIDATES = 5
"""The number of compared candidates: enough to include a rival of another household."""

PRESENT_S = 3.0
"""A face that was last seen at most so many seconds ago is present together with a card or PIN."""

UNJUDGED = frozenset({"too_small", "too_near", "background"})
"""Problems of a face that the gate cannot judge from its position. It gets guidance, but no visit, record or
refusal.
"""


class OpenVisit(Struct):
    """One tracked face: the verdict of each look, and whether a decision was made."""

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    began_at: float = 0.0
    seen_at: float = 0.0
    verdicts: list[LookVerdict] = field(default_factory=list)
    plane: float | None = None
    """The log-odds of the motion so far, as in the latest look."""
    evidence: Looks | None = None
    """The looks that agree, until the decision. None after an odd one."""
    run: list[LookVerdict] = field(default_factory=list)
    """The verdicts of these looks."""
    recognition: Recognition | None = None
    recognised_at: float = -inf
    """The exposure time of the latest look in the recognition."""
    is_decided: bool = False
    may_begin_again: bool = False
    """Whether the visit was refused, and not as an attack."""
    latest: bytes | None = None
    """The embedding of the latest good frame. A camera that repeats a picture gives it again."""
    looks: list[bytes] = field(default_factory=list)
    """The embeddings of the latest consecutive good looks, as vision sent them. They continue after the decision."""

    def add(self, looks: Looks | None, verdict: LookVerdict, together: LookVerdict | None) -> None:
        """Add the verdict of a look. `looks`: those that agree, with this one; None ends the evidence. `together`:
        their verdict.
        """
        kept = 0 if looks is None else looks.count - 1
        self.evidence, self.run = looks, [*self.run[len(self.run) - kept :], verdict] if looks else []
        self.recognition = Recognition(together, self.run) if together is not None else None


class VisitOutcome(Struct, frozen=True):
    """A decision about a visit. `frame_at` is the exposure time of its last frame, in monotonic seconds."""

    visit: str
    decision: FaceDecision
    frame_at: float
    imitated: frozenset[SubjectId] = frozenset()
    """The people that attack looks resembled. Empty after a grant. It also counts attacks of a visitor who leaves
    early.
    """

    @property
    def is_attack(self) -> bool:
        """Return whether the visit counts as an attack, on a known person or on nobody known."""
        return bool(self.imitated) or self.decision.reason is FaceReason.ATTACK


MOST_VISITS = 100
"""The most open visits. A faulty vision process could send a new track in every message. The oldest visit is dropped
without a decision.
"""


class Visits:
    """All faces in view. Pure except for its memory: callers pass the time in, and methods return decisions."""

    def __init__(
        self,
        search: SearchGallery,
        dimension: int,
        rules: FaceRules,
        patience: SearchTime = lambda _: None,
        bound: PadBound = lambda usual, _: usual,
        *,
        admits: Callable[[], bool] = lambda: True,
        centring: Callable[[], Centring] | None = None,
    ) -> None:
        """`admits` is called once for each new track (see `visit_rate`). If it returns False, the track is ignored.
        `centring` returns the centring of the search. None: embeddings have one part, not centred.
        """
        plain = Composite.single(dimension).centring
        self._centring = centring or (lambda: plain)
        self._search, self._dimension, self.rules, self._search_time = search, dimension, rules, patience
        self._bound, self._admits = bound, admits
        self._open: dict[int, OpenVisit] = {}
        self.thresholds: Mapping[SubjectId, float] = {}
        """People with a higher threshold of their own."""

    def observe(self, seen: Observation, now: float) -> VisitOutcome | None:
        """Take one look at one face. Return a decision if it is due. Ignores a frame that is too old, in the future or
        out of order.
        """
        age_s = now - seen.frame_at
        if seen.problem in UNJUDGED or not 0 <= age_s <= self.rules.max_frame_age_s:
            return None
        if seen.track not in self._open and not self._make_room():
            return None
        visit = self._open.setdefault(seen.track, OpenVisit(began_at=seen.frame_at))
        if not seen.frame_at > visit.seen_at:
            return None
        visit.seen_at = seen.frame_at
        look = self._good_look(seen, now)
        visit.looks = [] if look is None else [*visit.looks, look][-self.rules.frames :]
        if visit.is_decided:
            return None
        visit.plane = seen.plane_log_odds
        visit.verdicts.append(self._verdict(visit, seen, now))
        return self._decide(visit, now, is_over=False)

    def _make_room(self) -> bool:
        """Return whether one more visit may begin. Drops the oldest visit if there are `MOST_VISITS`."""
        if not self._admits():
            return False
        if len(self._open) >= MOST_VISITS:
            del self._open[next(iter(self._open))]
        return True

    def end(self, track: int, now: float) -> VisitOutcome | None:
        """End a visit, because the face has left. Return a decision if there was none."""
        visit = self._open.pop(track, None)
        return None if visit is None or visit.is_decided else self._decide(visit, now, is_over=True)

    def recent_good_looks(self, now: float) -> list[Embedding]:
        """Return the latest good looks at the only face before the gate, as many as a grant needs.

        Returns an empty list if there are several faces or too few looks, or if the last look is older than
        `PRESENT_S`.
        """
        here = [visit for visit in self._open.values() if 0 <= now - visit.seen_at <= PRESENT_S]
        if len(here) != 1 or len(here[0].looks) < self.rules.frames:
            return []
        try:
            return [check_embedding(np.frombuffer(look, "<f4"), self._dimension) for look in here[0].looks]
        except (EmbeddingError, ValueError):
            return []

    def _good_look(self, seen: Observation, now: float) -> bytes | None:
        """Return the embedding of a look without any problem that passes the PAD check, else None."""
        pad = seen.pad_score
        is_living = pad is not None and pad >= self._pad_threshold(now)
        return seen.embedding if seen.problem is None and is_living else None

    def forget(self, track: int) -> None:
        """Drop the visit without a decision. The next look at this face begins a new visit."""
        self._open.pop(track, None)

    def judge_again(self) -> None:
        """Begin new visits at the next look, for the faces that were refused. Attacks and grants stay decided."""
        for track in [track for track, visit in self._open.items() if visit.may_begin_again]:
            self.forget(track)

    def tick(self, now: float) -> list[VisitOutcome]:
        """Refuse visits that have waited too long. The cue then asks people to use another credential. Return the
        decisions.
        """
        waiting = [visit for visit in self._open.values() if not visit.is_decided]
        return [outcome for visit in waiting if (outcome := self._decide(visit, now, is_over=False))]

    def end_all(self, now: float) -> list[VisitOutcome]:
        """End all visits, because vision is lost. Return the decisions: they open nothing, but an attack counts."""
        return [outcome for track in list(self._open) if (outcome := self.end(track, now))]

    def _verdict(self, visit: OpenVisit, seen: Observation, now: float) -> LookVerdict:
        """Return the verdict of a frame, and add its look to the evidence of the visit. A poor frame adds nothing."""
        if seen.problem is not None or seen.embedding is None:
            return LookVerdict(FaceReason.POOR_QUALITY)
        try:
            probe = check_embedding(np.frombuffer(seen.embedding, "<f4"), self._dimension)
            candidates = self._search(probe)  # refuses a probe with a damaged part
            verdict = self._judged(candidates, seen, now)
            if verdict.reason is FaceReason.ODD:
                raise EmbeddingError("a look with an odd score")
            looks = added(visit.evidence, probe, weight_of(seen.quality), self._centring(), self.rules.agreement)
            together = self._judged(self._of_visit(looks, candidates), seen, now)
        except (EmbeddingError, ValueError):
            visit.add(None, LookVerdict(FaceReason.ODD), None)
            return LookVerdict(FaceReason.ODD)
        if seen.embedding == visit.latest:
            together = replace(together, clear=None)  # two frames with one picture are not two looks
        visit.add(looks, verdict, together)
        visit.latest = seen.embedding
        visit.recognised_at = seen.frame_at
        return replace(verdict, imitated=verdict.imitated | together.imitated)

    def _judged(self, candidates: Sequence[Candidate], seen: Observation, now: float) -> LookVerdict:
        return judge_look(candidates, seen.pad_score, self.rules, self._pad_threshold(now), self.thresholds)

    def _of_visit(self, looks: Looks, of_latest: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates with their scores of the visit. `of_latest`: the candidates of the latest look.

        Raises `EmbeddingError` if the looks have no common direction.
        """
        if looks.count == 1:
            return of_latest
        return [looks.score_of(each) for each in self._search(looks.probe(self._centring().composite))]

    def _pad_threshold(self, now: float) -> float:
        return self._bound(self.rules.pad_threshold, now)

    def _decide(self, visit: OpenVisit, now: float, *, is_over: bool) -> VisitOutcome | None:
        waited_s, rules = now - visit.began_at, self._rules_for(visit)
        waited_s, bound = waited_s if isfinite(waited_s) else rules.give_up_s, self._pad_threshold(now)
        is_fresh = now - visit.recognised_at <= rules.max_frame_age_s  # also False for NaN
        recognition = visit.recognition if is_fresh else None
        decision = decide_visit(
            visit.verdicts, waited_s, is_over, rules, recognition=recognition, plane=visit.plane, pad_bound=bound
        )
        if decision is None:
            return None
        visit.is_decided, visit.evidence, visit.recognition, visit.run = True, None, None, []
        outcome = VisitOutcome(visit.id, decision, visit.seen_at, _imitated(visit.verdicts, decision))
        visit.may_begin_again = not (decision.grant or outcome.is_attack)
        return outcome

    def _rules_for(self, visit: OpenVisit) -> FaceRules:
        """Return the rules, with the longest search time that a person recognised in any look prefers."""
        recognised = {verdict.subject for verdict in visit.verdicts if verdict.reason is FaceReason.MATCH}
        asked = [self._search_time(subject) or 0.0 for subject in recognised if subject is not None]
        return replace(self.rules, give_up_s=max([self.rules.give_up_s, *asked]))


def _imitated(verdicts: Sequence[LookVerdict], decision: FaceDecision) -> frozenset[SubjectId]:
    """Return the people that the attack looks of a visit resembled. If only its motion was an attack: those it named.

    Empty after a grant.
    """
    if decision.grant:
        return frozenset()
    resembled = frozenset[SubjectId]().union(*(each.imitated for each in verdicts))
    if resembled or decision.reason is not FaceReason.ATTACK:
        return resembled
    return frozenset(each.named for each in verdicts if each.named is not None)
