"""Turns a face upright: the similarity that lays its five landmarks on the embedder's.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991). In the plane and
without mirroring, a similarity is z -> a z + b over the complex numbers z = x + iy; its least-squares solution is one
division.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.face.sample import Planes, Sampler
from gated.frame import Pixels

Points = NDArray[np.float32]
"""(5, 2) float32, x and y in px: the person's right eye, left eye, nose tip, right and left corner of the mouth."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """z -> `turn` z + `shift`: `abs(turn)` is the scale and its angle the rotation."""

    turn: complex
    shift: complex

    @property
    def inverse(self) -> "Similarity":
        """The way back."""
        return Similarity(1 / self.turn, -self.shift / self.turn)


def similarity(points: Points, template: Sequence[tuple[float, float]]) -> Similarity | None:
    """The similarity that brings the points nearest to the template's; None where the points are no five of a face."""
    source, target = [complex(x, y) for x, y in points.tolist()], [complex(x, y) for x, y in template]
    middle = sum(source) / len(source)
    centred = [z - middle for z in source]
    spread = sum(abs(z) ** 2 for z in centred)
    if not 1e-6 < spread < 1e12:  # also for NaN
        return None
    turn = sum(z.conjugate() * w for z, w in zip(centred, target, strict=True)) / spread
    shift = sum(target) / len(target) - turn * middle
    return Similarity(turn, shift) if abs(turn) > 1e-4 else None


def aligned(picture: Pixels, face: Similarity, sampler: Sampler) -> Planes:
    """The face as the embedder wants it, cut from an (H, W, 3) picture: (3, h, w) in the sampler's memory."""
    back = face.inverse
    return sampler.turned(picture, back.turn, back.shift)
