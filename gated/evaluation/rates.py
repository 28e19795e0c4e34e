"""Error rates at a threshold, over all thresholds, and the threshold for a rate. Pure; scores in, shares out.

Terms of ISO/IEC 19795-1: FMR and FNMR of comparisons, FPIR and FNIR of searches. A score is accepted at `>=`; one
that is no number never is: an error where somebody should have been let in, and none where nobody should.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.evaluation.bounds import Rate

Scores = NDArray[np.float64]

NO_SCORE = -math.inf
"""The score of a search that no threshold would let in."""


@dataclass(frozen=True, slots=True, eq=False)
class Det:
    """A detection error trade-off curve: at each threshold, rising, the shares of false accepts and false rejects.

    FMR against FNMR for comparisons, FPIR against FNIR for searches; the first falls and the second rises.
    """

    thresholds: Scores
    false_accepts: Scores
    false_rejects: Scores


def scores_of(scores: Iterable[float | None]) -> Scores:
    """Scores as an array; None is no score."""
    return np.array([NO_SCORE if score is None else score for score in scores], np.float64)


def accepted(scores: Scores, threshold: float) -> int:
    """How many are at or above the threshold."""
    return int(np.count_nonzero(scores >= threshold))


def false_accepts(non_mated: Scores, threshold: float) -> Rate:
    """FMR of comparisons, FPIR of searches by people who are not enrolled."""
    return Rate.of(accepted(non_mated, threshold), non_mated.size)


def false_rejects(mated: Scores, threshold: float) -> Rate:
    """FNMR of comparisons, FNIR of searches by people who are."""
    return Rate.of(mated.size - accepted(mated, threshold), mated.size)


def det(mated: Scores, non_mated: Scores) -> Det:
    """The curve through every threshold at which something changes. Without scores on one side its shares are 0."""
    scores = np.concatenate([mated, non_mated])
    thresholds = np.unique(scores[np.isfinite(scores)])
    if thresholds.size:
        thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    return Det(
        thresholds, _share_from(non_mated, thresholds), (1.0 - _share_from(mated, thresholds)) * bool(mated.size)
    )


def _share_from(scores: Scores, thresholds: Scores) -> Scores:
    """The share of scores at or above each threshold."""
    usable = np.sort(scores[~np.isnan(scores)])
    share: Scores = (usable.size - np.searchsorted(usable, thresholds, "left")) / max(1, scores.size)
    return share


class NoThresholdError(ValueError):
    """There are no searches to take a threshold from."""


def threshold_for(target_fpir: float, maxima: Scores) -> float:
    """The lowest threshold, in steps of 0.0001, at which at most `target_fpir` of the searches find anybody.

    `maxima`: the highest score over the gallery of each search by somebody who is not in it, the direct method: nothing
    is assumed of how comparisons depend on each other. The threshold is for a gallery of that size, and only so sure as
    the searches are many: with fewer than 3 / `target_fpir` of them even no error proves nothing.
    Raises `NoThresholdError`.
    """
    if not maxima.size:
        raise NoThresholdError("no searches by people who are not enrolled")
    ranked = -np.sort(-np.where(np.isnan(maxima), NO_SCORE, maxima))
    may_pass = int(target_fpir * maxima.size + 1e-9)
    if may_pass >= maxima.size or not math.isfinite(ranked[may_pass]):
        return 0.0
    return max(0.0, (math.floor(float(ranked[may_pass]) * 1e4) + 1) / 1e4)
