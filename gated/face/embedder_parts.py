"""The plain values of a set with several embedders: weights, population means, and the origin of its embeddings.

`face.manifest` uses it. It needs no numpy, because commands without faces read the manifest too.
"""

import base64
import hashlib
import math
import struct
from collections.abc import Sequence

HIGHEST_MEAN = 0.9
"""Highest norm of a mean. A mean of unit vectors of many people is far shorter (0.08 to 0.1 as measured)."""


def shares(weights: Sequence[float], parts: int) -> tuple[float, ...]:
    """Return the weights scaled to a sum of 1. No weights: equal ones."""
    chosen = weights or [1.0] * parts
    return tuple(weight / math.fsum(chosen) for weight in chosen)


def decoded_mean(text: str, dimension: int) -> tuple[float, ...]:
    """Return the numbers of a mean: base64 of `dimension` little-endian float16. Empty for an empty text.

    Raises `ValueError` unless the text has this form, and the mean is finite and shorter than `HIGHEST_MEAN`.
    """
    if not text:
        return ()
    packed = base64.b64decode(text, validate=True)
    if len(packed) != 2 * dimension:
        raise ValueError(f"mean: {len(packed)} bytes where {2 * dimension} are needed")
    mean = struct.unpack(f"<{dimension}e", packed)
    if not math.hypot(*mean) < HIGHEST_MEAN:  # also false for NaN
        raise ValueError("mean: is no mean of unit vectors of many people")
    return mean


def composite_sha256(digests: Sequence[str], weights: Sequence[float]) -> str:
    """Return the origin of embeddings with a part by each embedder, as 64 hex digits.

    One embedder: its own SHA-256, so that galleries from before stay valid. Several: the SHA-256 of one line for each
    embedder, with its SHA-256 and its weight to six decimals.
    """
    if len(digests) == 1:
        return digests[0]
    lines = [f"{digest} {weight:.6f}\n" for digest, weight in zip(digests, weights, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
