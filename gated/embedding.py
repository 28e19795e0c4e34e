"""Check embeddings of faces: finite vectors of unit length. Every embedding is checked at the entry to a process:
invalid numbers must never match.
"""

import math
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from gated.errors import EmbeddingError

Embedding = NDArray[np.float32]
"""Shape (dimension,), float32, C-contiguous, finite, of norm 0.99 to 1.01."""

SHORTEST, LONGEST = 0.99, 1.01
"""The accepted norm. It allows for the rounding of float32, of storage and of the embedder."""
PLAINLY = 0.99, 1.01
"""Bounds on the squared norm for the fast check. They lie inside the accepted norm, so float32 rounding does not
matter.
"""


def check_embedding(vector: NDArray[np.generic], dimension: int) -> Embedding:
    """Return the vector as a (`dimension`,) contiguous float32 array. Return the vector itself if it already is one.

    Raises `EmbeddingError` unless the vector has one dimension, floating-point values, the right length, only finite
    values, and a norm of 0.99 to 1.01. The message never shows the vector.
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
        raise EmbeddingError(f"an embedding of length {norm:.4g} where 1 is needed; capture the face again")
    return checked


def _is_plainly_good(vector: NDArray[np.generic], dimension: int) -> TypeGuard[Embedding]:
    """Return whether the fast check accepts the vector. It takes a tenth of the time."""
    if vector.dtype != np.float32 or vector.shape != (dimension,) or not vector.flags.c_contiguous:
        return False
    with np.errstate(all="ignore"):
        squared = vector.dot(vector)
    return bool(PLAINLY[0] <= squared <= PLAINLY[1])  # also false for NaN
