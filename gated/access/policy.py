"""May this face pass now? Pure: one frame's evidence becomes a verdict, and a visit's verdicts become one decision.

Every rule is written so that whatever is odd (a score that is no number, a missing value, an empty gallery) denies.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from gated.gallery.search import Candidate
from gated.types import SubjectId


class Reason(StrEnum):
    """Why somebody may pass, or may not. Listed from the most to the least telling, which breaks ties."""

    MATCH = "match"
    ATTACK = "attack"
    SUSPENDED = "suspended"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    UNDECIDED = "undecided"
    POOR_QUALITY = "poor_quality"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers that decide. `threshold` and `margin` are cosine similarities, `pad_threshold` a share of 1."""

    threshold: float
    pad_threshold: float
    margin: float
    frames: int
    give_up_s: float
    max_frame_age_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one frame says: `subject` is set for a match and a suspended person, `score` is the best candidate's.

    `imitated`: whom an attack looks like; None where it looks like nobody who is known.
    """

    reason: Reason
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None
    imitated: SubjectId | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate does about a visit: let in, or not, and why. `frames` is how many looks it took."""

    grant: bool
    reason: Reason
    frames: int
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None


def judge(candidates: Sequence[Candidate], pad_score: float | None, rules: Rules) -> Verdict:
    """What one frame says. `candidates` are a search's best, one a subject, best first."""
    best = candidates[0] if candidates else None
    score = best.score if best is not None else None
    if pad_score is None or not isfinite(pad_score) or (score is not None and not isfinite(score)):
        return Verdict(Reason.ODD)
    if not pad_score >= rules.pad_threshold:
        imitated = best.subject if best is not None and best.score >= rules.threshold else None
        return Verdict(Reason.ATTACK, score=score, pad_score=pad_score, imitated=imitated)
    if best is None or not best.score >= rules.threshold:
        return Verdict(Reason.UNKNOWN, score=score, pad_score=pad_score)
    if best.status == "suspended":
        return Verdict(Reason.SUSPENDED, best.subject, score, pad_score)
    if best.status != "active":
        return Verdict(Reason.ODD)
    if not _is_clear(candidates, rules.margin):
        return Verdict(Reason.AMBIGUOUS, score=score, pad_score=pad_score)
    return Verdict(Reason.MATCH, best.subject, score, pad_score)


def _is_clear(candidates: Sequence[Candidate], margin: float) -> bool:
    """Whether the best is far enough ahead of every other household: twins of one household share a door anyway.

    A suspended relative must not be let in as the twin, so one who is near counts whatever the household.
    """
    best = candidates[0]
    rivals = [c for c in candidates[1:] if c.household != best.household or c.status != "active"]
    return all(best.score - rival.score >= margin for rival in rivals)


def decide(verdicts: Sequence[Verdict], waited_s: float, is_over: bool, rules: Rules) -> Decision | None:
    """The decision about a visit so far, or None to go on looking.

    Grant: the last `rules.frames` looks agree on one subject, each of them above every threshold (the worst counts).
    Deny: as many attacks were seen, the time is up, or the person has left.
    """
    recent = verdicts[-rules.frames :]
    if len(recent) == rules.frames and all(v.reason is Reason.MATCH and v.subject == recent[0].subject for v in recent):
        worst = min(recent, key=_score)
        pad_score = min((v.pad_score for v in recent if v.pad_score is not None), default=None)
        return Decision(True, Reason.MATCH, len(verdicts), worst.subject, worst.score, pad_score)
    attacks = [v for v in verdicts if v.reason is Reason.ATTACK]
    if len(attacks) >= rules.frames:
        return _deny(attacks, len(verdicts), rules)
    if verdicts and (is_over or not waited_s < rules.give_up_s):
        return _deny(verdicts, len(verdicts), rules)
    return None


def _deny(verdicts: Sequence[Verdict], frames: int, rules: Rules) -> Decision:
    """Refuse for the commonest reason; matches that were too few or did not agree are "undecided"."""
    counts = Counter(Reason.UNDECIDED if v.reason is Reason.MATCH else v.reason for v in verdicts)
    order = list(Reason)
    reason = max(counts, key=lambda r: (counts[r], -order.index(r)))
    told = max((v for v in verdicts if v.reason in (reason, Reason.MATCH)), key=_score)
    return Decision(False, reason, frames, told.subject, told.score, told.pad_score)


def _score(verdict: Verdict) -> float:
    return -2.0 if verdict.score is None else verdict.score
