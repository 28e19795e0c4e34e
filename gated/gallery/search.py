"""Whose face is it: one probe against everybody's templates, by exact search in memory.

Cosine similarity of unit vectors is their dot product, so the whole search is one matrix-vector product; everything
else here looks at a handful of its results. An index tree would be faster from about a million templates on, and would
refuse some residents for nothing.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress, groupby, islice
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from gated.embedding import PLAINLY, Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.gallery.people import Status
from gated.types import Score, SubjectId

Scores = NDArray[np.float32]

HIDDEN = np.float32(-np.inf)
"""The score of a row that is out of the race."""


@dataclass(frozen=True, slots=True)
class Row:
    """One template on its way into the index; the vector is not yet checked."""

    subject: SubjectId
    household: str = field(repr=False)
    status: Status
    vector: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody the probe may be, with the best score of all their templates; always finite."""

    subject: SubjectId
    household: str = field(repr=False)
    score: Score
    status: Status


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose rows these are."""

    subject: SubjectId
    household: str = field(repr=False)
    status: Status
    rows: slice


class Index:
    """Everybody's templates in one matrix. Never changes once built, so that any thread may search."""

    def __init__(self, rows: Iterable[Row], dimension: int) -> None:
        """Rows that are no embedding of `dimension` are left out and counted in `dropped`."""
        offered = sorted(rows, key=attrgetter("household", "subject"))
        checked, self._matrix = _checked(offered, dimension)
        self.dimension = dimension
        self.dropped = len(offered) - len(checked)
        self._owners: list[_Owner] = []
        """One a row of the matrix; a person's rows lie together, and so do a household's."""
        self._households: dict[str, slice] = {}
        for household, theirs in groupby(checked, attrgetter("household")):
            start = len(self._owners)
            for _, own in groupby(theirs, attrgetter("subject")):
                self._own(list(own))
            self._households[household] = slice(start, len(self._owners))
        self.size = len({row.subject for row in checked})

    def __len__(self) -> int:
        """How many templates there are."""
        return len(self._owners)

    def search(self, probe: Embedding, limit: int = 2) -> tuple[Candidate, ...]:
        """The `limit` (1 or more) best people, best first, and after them, should all be of one household, the best
        of another: whoever is granted must be ahead of the neighbours, not of a sister.

        Raises `EmbeddingError` for a probe that is no finite unit vector of the right length.
        """
        probe = check_embedding(probe, self.dimension)
        if not self._owners:
            return ()
        scores = self._matrix @ probe
        ranked = self._ranked(scores)
        found = list(islice(ranked, limit))
        if len(found) == limit and all(other.household == found[0].household for other in found):
            scores[self._households[found[0].household]] = HIDDEN
            found.extend(islice(ranked, 1))
        return tuple(found)

    def _ranked(self, scores: Scores) -> Iterator[Candidate]:
        """Everybody, best first: take the best row, hide all rows of its person, and so on. Uses the scores up."""
        while True:
            best = int(scores.argmax())
            score = float(scores[best])
            if math.isfinite(score):
                owner = self._owners[best]
                scores[owner.rows] = HIDDEN
                yield Candidate(owner.subject, owner.household, Score(score), owner.status)
            elif score == HIDDEN:
                return
            else:  # cannot come of checked vectors; argmax takes NaN for the greatest
                scores[~np.isfinite(scores)] = HIDDEN

    def _own(self, rows: list[Row]) -> None:
        start, first = len(self._owners), rows[0]
        whole = slice(start, start + len(rows))
        self._owners += [_Owner(first.subject, first.household, first.status, whole)] * len(rows)


def _checked(rows: list[Row], dimension: int) -> tuple[list[Row], NDArray[np.float32]]:
    """The rows whose vectors are embeddings, and these as a matrix; as `check_embedding` each, in one product."""
    nothing = np.zeros(dimension, np.float32)
    matrix = np.array([row.vector if _is_like(row.vector, nothing) else nothing for row in rows], np.float32)
    matrix = matrix.reshape(len(rows), dimension)
    with np.errstate(all="ignore"):
        squared = np.einsum("ij,ij->i", matrix, matrix)
    is_good = (squared >= PLAINLY[0]) & (squared <= PLAINLY[1])  # false for NaN, too
    for at in np.flatnonzero(~is_good):
        with suppress(EmbeddingError):
            matrix[at] = check_embedding(rows[at].vector, dimension)
            is_good[at] = True
    return (rows, matrix) if is_good.all() else (list(compress(rows, is_good)), matrix[is_good])


def _is_like(vector: Embedding, other: Embedding) -> bool:
    return vector.dtype == other.dtype and vector.shape == other.shape
