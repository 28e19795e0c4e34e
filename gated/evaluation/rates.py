"""Error rates at a threshold, over all thresholds, and the threshold for a rate. Pure: scores in, shares out.

Terms of ISO/IEC 19795-1: FMR and FNMR of comparisons, FPIR and FNIR of searches. A finite score is accepted at `>=`, as
at the gate. NaN and infinities are never accepted: a false reject for a mated score, no error for a non-mated one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.evaluation.confidence import Rate

Scores = NDArray[np.float64]

NO_SCORE = -math.inf
"""The score of a search that no threshold would grant."""


@dataclass(frozen=True, slots=True, eq=False)
class Det:
    """A detection error trade-off curve: at each threshold, rising, the shares of false accepts and false rejects.

    FMR against FNMR for comparisons, FPIR against FNIR for searches. The first falls, the second rises.
    """

    thresholds: Scores
    false_accepts: Scores
    false_rejects: Scores


def scores_of(scores: Iterable[float | None]) -> Scores:
    """Return scores as an array. None becomes `NO_SCORE`."""
    return np.array([NO_SCORE if score is None else score for score in scores], np.float64)


def accepted(scores: Scores, threshold: float) -> int:
    """Return the number of finite scores at or above the threshold."""
    return int(np.count_nonzero(np.isfinite(scores) & (scores >= threshold)))


def false_accepts(non_mated: Scores, threshold: float) -> Rate:
    """Return FMR (of comparisons) or FPIR (of searches by people who are not enrolled)."""
    return Rate.of(accepted(non_mated, threshold), non_mated.size)


def false_rejects(mated: Scores, threshold: float) -> Rate:
    """Return FNMR (of comparisons) or FNIR (of searches by enrolled people)."""
    return Rate.of(mated.size - accepted(mated, threshold), mated.size)


def det(mated: Scores, non_mated: Scores) -> Det:
    """Return the curve over every threshold at which a share changes. A side without scores has shares of 0."""
    scores = np.concatenate([mated, non_mated])
    thresholds = np.unique(scores[np.isfinite(scores)])
    if thresholds.size:
        thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    return Det(
        thresholds, _share_from(non_mated, thresholds), (1.0 - _share_from(mated, thresholds)) * bool(mated.size)
    )


def _share_from(scores: Scores, thresholds: Scores) -> Scores:
    """Return the share of scores at or above each threshold."""
    usable = np.sort(scores[np.isfinite(scores)])
    share: Scores = (usable.size - np.searchsorted(usable, thresholds, "left")) / max(1, scores.size)
    return share


STEPS = 10_000
"""Thresholds are multiples of 1 / STEPS, so that the printed threshold is exactly the measured one."""


class NoThresholdError(ValueError):
    """There are no searches to derive a threshold from."""


def threshold_for(target_fpir: float, maxima: Scores) -> float:
    """Return the lowest threshold, a multiple of 0.0001, at which at most `target_fpir` of the searches find a
    candidate.

    `maxima`: the highest score over the gallery of each search by a person who is not enrolled. This direct method
    assumes nothing about dependence between comparisons. The threshold holds for a gallery of that size. With fewer
    than 3 / `target_fpir` searches, even no error proves nothing. Raises `NoThresholdError` without searches, and
    `ValueError` for a target outside of 0..1.
    """
    if not 0.0 <= target_fpir <= 1.0:
        raise ValueError(f"target FPIR {target_fpir} is outside of 0 to 1")
    if not maxima.size:
        raise NoThresholdError("no searches by people who are not enrolled")
    finite = -np.sort(-maxima[np.isfinite(maxima)])
    may_pass = _most_errors(target_fpir, maxima.size)
    return _step_above(float(finite[may_pass])) if may_pass < finite.size else 0.0


def _most_errors(target: float, n: int) -> int:
    """Return the most errors whose share of `n` is at most the target, by the division that gives the share."""
    most = min(n, math.ceil(target * n))
    while most / n > target:
        most -= 1
    return most


def _step_above(score: float) -> float:
    """Return the lowest step above a score, at least 0.

    `score * STEPS` is rounded, so the loop compares the steps themselves.
    """
    step = max(0, math.floor(score * STEPS) - 1)
    while step / STEPS <= score:
        step += 1
    return step / STEPS
