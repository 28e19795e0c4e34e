"""Scores of enrolled people against other households: each person is a stranger to the others. Pure.

`score_tail` and `alike` use them. The scores need no strangers. They come from pairs of enrolled people. The
work is one product of the matrix with itself, in blocks. For 3,600 people with three templates of 384 numbers it takes
90 GFLOP and less than 50 MB beside the matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.composite import Matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

BLOCK_ROWS = 128
MOST_PROBES = 4000
"""The most people who are compared with everybody. More people do not make the result better, only slower."""

LEAST_KEPT = 0.05
"""Scores below this are counted, but not kept."""
MOST_KEPT = 20_000
"""The buffer of kept scores is reduced when it has more rows."""


@dataclass(frozen=True, eq=False, slots=True)
class Gathered:
    """The templates of a gallery, centred. The rows of one person are adjacent."""

    matrix: Matrix
    people: tuple[slice, ...]
    households: tuple[str, ...]
    """The household of each person."""
    prior_people: float | None = None
    """The weight of the general population in the mean of the gallery (`centring.PRIOR_PEOPLE`); None: not centred."""


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """Comparisons of one picture of a person with all pictures of another, best score each, highest first."""

    score: Floats
    probe: Ints
    """The person of the picture, as index."""
    other: Ints
    weight: Floats
    """1 / number of the person's pictures: each person counts once."""

    def __len__(self) -> int:
        """Return the number of comparisons."""
        return len(self.score)

    def first(self, total: float) -> "Scores":
        """Return the highest scores with this total weight."""
        return self.select(np.cumsum(self.weight) <= total)

    def select(self, is_chosen: NDArray[np.bool_]) -> "Scores":
        """Return the chosen comparisons."""
        return Scores(self.score[is_chosen], self.probe[is_chosen], self.other[is_chosen], self.weight[is_chosen])


@dataclass(frozen=True, eq=False, slots=True)
class StrangerScores:
    """The result for one gallery."""

    people: int
    probes: int
    """Number of people who were compared with everybody."""
    variance: float
    """Mean square of the scores between households, including those that are not kept."""
    strangers: Scores
    """The highest scores between households."""
    family: Scores
    """The highest scores within households."""


def stranger_scores(gathered: Gathered, kept: float) -> StrangerScores:
    """Compare everybody with all other households. `kept`: total weight of the scores to keep.

    Rows that are not finite count as zero, so they resemble no person.
    """
    matrix = finite(gathered.matrix)
    starts = np.array([rows.start for rows in gathered.people], np.intp)
    owner = np.repeat(np.arange(len(starts)), [rows.stop - rows.start for rows in gathered.people])
    household = np.unique(np.array(gathered.households), return_inverse=True)[1].reshape(-1)
    people = len(starts)
    step = -(-people // MOST_PROBES) if people else 1
    probes = np.flatnonzero(owner % step == 0)
    weights = 1 / np.bincount(owner, minlength=people)[owner] if people else np.zeros(0)
    strangers, family = _Best(kept), _Best(kept)
    square, count = 0.0, 0
    for first in range(0, len(probes), BLOCK_ROWS):
        rows = probes[first : first + BLOCK_ROWS]
        best = np.maximum.reduceat(matrix[rows] @ matrix.T, starts, axis=1)
        best = _without_probe(best, people, gathered.prior_people)
        is_family = household[owner[rows]][:, None] == household[None, :]
        square += float(np.square(best, dtype=np.float32)[~is_family].sum(dtype=np.float64))
        count += int(best.size - is_family.sum())
        strangers.add(np.where(is_family, -1.0, best), owner[rows], weights[rows])
        best[np.arange(len(rows)), owner[rows]] = -1.0
        family.add(np.where(is_family, best, -1.0), owner[rows], weights[rows])
    return StrangerScores(
        people, len(range(0, people, step)), square / max(1, count), strangers.result(), family.result()
    )


def finite(matrix: Matrix) -> Matrix:
    """Return the matrix with zeros in place of numbers that are not finite. A finite matrix is not copied."""
    return matrix if np.isfinite(matrix.sum()) else np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0)


def _without_probe(best: Matrix, people: int, prior_people: float | None) -> Matrix:
    """Return the scores as if the person of the picture were not enrolled, and did not count in the mean.

    The mean contains 1 / (people + prior people) of this person. Without the correction the scores are too low, by
    0.012 for 72 people. First order in this share; both vectors have the norm 1.
    """
    if prior_people is None or people < 2:
        return best
    share = 1 / (people + prior_people - 1)
    corrected: Matrix = (best + share) / np.sqrt(1 + 2 * share * best + share * share)
    return corrected


class _Best:
    """Collects the highest scores up to a total weight."""

    def __init__(self, kept: float) -> None:
        self._kept, self._least = kept, LEAST_KEPT
        self._parts: list[Scores] = []

    def add(self, best: Matrix, owner: NDArray[np.intp], weights: Floats) -> None:
        """Add the scores of a block: pictures x people."""
        rows, others = np.nonzero(best >= self._least)
        self._parts.append(
            Scores(
                best[rows, others].astype(np.float64),
                owner[rows].astype(np.int32),
                others.astype(np.int32),
                weights[rows],
            )
        )
        if sum(map(len, self._parts)) > MOST_KEPT:
            self._parts = [self.result()]
            if len(self._parts[0]) and self._parts[0].weight.sum() > self._kept - 1:
                self._least = float(self._parts[0].score[-1])

    def result(self) -> Scores:
        """Return the highest scores."""
        joined = [
            np.concatenate([getattr(part, name) for part in self._parts] or [np.zeros(0)])
            for name in ("score", "probe", "other", "weight")
        ]
        order = np.lexsort((joined[2], joined[1], -joined[0]))
        return Scores(*(values[order] for values in joined)).first(self._kept)


def own_scores(gathered: Gathered) -> Sequence[float | None]:
    """Return for each person the score of the worst picture with the best other picture of the same person.

    None for a person with one picture: nothing can be compared.
    """
    found: list[float | None] = []
    for rows in gathered.people:
        own = finite(gathered.matrix[rows])
        scores = own @ own.T
        np.fill_diagonal(scores, -1.0)
        found.append(float(scores.max(axis=1).min()) if len(own) > 1 else None)
    return found
