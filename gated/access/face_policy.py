"""Decide whether a face may pass now. Pure: the evidence of a frame becomes a verdict, the verdicts of a visit become a
decision. Used by `visits` and `photos`.

Every rule denies on unexpected input: a score that is not finite, a missing value, an empty gallery.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import TypeGuard

from msgspec import Struct

from gated.access.pad_evidence import PadFinding, PadRates, judge_pad
from gated.gallery.search import Candidate
from gated.types import SubjectId


class FaceReason(StrEnum):
    """The reason of a verdict or decision. Earlier members are more informative and win ties."""

    MATCH = "match"
    ATTACK = "attack"
    SUSPENDED = "suspended"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    UNDECIDED = "undecided"
    POOR_QUALITY = "poor_quality"
    ODD = "odd"


class FaceRules(Struct, frozen=True):
    """The parameters of a decision. `threshold` and `margin` are cosine similarities, `pad_threshold` is in 0..1."""

    threshold: float
    pad_threshold: float
    margin: float
    frames: int
    give_up_s: float
    max_frame_age_s: float
    pad_rates: PadRates = PadRates()


class LookVerdict(Struct, frozen=True):
    """The result of one frame. `score` is the score of the best candidate. `subject` is set for a match and a suspended
    person.

    `imitated` are the people that an attack resembles. It is empty if the attack resembles no enrolled person.
    `doubted` is the person whom a frame would match if its PAD score alone were good enough. PAD is decided over the
    visit.
    """

    reason: FaceReason
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None
    imitated: frozenset[SubjectId] = frozenset()
    doubted: SubjectId | None = None

    @property
    def named(self) -> SubjectId | None:
        """Return the person of this frame, whatever PAD makes of it. None for anybody who may not pass."""
        return self.subject if self.reason is FaceReason.MATCH else self.doubted


class FaceDecision(Struct, frozen=True):
    """The decision about a visit, and its reason. `frames` is the number of looks behind it."""

    grant: bool
    reason: FaceReason
    frames: int
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None


def judge_look(
    candidates: Sequence[Candidate], pad_score: float | None, rules: FaceRules, pad_bound: float | None = None
) -> LookVerdict:
    """Return the verdict of one frame. `candidates` is a search result: one candidate for each subject, best first.

    `pad_bound` is a PAD threshold that applies if it is stricter than that of the rules. A score
    between the two is no match and no attack: a strict bound must not make attacks of living faces.
    """
    score = candidates[0].score if candidates else None
    if not _is_probability(pad_score) or (score is not None and not isfinite(score)):
        return LookVerdict(FaceReason.ODD)
    found = _identified(candidates, pad_score, rules)
    if not pad_score >= rules.pad_threshold:
        imitated = _resembled(candidates, rules)
        return LookVerdict(FaceReason.ATTACK, None, score, pad_score, imitated, found.named)
    if pad_bound is not None and not pad_score >= pad_bound:
        return LookVerdict(FaceReason.UNDECIDED, score=score, pad_score=pad_score, doubted=found.named)
    return found


def _is_probability(pad_score: float | None) -> TypeGuard[float]:
    """Return whether a PAD score is a number from 0 to 1."""
    return pad_score is not None and 0 <= pad_score <= 1


def _identified(candidates: Sequence[Candidate], pad_score: float, rules: FaceRules) -> LookVerdict:
    """Return the verdict of a frame whose PAD score is good enough."""
    best = candidates[0] if candidates else None
    score = best.score if best is not None else None
    if best is None or not best.score >= rules.threshold:
        return LookVerdict(FaceReason.UNKNOWN, score=score, pad_score=pad_score)
    if best.status == "suspended":
        return LookVerdict(FaceReason.SUSPENDED, best.subject, score, pad_score)
    if best.status != "active":
        return LookVerdict(FaceReason.ODD)
    if not _is_clear(candidates, rules.margin):
        return LookVerdict(FaceReason.AMBIGUOUS, score=score, pad_score=pad_score)
    return LookVerdict(FaceReason.MATCH, best.subject, score, pad_score)


def above_own(verdict: LookVerdict, threshold: float | None) -> LookVerdict:
    """Return the verdict if its score reaches the person's own threshold, else that the face is unknown. None: there is
    none.
    """
    if threshold is None or (verdict.score is not None and verdict.score >= threshold):
        return verdict
    return LookVerdict(FaceReason.UNKNOWN, score=verdict.score, pad_score=verdict.pad_score)


def _resembled(candidates: Sequence[Candidate], rules: FaceRules) -> frozenset[SubjectId]:
    """Return the people that this look could pass as: above the threshold, and within the margin of the best."""
    least = max(rules.threshold, candidates[0].score - rules.margin) if candidates else rules.threshold
    return frozenset(each.subject for each in candidates if each.score >= least)


def _is_clear(candidates: Sequence[Candidate], margin: float) -> bool:
    """Return whether the best candidate leads every rival by `margin`. An active member of the same household is no
    rival.

    Twins of one household may enter the same home anyway. A suspended relative is always a rival, so that this person
    is not let in as the twin.
    """
    best = candidates[0]
    rivals = [c for c in candidates[1:] if c.household != best.household or c.status != "active"]
    return all(best.score - rival.score >= margin for rival in rivals)


def decide_visit(
    verdicts: Sequence[LookVerdict],
    waited_s: float,
    is_over: bool,
    rules: FaceRules,
    *,
    plane: float | None = None,
    pad_bound: float | None = None,
) -> FaceDecision | None:
    """Return the decision about a visit so far, or None to continue.

    Grant: the last `rules.frames` looks name one subject, and PAD finds the visit bona fide. The decision has the
    lowest score of them. Deny: PAD finds an attack, the time is up, or the person has left. `plane`: the log-odds of
    the visit's motion. `pad_bound`: the PAD threshold that applies now, if it is stricter.
    """
    scores = [v.pad_score for v in verdicts if v.pad_score is not None]
    finding = judge_pad(
        scores, plane, pad_threshold=rules.pad_threshold, bound=pad_bound, rates=rules.pad_rates, frames=rules.frames
    )
    recent = verdicts[-rules.frames :]
    if finding is PadFinding.BONA_FIDE and _name_one(recent, rules.frames):
        return _grant(recent, len(verdicts))
    if finding is PadFinding.ATTACK:
        best = max(verdicts, key=_score)
        return FaceDecision(False, FaceReason.ATTACK, len(verdicts), None, best.score, min(scores))
    if verdicts and (is_over or not waited_s < rules.give_up_s):
        return _deny(verdicts, len(verdicts), rules)
    return None


def _name_one(recent: Sequence[LookVerdict], frames: int) -> bool:
    """Return whether these looks are enough and all name the same person."""
    named = recent[0].named if recent else None
    return named is not None and len(recent) == frames and all(v.named == named for v in recent)


def _grant(recent: Sequence[LookVerdict], frames: int) -> FaceDecision:
    """Return the grant of a visit of so many frames, with the lowest scores of its recent looks."""
    worst = min(recent, key=_score)
    pad_score = min((v.pad_score for v in recent if v.pad_score is not None), default=None)
    return FaceDecision(True, FaceReason.MATCH, frames, worst.named, worst.score, pad_score)


def _deny(verdicts: Sequence[LookVerdict], frames: int, rules: FaceRules) -> FaceDecision:
    """Refuse for the most frequent reason. Matches that were too few or disagreed count as "undecided"."""
    counts = Counter(FaceReason.UNDECIDED if v.reason is FaceReason.MATCH else v.reason for v in verdicts)
    order = list(FaceReason)
    reason = max(counts, key=lambda r: (counts[r], -order.index(r)))
    best = max((v for v in verdicts if v.reason in (reason, FaceReason.MATCH)), key=_score)
    return FaceDecision(False, reason, frames, best.subject, best.score, best.pad_score)


def _score(verdict: LookVerdict) -> float:
    return -2.0 if verdict.score is None else verdict.score
