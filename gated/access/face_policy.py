"""Decide whether a face may pass now. Pure: the evidence of a frame becomes a verdict, the verdicts of a visit and its
recognition become a decision. Used by `visits` and `photos`.

Every rule denies on unexpected input: a score that is not finite, a missing value, an empty gallery.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import isfinite
from types import MappingProxyType
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from gated.access.face_evidence import LOOK_SLACK
from gated.access.pad_evidence import PadFinding, PadRates, is_clearly_bona_fide, judge_pad
from gated.gallery.search import Candidate
from gated.types import SubjectId

NOBODYS: Mapping[SubjectId, float] = MappingProxyType({})
"""No person has an own threshold."""


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
    agreement: float = 0.3
    """The least score of a look with the mean of the looks before. It does not move with `threshold`, so that a higher
    threshold never grants more.
    """
    clear_frames: int | None = None
    """The number of frames that a clear visit needs. None: `frames`."""


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
    supported: SubjectId | None = None
    """The person of this frame at a threshold that is `LOOK_SLACK` lower. The frame counts for this person in the
    visit.
    """
    clear: SubjectId | None = None
    """The person of this frame at a threshold that is `LOOK_SLACK` higher."""

    @property
    def named(self) -> SubjectId | None:
        """Return the person of this frame, without regard to PAD. None for a person who may not pass."""
        return self.subject if self.reason is FaceReason.MATCH else self.doubted


class Recognition(Struct, frozen=True):
    """The result of all looks of a visit that agree, with the score of the visit."""

    verdict: LookVerdict
    looks: Sequence[LookVerdict]
    """The verdicts of these looks, oldest first. The last one is the latest frame of good quality."""


class FaceDecision(Struct, frozen=True):
    """The decision about a visit, and its reason. `frames` is the number of looks behind it."""

    grant: bool
    reason: FaceReason
    frames: int
    subject: SubjectId | None = None
    score: float | None = None
    pad_score: float | None = None


def judge_look(
    candidates: Sequence[Candidate],
    pad_score: float | None,
    rules: FaceRules,
    pad_bound: float | None = None,
    own: Mapping[SubjectId, float] = NOBODYS,
) -> LookVerdict:
    """Return the verdict of one frame. `candidates` is a search result: one candidate for each subject, best first.
    `own`: people with a higher threshold of their own.

    `pad_bound` is a PAD threshold. It applies if it is stricter than the one of the rules. A score
    between the two is no match and no attack: a strict bound must not make attacks of living faces.
    """
    score = candidates[0].score if candidates else None
    if not _is_probability(pad_score) or (score is not None and not isfinite(score)):
        return LookVerdict(FaceReason.ODD)
    found = _identified(candidates, pad_score, rules, own)
    supported = _identified(candidates, pad_score, rules, own, LOOK_SLACK).named
    clear = _identified(candidates, pad_score, rules, own, -LOOK_SLACK).named
    if not pad_score >= rules.pad_threshold:
        imitated = _resembled(candidates, rules)
        return LookVerdict(FaceReason.ATTACK, None, score, pad_score, imitated, found.named, supported)
    if pad_bound is not None and not pad_score >= pad_bound:
        return LookVerdict(FaceReason.UNDECIDED, None, score, pad_score, frozenset(), found.named, supported)
    return replace(found, supported=supported, clear=clear)


def _is_probability(pad_score: float | None) -> TypeGuard[float]:
    """Return whether a PAD score is a number from 0 to 1."""
    return pad_score is not None and 0 <= pad_score <= 1


def _identified(
    candidates: Sequence[Candidate],
    pad_score: float,
    rules: FaceRules,
    own: Mapping[SubjectId, float],
    slack: float = 0.0,
) -> LookVerdict:
    """Return the verdict of a frame whose PAD score is good enough, at thresholds that are lower by `slack`."""
    best = candidates[0] if candidates else None
    score = best.score if best is not None else None
    if best is None or not _reaches(best, rules.threshold, own, slack):
        return LookVerdict(FaceReason.UNKNOWN, score=score, pad_score=pad_score)
    if best.status == "suspended":
        return LookVerdict(FaceReason.SUSPENDED, best.subject, score, pad_score)
    if best.status != "active":
        return LookVerdict(FaceReason.ODD)
    if not _is_clear(candidates, rules.margin):
        return LookVerdict(FaceReason.AMBIGUOUS, score=score, pad_score=pad_score)
    return LookVerdict(FaceReason.MATCH, best.subject, score, pad_score)


def _reaches(candidate: Candidate, threshold: float, own: Mapping[SubjectId, float], slack: float) -> bool:
    """Return whether a score is at most `slack` below the threshold and below the person's own one. False for NaN."""
    needed = (threshold, own.get(candidate.subject, threshold))
    return isfinite(candidate.score) and all(candidate.score >= each - slack for each in needed)


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
    recognition: Recognition | None = None,
    plane: float | None = None,
    pad_bound: float | None = None,
) -> FaceDecision | None:
    """Return the decision about a visit so far, or None to continue.

    A grant needs three things. The recognition names a person. Its last `rules.frames` looks support this person. PAD
    finds the visit bona fide, and also these last looks alone. A clear visit needs `rules.clear_frames` looks only.
    Deny: PAD finds an attack, the time is up, or the person has left. `plane`: the log-odds of the visit's motion.
    `pad_bound`: the PAD threshold that applies now, if it is stricter.
    """
    scores = _pad_scores(verdicts)

    def pad(of: Sequence[float]) -> PadFinding:
        """Return the PAD finding from these scores."""
        usual, rates = rules.pad_threshold, rules.pad_rates
        return judge_pad(of, plane, pad_threshold=usual, bound=pad_bound, rates=rates, frames=rules.frames)

    if recognition is not None and _is_clear_visit(recognition, scores, plane, rules, pad_bound):
        return _grant(recognition, len(verdicts), len(recognition.looks))
    finding = pad(scores)
    if finding is PadFinding.ATTACK:
        best = max(verdicts, key=_score)
        return FaceDecision(False, FaceReason.ATTACK, len(verdicts), None, best.score, min(scores))
    if finding is PadFinding.BONA_FIDE and recognition is not None and _is_supported(recognition, rules.frames):
        of_looks = _pad_scores(recognition.looks)
        if len(of_looks) == len(scores) or pad(of_looks) is PadFinding.BONA_FIDE:
            return _grant(recognition, len(verdicts), rules.frames)
    if verdicts and (is_over or not waited_s < rules.give_up_s):
        return _deny(verdicts, len(verdicts), rules)
    return None


def _pad_scores(verdicts: Sequence[LookVerdict]) -> list[float]:
    return [verdict.pad_score for verdict in verdicts if verdict.pad_score is not None]


def _is_supported(recognition: Recognition, frames: int) -> bool:
    """Return whether the visit names a person, and enough looks support this person, the latest ones all of them."""
    named, recent = recognition.verdict.named, recognition.looks[-frames:]
    return named is not None and len(recent) == frames and all(each.supported == named for each in recent)


def _is_clear_visit(
    recognition: Recognition, scores: Sequence[float], plane: float | None, rules: FaceRules, pad_bound: float | None
) -> bool:
    """Return whether a visit is so clear that `rules.clear_frames` are enough.

    The visit names a person at a threshold that is `LOOK_SLACK` higher, each of its looks names this person at the
    threshold itself, no other look had a PAD score, and PAD has no doubt.
    """
    looks, person = recognition.looks, recognition.verdict.clear
    if rules.clear_frames is None or not rules.clear_frames <= len(looks) == len(scores):
        return False
    usual, rates = rules.pad_threshold, rules.pad_rates
    named = {each.subject if each.reason is FaceReason.MATCH else None for each in (recognition.verdict, *looks)}
    is_named = person is not None and named == {person}
    return is_named and is_clearly_bona_fide(scores, plane, pad_threshold=usual, bound=pad_bound, rates=rates)


def _grant(recognition: Recognition, seen: int, frames: int) -> FaceDecision:
    """Return the grant of a visit of `seen` frames: the score of the visit, the lowest PAD score of the last looks."""
    verdict, pad_score = recognition.verdict, min(_pad_scores(recognition.looks[-frames:]), default=None)
    return FaceDecision(True, FaceReason.MATCH, seen, verdict.named, verdict.score, pad_score)


def _deny(verdicts: Sequence[LookVerdict], frames: int, rules: FaceRules) -> FaceDecision:
    """Refuse for the most frequent reason. Matches that were too few or disagreed count as "undecided"."""
    counts = Counter(FaceReason.UNDECIDED if v.reason is FaceReason.MATCH else v.reason for v in verdicts)
    order = list(FaceReason)
    reason = max(counts, key=lambda r: (counts[r], -order.index(r)))
    best = max((v for v in verdicts if v.reason in (reason, FaceReason.MATCH)), key=_score)
    return FaceDecision(False, reason, frames, best.subject, best.score, best.pad_score)


def _score(verdict: LookVerdict) -> float:
    return -2.0 if verdict.score is None else verdict.score
