"""Decide whether a face may pass now. Pure: the evidence of a frame becomes a verdict, the verdicts of a visit become a
decision. Used by `visits` and `photos`.

Every rule denies on unexpected input: a score that is not finite, a missing value, an empty gallery.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from math import isfinite

from msgspec import Struct

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


class LookVerdict(Struct, frozen=True):
    """The result of one frame. `score` is the score of the best candidate. `subject` is set for a match and a suspended
    person.

    `imitated` are the people that an attack resembles. It is empty if the attack resembles no enrolled person.
    """

    reason: FaceReason
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None
    imitated: frozenset[SubjectId] = frozenset()


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
    best = candidates[0] if candidates else None
    score = best.score if best is not None else None
    if pad_score is None or not isfinite(pad_score) or (score is not None and not isfinite(score)):
        return LookVerdict(FaceReason.ODD)
    if not pad_score >= rules.pad_threshold:
        return LookVerdict(FaceReason.ATTACK, score=score, pad_score=pad_score, imitated=_resembled(candidates, rules))
    if pad_bound is not None and not pad_score >= pad_bound:
        return LookVerdict(FaceReason.UNDECIDED, score=score, pad_score=pad_score)
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
    verdicts: Sequence[LookVerdict], waited_s: float, is_over: bool, rules: FaceRules
) -> FaceDecision | None:
    """Return the decision about a visit so far, or None to continue.

    Grant: the last `rules.frames` looks agree on one subject, and each is above every threshold. The decision has the
    lowest score of them. Deny: `rules.frames` looks were attacks, the time is up, or the person has left.
    """
    recent = verdicts[-rules.frames :]
    if len(recent) == rules.frames and all(
        v.reason is FaceReason.MATCH and v.subject == recent[0].subject for v in recent
    ):
        worst = min(recent, key=_score)
        pad_score = min((v.pad_score for v in recent if v.pad_score is not None), default=None)
        return FaceDecision(True, FaceReason.MATCH, len(verdicts), worst.subject, worst.score, pad_score)
    attacks = [v for v in verdicts if v.reason is FaceReason.ATTACK]
    if len(attacks) >= rules.frames:
        return _deny(attacks, len(verdicts), rules)
    if verdicts and (is_over or not waited_s < rules.give_up_s):
        return _deny(verdicts, len(verdicts), rules)
    return None


def _deny(verdicts: Sequence[LookVerdict], frames: int, rules: FaceRules) -> FaceDecision:
    """Refuse for the most frequent reason. Matches that were too few or disagreed count as "undecided"."""
    counts = Counter(FaceReason.UNDECIDED if v.reason is FaceReason.MATCH else v.reason for v in verdicts)
    order = list(FaceReason)
    reason = max(counts, key=lambda r: (counts[r], -order.index(r)))
    best = max((v for v in verdicts if v.reason in (reason, FaceReason.MATCH)), key=_score)
    return FaceDecision(False, reason, frames, best.subject, best.score, best.pad_score)


def _score(verdict: LookVerdict) -> float:
    return -2.0 if verdict.score is None else verdict.score
