"""Aligns a face: the similarity that maps its five landmarks to the embedder's template.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991). In the plane and
without mirroring, a similarity is z -> a z + b over the complex numbers z = x + iy. Its least-squares solution is one
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
    """The map z -> `turn` z + `shift`. `abs(turn)` is the scale, the angle of `turn` the rotation."""

    turn: complex
    shift: complex

    @property
    def inverse(self) -> "Similarity":
        """The inverse map."""
        return Similarity(1 / self.turn, -self.shift / self.turn)


def similarity(points: Points, template: Sequence[tuple[float, float]]) -> Similarity | None:
    """Return the least-squares similarity from the points to the template. None if the points cannot be a face's."""
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
    """Cut the aligned face from an (H, W, 3) picture: (3, h, w) in the sampler's memory."""
    back = face.inverse
    return sampler.turned(picture, back.turn, back.shift)
