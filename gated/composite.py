"""Embeddings with a part by each embedder of a set, and their centring. Pure.

A *composite* embedding is the concatenation of sqrt(weight) x unit part. The sum of the weights is 1, so the composite
is a unit vector. The dot product of two composites is the weighted mean of the cosines of their parts. A single
embedder is a composite of one part.

*Centring* subtracts from each unit part the mean of a population, and makes the part a unit vector again. Embeddings of
people from one region share a direction. Without centring, this direction makes strangers of one region similar.
Stored embeddings are never centred: the mean moves with the gallery, and the templates stay valid.

Vision, the gallery, enrolment and the evaluation use it. The gallery's mean is in `gated.gallery.centring`.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from gated.embedding import LONGEST, SHORTEST, Embedding, check_embedding
from gated.errors import EmbeddingError

Matrix = NDArray[np.float32]
"""Shape (rows, dimension), float32."""

NEAREST = 1e-3
"""Least distance between a unit part and the mean. The direction of a shorter difference is noise."""


@dataclass(frozen=True, eq=False)
class Composite:
    """The parts of an embedding. Build it with `of`."""

    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    """Sum 1."""
    mean: NDArray[np.float32] | None = field(default=None, repr=False)
    """Means of the unit parts over a general population, concatenated. None: embeddings are not centred."""

    @classmethod
    def of(
        cls, sizes: Sequence[int], weights: Sequence[float], means: Sequence[Sequence[float]] | None = None
    ) -> "Composite":
        """Return the composite of parts with these sizes, weights (sum 1) and means of a general population."""
        mean = None if means is None else np.concatenate([np.asarray(each, np.float32) for each in means])
        return cls(tuple(sizes), tuple(weights), mean)

    @classmethod
    def single(cls, dimension: int) -> "Composite":
        """Return the composite of one part without centring."""
        return cls((dimension,), (1.0,))

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return sum(self.sizes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The place of each part in an embedding."""
        ends = list(accumulate(self.sizes))
        return tuple(slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True))

    @cached_property
    def roots(self) -> tuple[float, ...]:
        """The norm of each part in an embedding: the square root of its weight."""
        return tuple(float(np.sqrt(weight)) for weight in self.weights)

    def join(self, parts: Sequence[Embedding]) -> Embedding:
        """Return the composite of one unit vector by each embedder, in order. Raises `EmbeddingError`."""
        checked = [check_embedding(part, size) for part, size in zip(parts, self.sizes, strict=True)]
        if len(checked) == 1:
            return checked[0]
        scaled = [np.float32(root) * part for root, part in zip(self.roots, checked, strict=True)]
        return check_embedding(np.concatenate(scaled), self.dimension)

    def fitting(self, rows: Matrix) -> NDArray[np.bool_]:
        """Return which rows have parts of the right norms. Other rows came from no embedder of this set."""
        is_good = np.ones(len(rows), bool)
        with np.errstate(all="ignore"):
            for place, root in zip(self.slices, self.roots, strict=True):
                norms = np.sqrt(np.einsum("ij,ij->i", rows[:, place], rows[:, place]))
                is_good &= (norms >= SHORTEST * root) & (norms <= LONGEST * root)  # also False for NaN
        return is_good

    @cached_property
    def centring(self) -> "Centring":
        """The centring on the general population, for places without a gallery."""
        return Centring(self, self.mean)


@dataclass(frozen=True, eq=False)
class Centring:
    """A composite with the mean that is subtracted. Search and enrolment use the same one."""

    composite: Composite
    mean: NDArray[np.float32] | None = field(default=None, repr=False)
    """Means of the unit parts, concatenated. None: `of` and `centre` change nothing and cost nothing."""

    @cached_property
    def version(self) -> str:
        """16 hex digits that differ for another mean. Empty without centring."""
        return "" if self.mean is None else hashlib.sha256(self.mean.astype("<f4").tobytes()).hexdigest()[:16]

    def of(self, embedding: Embedding) -> Embedding:
        """Return the centred embedding, a unit vector again. `embedding` is checked already.

        Raises `EmbeddingError` if a part has not the norm of its weight, or is too near to the mean.
        """
        if self.mean is None:
            return embedding
        centred = np.empty_like(embedding)
        with np.errstate(all="ignore"):
            for place, root in zip(self.composite.slices, self.composite.roots, strict=True):
                part = embedding[place]
                norm = math.sqrt(part.dot(part))
                moved = part * (1 / norm if norm else math.nan) - self.mean[place]
                distance = math.sqrt(moved.dot(moved))
                if not (SHORTEST * root <= norm <= LONGEST * root and distance >= NEAREST):  # also false for NaN
                    raise EmbeddingError("an embedding with a damaged part; capture the face again")
                np.multiply(moved, root / distance, out=centred[place])
        return centred

    def score(self, first: Embedding, second: Embedding) -> float:
        """Return the score of two checked embeddings, not centred yet. -inf if one of them is damaged."""
        try:
            return float(self.of(first) @ self.of(second))
        except EmbeddingError:
            return -math.inf

    def centre(self, rows: Matrix) -> NDArray[np.bool_]:
        """Centre rows in place. Return which rows are good; the others become zero, and score 0 with everything."""
        if self.mean is None:
            return np.ones(len(rows), bool)
        is_good = self.composite.fitting(rows)
        for place, root in zip(self.composite.slices, self.composite.roots, strict=True):
            part = rows[:, place]
            _scale(part, 1.0)
            part -= self.mean[place]
            is_good &= _scale(part, root) >= NEAREST
        rows[~is_good] = 0
        return is_good


def _scale(part: Matrix, norm: float) -> NDArray[np.float32]:
    """Scale rows to a norm, in place. Return their norms before."""
    with np.errstate(all="ignore"):
        norms: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", part, part))
        part *= (np.float32(norm) / norms)[:, None]
    return norms
