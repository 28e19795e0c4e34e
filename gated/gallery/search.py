"""The face search: one probe against all templates, by exact search in memory. `gallery.Gallery` uses it.

Cosine similarity of unit vectors equals their dot product. If the model set is centred, the rows are centred when the
index is built, and the probe once for each search. So the search is one matrix-vector product. The other steps use only
a few of its results. An index tree would be faster only from about a million templates, and it would refuse some
residents because its search is approximate.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress, groupby, islice
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from gated.composite import Centring, Composite, Matrix
from gated.embedding import PLAINLY, Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.gallery.centring import gallery_centring, runs
from gated.people.store import Status
from gated.types import Score, SubjectId

Scores = NDArray[np.float32]

HIDDEN = np.float32(-np.inf)
"""Score of a row that the ranking ignores."""


@dataclass(frozen=True, slots=True)
class Row:
    """One template as input for the index; its vector is not checked yet."""

    subject: SubjectId
    household: str = field(repr=False)
    status: Status
    vector: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible match for the probe, with the person's best score over all templates. The score is always finite."""

    subject: SubjectId
    household: str = field(repr=False)
    score: Score
    status: Status


@dataclass(frozen=True, slots=True)
class _Owner:
    """The person that a group of matrix rows belongs to."""

    subject: SubjectId
    household: str = field(repr=False)
    status: Status
    rows: slice


@dataclass(frozen=True, slots=True)
class GalleryRows:
    """Everybody in an index, to measure how similar they are to each other. Read only."""

    matrix: Matrix = field(repr=False)
    """The centred templates. Rows of one person are adjacent, and so are people of one household."""
    people: dict[SubjectId, slice] = field(repr=False)
    """The rows of each person."""
    households: dict[str, slice] = field(repr=False)
    """The rows of each household."""


class Index:
    """All templates in one float32 matrix. An index never changes after construction, so any thread may search it."""

    def __init__(self, rows: Iterable[Row], dimension: int, composite: Composite | None = None) -> None:
        """Build the index. Rows that are no embedding of length `dimension` are left out and counted in `dropped`.

        `composite`: the parts of an embedding. None: one part, not centred.
        """
        offered = sorted(rows, key=attrgetter("household", "subject"))
        checked, self._matrix, self.centring = _centred(*_checked(offered, dimension), _parts(composite, dimension))
        self.dimension = dimension
        self.dropped = len(offered) - len(checked)
        self._owners: list[_Owner] = []
        """One owner for each row of the matrix. Rows of one person are adjacent, and so are rows of one household."""
        self._households: dict[str, slice] = {}
        for household, members in groupby(checked, attrgetter("household")):
            start = len(self._owners)
            for _, own in groupby(members, attrgetter("subject")):
                self._own(list(own))
            self._households[household] = slice(start, len(self._owners))
        self._subjects = frozenset(row.subject for row in checked)
        self.size = len(self._subjects)

    def __len__(self) -> int:
        """Return the number of templates."""
        return len(self._owners)

    def __contains__(self, subject: SubjectId) -> bool:
        """Return whether a person has a template here."""
        return subject in self._subjects

    def search(self, probe: Embedding, limit: int = 2) -> tuple[Candidate, ...]:
        """Return the `limit` (1 or more) best people, best first. If all are of one household, add the best person of
        another. The decision compares the best match with other households, not with the same family.

        Raises `EmbeddingError` for a probe that is no finite unit vector of length `dimension`.
        """
        probe = self.centring.of(check_embedding(probe, self.dimension))
        if not self._owners:
            return ()
        scores = self._matrix @ probe
        ranked = self._ranked(scores)
        found = list(islice(ranked, limit))
        if len(found) == limit and all(other.household == found[0].household for other in found):
            scores[self._households[found[0].household]] = HIDDEN
            found.extend(islice(ranked, 1))
        return tuple(found)

    def enrolled(self) -> GalleryRows:
        """Return everybody in the index. Nothing is copied."""
        matrix = self._matrix.view()
        matrix.flags.writeable = False
        return GalleryRows(matrix, {owner.subject: owner.rows for owner in self._owners}, dict(self._households))

    def _ranked(self, scores: Scores) -> Iterator[Candidate]:
        """Yield all people, best first. Each step takes the best row and hides all rows of its person. Overwrites
        `scores`.
        """
        while True:
            best = int(scores.argmax())
            score = float(scores[best])
            if math.isfinite(score):
                owner = self._owners[best]
                scores[owner.rows] = HIDDEN
                yield Candidate(owner.subject, owner.household, Score(score), owner.status)
            elif score == HIDDEN:
                return
            else:  # checked vectors give no NaN; argmax would rank NaN first
                scores[~np.isfinite(scores)] = HIDDEN

    def _own(self, rows: list[Row]) -> None:
        start, first = len(self._owners), rows[0]
        whole = slice(start, start + len(rows))
        self._owners += [_Owner(first.subject, first.household, first.status, whole)] * len(rows)


def _parts(composite: Composite | None, dimension: int) -> Composite:
    """Return the composite of this length; one part, not centred, for None or another length (there is no set yet)."""
    is_fitting = composite is not None and composite.dimension == dimension
    return composite if composite is not None and is_fitting else Composite.single(dimension)


def _centred(rows: list[Row], matrix: Matrix, composite: Composite) -> tuple[list[Row], Matrix, Centring]:
    """Return the rows with their vectors centred in place, and the centring. Rows with damaged parts are left out."""
    if composite.mean is None:
        return rows, matrix, composite.centring
    centring = gallery_centring(composite, matrix, runs(row.subject for row in rows))
    return *_kept(rows, matrix, centring.centre(matrix)), centring


def _kept(rows: list[Row], matrix: Matrix, is_good: NDArray[np.bool_]) -> tuple[list[Row], Matrix]:
    return (rows, matrix) if is_good.all() else (list(compress(rows, is_good)), matrix[is_good])


def _checked(rows: list[Row], dimension: int) -> tuple[list[Row], Matrix]:
    """Return the rows with valid embeddings, and their vectors as a float32 matrix (rows x dimension).

    The check equals `check_embedding` for each row, done with one product for all rows.
    """
    nothing = np.zeros(dimension, np.float32)
    matrix = np.array([row.vector if _is_like(row.vector, nothing) else nothing for row in rows], np.float32)
    matrix = matrix.reshape(len(rows), dimension)
    with np.errstate(all="ignore"):
        squared = np.einsum("ij,ij->i", matrix, matrix)
    is_good = (squared >= PLAINLY[0]) & (squared <= PLAINLY[1])  # also False for NaN
    for at in np.flatnonzero(~is_good):
        with suppress(EmbeddingError):
            matrix[at] = check_embedding(rows[at].vector, dimension)
            is_good[at] = True
    return _kept(rows, matrix, is_good)


def _is_like(vector: Embedding, other: Embedding) -> bool:
    return vector.dtype == other.dtype and vector.shape == other.shape
