"""Decides from the PAD evidence of a visit: bona fide, attack, or undecided. Pure. For the decision about a visit.

A sequential test after Wald (Ann. Math. Statist. 16, 1945): evidence is added until it passes one of two bounds, which
follow from two error rates. A visit without a clear answer gets more frames, and denies when its time is over.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite, log

from msgspec import Struct

from gated.face.log_odds import log_odds

FRAME_LIMIT = 6.0
"""Most log-odds of one frame, in each direction. PAD nets are overconfident on pictures unlike those of their training,
so one frame must not outweigh all others. 6 is a probability of 0.9975.
"""
PLANE_LIMIT = 2.0
"""Most log-odds of the motion of a plane. It decides doubtful visits only, and never overrules clear PAD scores."""


class PadFinding(StrEnum):
    """The result of the test so far."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"
    UNDECIDED = "undecided"


class PadRates(Struct, frozen=True):
    """The two error rates that the test aims at: of bona fide visits rejected, and of attacks accepted. Within 0..0.5.

    The defaults are rates that the nets of the set `site` reached on videos (`models/README.md`).
    """

    bpcer: float = 0.03
    apcer: float = 0.1

    @property
    def bounds(self) -> tuple[float, float]:
        """Return Wald's bounds of the log-odds: at or below the first is an attack, from the second on bona fide."""
        return log(self.bpcer / (1 - self.apcer)), log((1 - self.bpcer) / self.apcer)


def evidence(scores: Sequence[float | None], plane: float | None, pad_threshold: float) -> float | None:
    """Return the log-odds of a bona fide visit from the PAD scores of its frames. None without any.

    The frames' log-odds over those of the threshold are averaged, not added: frames of one visit show the same object
    in the same light, so ten of them tell hardly more than one. On videos, the mean of ten frames separated prints as
    a single frame did: 22.1 against 21 % accepted at about the same BPCER (`models/README.md`). An average also cannot
    be driven by the number of frames that a vision process sends. `plane` is one value for the visit, and is added
    once. Any odd number (NaN, infinity, no probability) counts as the clearest attack.
    """
    if not scores:
        return None
    usual = log_odds(pad_threshold)
    mean = sum(_limited(_odds(score) - usual, FRAME_LIMIT) for score in scores) / len(scores)
    return mean + (0.0 if plane is None else _limited(plane, PLANE_LIMIT))


def judge_pad(
    scores: Sequence[float | None],
    plane: float | None,
    *,
    pad_threshold: float,
    rates: PadRates,
    frames: int,
    is_last: bool = False,
) -> PadFinding:
    """Return the finding from the PAD scores of a visit so far, oldest first, and the log-odds of its motion.

    `frames`: the least number of scores for any finding. `is_last`: no more frames follow, so the sign of the evidence
    decides: that is the PAD threshold, but over all frames instead of the best ones. A truncated test is decided at
    twice `frames` at the earliest; with fewer scores it remains undecided, which opens nothing.
    """
    found = evidence(scores, plane, pad_threshold)
    if found is None or len(scores) < frames:
        return PadFinding.UNDECIDED
    attack, bona_fide = rates.bounds
    if found >= bona_fide:
        return PadFinding.BONA_FIDE
    if not found > attack:
        return PadFinding.ATTACK
    if is_last and len(scores) >= 2 * frames:
        return PadFinding.BONA_FIDE if found >= 0 else PadFinding.ATTACK
    return PadFinding.UNDECIDED


def _odds(score: float | None) -> float:
    """Return the log-odds of a score. Those of 0 for what is no probability."""
    return log_odds(-1.0 if score is None else score)


def _limited(odds: float, most: float) -> float:
    """Return log-odds within -`most` to `most`. NaN gives -`most`."""
    return max(-most, min(most, odds)) if isfinite(odds) else -most
