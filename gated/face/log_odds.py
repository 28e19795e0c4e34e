"""Converts probabilities to log-odds and back, always finite. The PAD nets and the evidence of a visit add log-odds."""

from math import exp, isfinite, log

LEAST_PROBABILITY = 1e-6
"""Probabilities are clamped to this distance from 0 and 1, so that log-odds are finite: at most 13.8."""


def log_odds(score: float) -> float:
    """Return log(p / (1 - p)), clamped to finite values. A number outside 0 to 1 counts as 0."""
    inside = score if 0 <= score <= 1 else 0.0
    share = min(max(inside, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return log(share / (1 - share))


def probability(odds: float) -> float:
    """Return the probability of log-odds. NaN gives 0; infinite and very large ones are clamped as in `log_odds`."""
    if not isfinite(odds):
        return 0.0
    most = log_odds(1.0)
    return 1 / (1 + exp(-min(max(odds, -most), most)))
