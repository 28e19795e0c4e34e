"""Decides from the PAD evidence of a visit: bona fide, attack, or undecided. Pure. For the decision about a visit.

A sequential test after Wald (Ann. Math. Statist. 16, 1945): evidence is collected until it passes one of two bounds,
which follow from two error rates. A visit without a clear answer gets more frames. At twice the usual number of frames
the test is truncated: its sign decides.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite, log

from msgspec import Struct

from gated.face.log_odds import log_odds

FRAME_LIMIT = 6.0
"""Most log-odds of one frame, in each direction. PAD nets are overconfident on pictures that differ from their
training. So one frame must not outweigh all others. 6 is a probability of 0.9975.
"""
PLANE_LIMIT = 2.0
"""Most log-odds of the motion of a plane. It decides doubtful visits only, and never overrules clear PAD scores."""


TRUNCATED_AFTER = 2
"""The test is truncated after this multiple of the least number of frames. That is within two seconds at three frames a
second.
"""


CLEAR_APCER_SHARE = 0.1
"""A visit is clear if each frame alone would be bona fide at so small a share of the APCER: log-odds of 4.17 with the
default rates.
"""


class PadFinding(StrEnum):
    """The result of the test so far."""

    BONA_FIDE = "bona_fide"
    ATTACK = "attack"
    UNDECIDED = "undecided"


class PadRates(Struct, frozen=True):
    """The two error rates that the test aims at: of bona fide visits rejected, and of attacks accepted. Within 0..0.5.

    The defaults follow the rates of the `site` nets on videos. At a BPCER of 3 %, they accepted 10.7 to 22.1 % of
    prints (`models/README.md`).
    """

    bpcer: float = 0.03
    apcer: float = 0.15

    @property
    def bounds(self) -> tuple[float, float]:
        """Return Wald's bounds of the log-odds: at or below the first is an attack, from the second on bona fide."""
        return log(self.bpcer / (1 - self.apcer)), log((1 - self.bpcer) / self.apcer)


def evidence(scores: Sequence[float | None], plane: float | None, pad_threshold: float) -> float | None:
    """Return the log-odds of a bona fide visit from the PAD scores of its frames. None without any.

    The log-odds of the frames, less the log-odds of the threshold, are averaged and not added. Frames of one visit show
    the same object in the same light. So ten frames give little more evidence than one. On videos, the mean of ten
    frames separated prints as a single frame did: 22.1 against 21 % accepted at about the same BPCER
    (`models/README.md`). An average also cannot be driven by the number of frames that a vision process sends. `plane`
    is one value for the visit, and is added once. Any odd number (NaN, infinity, no probability) counts as the clearest
    attack.
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
    bound: float | None = None,
    rates: PadRates,
    frames: int,
) -> PadFinding:
    """Return the finding from the PAD scores of a visit so far, oldest first, and the log-odds of its motion.

    `frames`: the least number of scores for any finding. `bound`: a stricter threshold for bona fide ones, or None. It
    never makes attacks of living faces. From `TRUNCATED_AFTER` times `frames` on, the sign of the evidence decides.
    This applies the PAD threshold to the whole visit instead of its best frames. The latest `frames` scores alone must
    not be a clear attack. So good frames of one face cannot outweigh another face that took its place.
    """
    found = evidence(scores, plane, pad_threshold)
    if found is None or len(scores) < frames:
        return PadFinding.UNDECIDED
    attack, bona_fide = rates.bounds
    is_truncated = len(scores) >= TRUNCATED_AFTER * frames
    if not found > attack or (is_truncated and not found >= 0):
        return PadFinding.ATTACK
    strict = evidence(scores, plane, _strictest(pad_threshold, bound))
    latest = evidence(scores[-frames:], None, pad_threshold)
    if strict is None or latest is None or not latest > attack:
        return PadFinding.UNDECIDED
    return PadFinding.BONA_FIDE if strict >= (0 if is_truncated else bona_fide) else PadFinding.UNDECIDED


def is_clearly_bona_fide(
    scores: Sequence[float | None],
    plane: float | None,
    *,
    pad_threshold: float,
    bound: float | None = None,
    rates: PadRates,
) -> bool:
    """Return whether every frame alone is bona fide beyond doubt, and no motion speaks against it.

    Such a visit needs fewer frames. On rendered approaches, two such frames accepted no attack that the usual test
    rejects (`models/README.md`). Any odd number gives False.
    """
    if not scores or not (plane is None or plane >= 0):
        return False
    _, least = PadRates(rates.bpcer, CLEAR_APCER_SHARE * rates.apcer).bounds
    found = [evidence([score], None, _strictest(pad_threshold, bound)) for score in scores]
    return all(each is not None and each >= least for each in found)


def _strictest(pad_threshold: float, bound: float | None) -> float:
    return pad_threshold if bound is None else max(bound, pad_threshold)


def _odds(score: float | None) -> float:
    """Return the log-odds of a score. A number that is no probability counts as 0."""
    return log_odds(-1.0 if score is None else score)


def _limited(odds: float, most: float) -> float:
    """Return log-odds within -`most` to `most`. NaN gives -`most`."""
    return max(-most, min(most, odds)) if isfinite(odds) else -most
