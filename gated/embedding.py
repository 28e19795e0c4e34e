"""What a face became: a finite vector of unit length, checked wherever one enters: odd numbers must never match."""

import math

import numpy as np
from numpy.typing import NDArray

from gated.errors import EmbeddingError

Embedding = NDArray[np.float32]
"""(dimension,) float32, C-contiguous, finite, of norm 0.99 to 1.01."""

SHORTEST, LONGEST = 0.99, 1.01
"""Unit length, as far as float32, a trip through storage and an honest embedder's rounding may bend it."""


def check_embedding(vector: NDArray[np.generic], dimension: int) -> Embedding:
    """The vector as a (`dimension`,) contiguous float32 array, itself where it already is one.

    Raises `EmbeddingError` unless it is one-dimensional, of real floating-point numbers, of the right length, finite,
    and of norm 0.99 to 1.01. The message never shows the vector.
    """
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
