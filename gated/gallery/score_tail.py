"""The tail of the stranger scores. It gives the share of strangers above a threshold, and the threshold for a share.
Pure.

`calibration` uses it. A gallery of 216 people has less than one pair above the threshold for FPIR 0.3 %. So the tail is
fitted to the pairs below, and extended.

The form: unit vectors with random directions in d dimensions have scores s with a survival near (1 - s^2)^(d/2). So the
survival is exponential in the *depth* -ln(1 - s^2), with the scale 2/d. Measured on press photographs (two embedders,
centred), the scale from FPIR 50 % to 0.3 % was 0.0252, 0.0261 and 0.0269 for 72, 216 and 1,000 people, and 0.0253 for
72 East Asian people. An exponential tail in s itself is too heavy, and gives thresholds that are 0.04 too high.

The uncertainty: persons are drawn again (bootstrap), not pairs, because one person has scores with everybody.
"""

from dataclasses import dataclass

import numpy as np

from gated.gallery.stranger_scores import Floats, Scores, StrangerScores

PRIOR_PAIRS = 40
"""Weight of the expected scale of a table, in pairs. The scale differs by 16 % between populations: 1 / 0.16^2 = 40."""
GENERAL_SCALE = 3.0
"""Expected scale in units of the variance of the scores, for embedders without a table. Measured: 1.6 for the two of
`site` and for each alone, 3.7 for dlib's net.
"""
GENERAL_PAIRS = 15
"""Weight of the expected scale without a table. It is known less well."""
CENSORED = 0.1
"""Share of the highest scores that count only as "at least so high". So one odd pair does not move the scale."""
ISOLATED = 5.0
"""A score is isolated if it is this number of scales above the greatest expected score. One gallery in 150 has one."""

MOST_EXPONENT = 100.0
"""Far more than any rate needs, and without overflow."""

DRAWS = 200
CONFIDENCE = 0.95
SEED = 20261201
"""The same gallery always gives the same result."""


def depth(score: Floats | float) -> Floats:
    """Return -ln(1 - score^2), for scores of 0 or more; 0 for others."""
    bounded = np.clip(np.asarray(score, np.float64), 0.0, 1.0 - 1e-9)
    deep: Floats = -np.log1p(-bounded * bounded)
    return deep


def score_at(deep: Floats | float) -> Floats:
    """Return the score of this depth, the inverse of `depth`."""
    score: Floats = np.sqrt(-np.expm1(-np.maximum(np.asarray(deep, np.float64), 0.0)))
    return score


def kept_weight(people: int) -> float:
    """Return the total weight of the scores that the tail is fitted to: 36 of 72 people, and it grows as the root."""
    return 36.0 * float(np.sqrt(people / 72))


@dataclass(frozen=True, eq=False, slots=True)
class Tail:
    """FPIR(threshold) = share x exp(-(depth(threshold) - start) / scale), with draws of share and scale."""

    start: float
    share: float
    scale: float
    shares: Floats
    scales: Floats

    def fpir(self, threshold: float) -> float:
        """Return the expected FPIR at a threshold."""
        return min(1.0, float(self.share * _survival(depth(threshold) - self.start, self.scale)))

    def fpir_bound(self, threshold: float) -> float:
        """Return the upper bound of the FPIR, with confidence `CONFIDENCE`."""
        drawn = self.shares * _survival(depth(threshold) - self.start, self.scales)
        return min(1.0, float(np.quantile(drawn, CONFIDENCE)))

    def thresholds(self, fpir: float) -> tuple[float, float, float]:
        """Return the expected threshold for an FPIR, and its bounds: `1 - CONFIDENCE` and `CONFIDENCE`."""
        drawn = score_at(self.start + self.scales * np.log(self.shares / fpir))
        expected = score_at(self.start + self.scale * np.log(self.share / fpir))
        low, high = np.quantile(drawn, [1 - CONFIDENCE, CONFIDENCE])
        return float(expected), float(low), float(high)


def _survival(deep: Floats, scales: Floats | float) -> Floats:
    """Return exp(-depth / scale). The exponent has a limit: for identical people a large one would overflow."""
    survival: Floats = np.exp(np.minimum(-deep / scales, MOST_EXPONENT))
    return survival


def fit_tail(found: StrangerScores, scale: float | None = None) -> Tail | None:
    """Fit the tail. `scale`: the expected scale of the embedder, in depth; None: from the variance of the scores.

    Return None without scores to fit, as for one household.
    """
    expected = (
        _Expected(GENERAL_SCALE * found.variance, GENERAL_PAIRS) if scale is None else _Expected(scale, PRIOR_PAIRS)
    )
    scores = found.strangers.first(kept_weight(found.probes))
    if len(scores) < 2 or found.people < 2 or not expected.scale > 0:
        return None
    rough = _fit(scores, found, expected)
    scores = scores.select(depth(scores.score) <= _highest_expected(scores, rough))
    return _fit(scores, found, expected) if len(scores) > 1 else None


@dataclass(frozen=True, slots=True)
class _Expected:
    """The scale that is expected before the gallery is known, and its weight in pairs."""

    scale: float
    pairs: int


def _highest_expected(scores: Scores, rough: Tail) -> float:
    """Return the depth from which a score is isolated: of one person enrolled twice, or of twins."""
    pairs = max(1.0, float(scores.weight.sum()) / 2)
    return rough.start + rough.scale * (float(np.log(pairs)) + ISOLATED)


def _fit(scores: Scores, found: StrangerScores, expected: _Expected) -> Tail:
    deep = depth(scores.score)
    start = float(deep[-1])
    random = np.random.default_rng(SEED)
    times = random.multinomial(found.people, np.full(found.people, 1 / found.people), size=DRAWS)
    weights = times[:, scores.probe] * times[:, scores.other] * scores.weight * (found.people / (found.people - 1))
    prior = expected.scale * random.gamma(expected.pairs, 1 / expected.pairs, DRAWS)
    excess = deep - start
    return Tail(
        start,
        float(scores.weight.sum()) / found.probes,
        float(_scales(excess, scores.weight[None, :], np.array([expected.scale]), expected.pairs)[0]),
        np.maximum(weights.sum(axis=1), 0.5) / found.probes,
        _scales(excess, weights, prior, expected.pairs),
    )


def _scales(excess: Floats, weights: Floats, prior: Floats, pairs: int) -> Floats:
    """Return the mean of prior and exponential maximum likelihood, for each row of weights.

    The highest scores are censored (type II): the estimate is the sum of min(excess, limit) over the number below. Each
    pair has two directions, so the prior counts twice its pairs.
    """
    total = weights.sum(axis=1)
    is_censored = np.cumsum(weights, axis=1) <= CENSORED * total[:, None]
    limit = excess[np.minimum(is_censored.sum(axis=1), len(excess) - 1)]
    sums = (weights * np.minimum(excess[None, :], limit[:, None])).sum(axis=1)
    below = (weights * ~is_censored).sum(axis=1)
    scales: Floats = (2 * pairs * prior + sums) / (2 * pairs + below)
    return scales
