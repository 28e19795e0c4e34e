"""The evidence of a visit about the person: the embeddings of its looks, combined into one probe and one score. Pure.

`visits` adds each look. The *score of the visit* of a candidate is the quality-weighted mean of the scores of the
looks. `SPREAD_COST` times their spread is subtracted. One search gives it for all candidates: the probe is the mean of
the looks, part by part.

A look that disagrees with the mean restarts the evidence. Another face on the same track therefore never profits
from earlier looks. Anything odd (NaN, a damaged embedding) ends the evidence. The evidence ends with
the visit.
"""

import math
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from gated.composite import Centring, Composite
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.face.vision_messages import Quality
from gated.gallery.search import Candidate
from gated.types import Score

SPREAD_COST = 0.1
"""Loss of score for each unit of spread. The mean of looks that differ reaches a threshold more often than the lowest
of three, also for a stranger. Their scores differ by about 0.1 for each unit of spread. The lowest of three is 0.85
standard deviations below the mean. So this cost keeps the FPIR near that of the lowest look. It was chosen on the
pictures of `models/README.md`, so the rates there are slightly optimistic.
"""
LOOK_SLACK = 0.1
"""A single look may score lower than the threshold of the visit by this much. More slack hardly lowered the FNIR."""
SHORTEST_MEAN = 0.3
"""Least norm of the mean of a unit part. A shorter mean is of looks at several people, and its direction is noise."""

Curve = tuple[tuple[float, float], tuple[float, float]]
"""Two pairs of measure and weight: straight between them, constant outside."""

BY_SHARPNESS: Curve = ((90.0, 0.25), (250.0, 1.0))
BY_LUMINANCE: Curve = ((65.0, 0.7), (95.0, 1.0))
BY_YAW: Curve = ((16.0, 1.0), (31.0, 0.8))
"""Weight of a look by one measure. A look with cosine a to the true face counts a / (1 - a^2). These weights are the
best for independent errors.

Five portraits, blurred and scaled to 20 to 80 px between the eyes, scored with themselves: 0.58 to 0.73 at a sharpness
below 90, about 0.94 at 110 to 150, 0.97 above 250; the number of pixels alone made no difference. Rendered visits gave
luminance (0.81 below 86, else 0.87) and yaw (0.83 above 21 degrees, else 0.87); pitch made no difference.
"""
LEAST_WEIGHT = 0.15
"""The weight of a look without measures, and the least weight of any look."""


def weight_of(quality: Quality | None) -> float:
    """Return the weight of a look, from `LEAST_WEIGHT` to 1. NaN if a measure is not finite: such a look is odd."""
    if quality is None:
        return LEAST_WEIGHT
    weight = _at(BY_SHARPNESS, quality.sharpness) * _at(BY_LUMINANCE, quality.luminance)
    weight *= _at(BY_YAW, abs(quality.yaw_deg))
    return max(weight, LEAST_WEIGHT) if isfinite(weight) else math.nan


def _at(curve: Curve, measure: float) -> float:
    """Return the weight by one measure. NaN for a measure that is not finite."""
    (low, at_low), (high, at_high) = curve
    if not isfinite(measure):
        return math.nan
    share = min(1.0, max(0.0, (measure - low) / (high - low)))
    return at_low + share * (at_high - at_low)


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The sum of the looks at one face. Add looks with `added`, from `NO_LOOKS` on."""

    count: int
    weight: float
    """Sum of the weights."""
    total: NDArray[np.float64] = field(repr=False)
    """Sum of weight times embedding; not centred."""
    square: float
    """Sum of weight times squared norm. An embedding of float32 has a norm of nearly 1."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """The weighted mean of the looks. Its norm is 1 only if all are equal."""
        mean: NDArray[np.float64] = self.total / self.weight
        return mean

    @property
    def spread(self) -> float:
        """The root mean square distance of the looks from their mean: 0 for equal looks, below 1."""
        return math.sqrt(max(0.0, self.square / self.weight - float(self.mean @ self.mean)))

    def probe(self, composite: Composite) -> Embedding:
        """Return the mean, with each part scaled to its norm. Raises `EmbeddingError` if the looks have no common
        direction.
        """
        mean = self.mean
        for place, root in zip(composite.slices, composite.roots, strict=True):
            norm = float(np.sqrt(mean[place] @ mean[place]))
            if not norm >= SHORTEST_MEAN * root:  # also for NaN
                raise EmbeddingError("the looks of a visit are of several faces; look again")
            mean[place] *= root / norm
        return check_embedding(mean.astype(np.float32), composite.dimension)

    def score_of(self, candidate: Candidate) -> Candidate:
        """Return a candidate of the search for the probe with the score of the visit."""
        shrunk = candidate.score * math.sqrt(max(0.0, 1.0 - self.spread**2)) - SPREAD_COST * self.spread
        return Candidate(candidate.subject, candidate.household, Score(shrunk), candidate.status)


def added(looks: Looks | None, look: Embedding, weight: float, centring: Centring, agreement: float) -> Looks:
    """Return the looks with one more. Start again with this look if it scores less than `agreement` with the mean
    before.

    `look` is checked already. Raises `EmbeddingError` for a weight that is not above 0 and finite.
    """
    if not (isfinite(weight) and weight > 0):
        raise EmbeddingError("a look of unknown quality; look again")
    share = weight * look.astype(np.float64)
    square = float(share @ look)
    if looks is None or not _agrees(looks, look, centring, agreement):
        return Looks(1, weight, share, square)
    return Looks(looks.count + 1, looks.weight + weight, looks.total + share, looks.square + square)


def _agrees(looks: Looks, look: Embedding, centring: Centring, agreement: float) -> bool:
    try:
        return centring.score(looks.probe(centring.composite), look) >= agreement
    except EmbeddingError:
        return False
