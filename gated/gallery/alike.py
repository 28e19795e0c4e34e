"""Enrolled people whose faces are too alike, such as twins or a parent and a child. Pure.

`gallery.Gallery` uses it. One of them could be accepted as the other. So each of the two people gets an own threshold
above the scores of the pair, or must show a card or type a PIN with the face. Only the registrar learns their names.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gated.gallery.calibration import Calibration
from gated.gallery.stranger_scores import Scores, StrangerScores

NEAR = 0.03
"""The search for pairs begins at this margin below the threshold, because other pictures of them can score higher."""
ABOVE = 0.05
"""The margin of a person's own threshold above the pair's best score, for the same reason."""


class AlikePair(msgspec.Struct, frozen=True):
    """Two people by index. `score`: their best score."""

    first: int
    second: int
    score: float
    threshold: float
    """The least threshold for both; not above the ceiling."""
    needs_more: bool
    """Whether a face alone does not distinguish them: they need a card or a PIN with it."""
    is_family: bool
    """Whether they live in one household. A false match then opens the same home. Only the journal names the other."""


def alike_pairs(found: StrangerScores, calibration: Calibration, ceiling: float) -> tuple[AlikePair, ...]:
    """Return the pairs that score `NEAR` the threshold or more, most alike first."""
    least = calibration.threshold - NEAR
    best = {**_best(found.strangers, least, is_family=False), **_best(found.family, least, is_family=True)}
    pairs = (
        AlikePair(first, second, score, min(ceiling, score + ABOVE), score + ABOVE > ceiling, is_family)
        for (first, second), (score, is_family) in best.items()
    )
    return tuple(sorted(pairs, key=lambda pair: (-pair.score, pair.first, pair.second)))


def own_thresholds(
    pairs: Iterable[AlikePair], children: Iterable[int], calibration: Calibration
) -> tuple[dict[int, float], frozenset[int]]:
    """Return the people with a threshold of their own, and those who need a card or a PIN with the face.

    `children`: people whom the registrar marked as children. A pair within a household raises no threshold.
    """
    thresholds = dict.fromkeys(children, max(calibration.child_threshold, calibration.threshold))
    more = set(thresholds) if calibration.is_child_beyond else set[int]()
    for pair in pairs:
        if not pair.is_family:
            for person in (pair.first, pair.second):
                thresholds[person] = max(pair.threshold, thresholds.get(person, calibration.threshold))
            more |= {pair.first, pair.second} if pair.needs_more else set()
    return thresholds, frozenset(more)


def not_recognised(own: Sequence[float | None], threshold: float, thresholds: dict[int, float]) -> tuple[int, ...]:
    """Return the people with own pictures that no longer pass. `own`: the result of `stranger_scores.own_scores`."""
    return tuple(
        person
        for person, score in enumerate(own)
        if score is not None and not score >= thresholds.get(person, threshold)
    )


def _best(scores: Scores, least: float, *, is_family: bool) -> dict[tuple[int, int], tuple[float, bool]]:
    """Return the best score of each pair from `least` on."""
    chosen = scores.select(scores.score >= least)
    best: dict[tuple[int, int], tuple[float, bool]] = {}
    for score, probe, other in zip(chosen.score, chosen.probe, chosen.other, strict=True):
        best.setdefault((min(int(probe), int(other)), max(int(probe), int(other))), (float(score), is_family))
    return best
