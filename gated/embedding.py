"""What a face became: a finite vector of unit length, checked wherever one enters: odd numbers must never match."""

import math
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from gated.errors import EmbeddingError

Embedding = NDArray[np.float32]
"""(dimension,) float32, C-contiguous, finite, of norm 0.99 to 1.01."""

SHORTEST, LONGEST = 0.99, 1.01
"""Unit length, as far as float32, a trip through storage and an honest embedder's rounding may bend it."""
PLAINLY = 0.99, 1.01
"""Of the square of a length, so that no rounding of float32 makes a doubt of it: one product tells the good ones."""


def check_embedding(vector: NDArray[np.generic], dimension: int) -> Embedding:
    """The vector as a (`dimension`,) contiguous float32 array, itself where it already is one.

    Raises `EmbeddingError` unless it is one-dimensional, of real floating-point numbers, of the right length, finite,
    and of norm 0.99 to 1.01. The message never shows the vector.
    """
    if _is_plainly_good(vector, dimension):
        return vector
    if vector.ndim != 1 or vector.shape[0] != dimension:
        raise EmbeddingError(
            f"an embedding of shape {vector.shape} where ({dimension},) is needed; another model made it"
        )
    if vector.dtype.kind != "f":
        raise EmbeddingError(f"an embedding of {vector.dtype} where floating-point numbers are needed")
    with np.errstate(all="ignore"):
        norm = math.sqrt(float(np.sum(np.square(vector, dtype=np.float64))))
        checked = np.ascontiguousarray(vector, dtype=np.float32)
    if not SHORTEST <= norm <= LONGEST:  # also false for NaN and infinity
        raise EmbeddingError(f"an embedding of length {norm:.4g} where 1 is needed; it is damaged, take the face anew")
    return checked


def _is_plainly_good(vector: NDArray[np.generic], dimension: int) -> TypeGuard[Embedding]:
    """Whether one product tells, at a tenth of the price."""
    if vector.dtype != np.float32 or vector.shape != (dimension,) or not vector.flags.c_contiguous:
        return False
    with np.errstate(all="ignore"):
        squared = vector.dot(vector)
    return bool(PLAINLY[0] <= squared <= PLAINLY[1])  # false for NaN, too
