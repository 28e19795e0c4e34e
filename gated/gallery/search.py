"""Whose face is it: one probe against everybody's templates, by exact search in memory.

Cosine similarity of unit vectors is their dot product, so the whole search is one matrix-vector product; everything
else here looks at a handful of its results. An index tree would be faster from about a million templates on, and would
refuse some residents for nothing.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding, check_embedding
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
        offered = list(rows)
        checked = sorted(_checked(offered, dimension), key=attrgetter("household", "subject"))
        self.dimension = dimension
        self.dropped = len(offered) - len(checked)
        self._matrix = np.array([row.vector for row in checked], np.float32).reshape(len(checked), dimension)
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
        probe = _unit(probe, self.dimension)
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


def _checked(rows: Iterable[Row], dimension: int) -> Iterator[Row]:
    for row in rows:
        try:
            _unit(row.vector, dimension)
        except EmbeddingError:
            continue
        yield row


def _unit(vector: Embedding, dimension: int) -> Embedding:
    """`check_embedding` at a tenth of its price: a product with itself tells the plainly good ones."""
    if vector.dtype == np.float32 and vector.shape == (dimension,):
        with np.errstate(all="ignore"):
            squared = vector.dot(vector)
        if 0.99 <= squared <= 1.01:  # false for NaN, too
            return vector
    return check_embedding(vector, dimension)
