"""Compares the surroundings of a face in two frames: do they move with the face, or stay where they are?

A print or a screen moves together with its picture beside the face, and with its own edge. Behind a head the street
stays where it is, because the camera is fixed. Pure functions over small brightness pictures, for `plane_motion`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels

Place = tuple[float, float, float]
"""Centre x and y, and size (side of a square with the area of the box), of a face, in px of the small picture."""
Floats = NDArray[np.float32]

BLOCK = 0.16
"""Side of a block, in sizes of the face."""
ACROSS = np.linspace(-BLOCK / 2, BLOCK / 2, 5, dtype=np.float32)
"""A block is compared at 5 x 5 points."""
LEAST_SHIFT_PX = 1.5
"""A block gives no evidence if both movements differ by less."""
LEAST_CONTRAST = 4.0
"""Least standard deviation of a block, in grey levels: more than the sensor's noise in the small picture."""
NOISE = 2.0
"""Noise of a difference, in grey levels. Below it no difference is counted."""
CLEAR = 1.0
"""A block moved with the face, or stayed, if the squared differences have a ratio of e or more."""


def _blocks() -> tuple[Floats, NDArray[np.intp]]:
    """Return the centres (n, 2) of the blocks next to a head, in sizes of the face, and the region (n,) of each.

    The regions are 0 left, 1 right and 2 above the centre of the face. Below, shoulders move with any head.
    At 0.85 to 1.15 beside the centre and 1.1 to 1.4 above it, most heads end with their hair, and most prints and
    screens do not.
    """
    beside, upright = np.meshgrid([0.85, 1.0, 1.15], np.arange(-0.4, 0.5, 0.15))
    level, high = np.meshgrid(np.arange(-0.6, 0.7, 0.2), [-1.4, -1.25, -1.1])
    centres = [(-beside, upright), (beside, upright), (level, high)]
    places = [np.stack([x.ravel(), y.ravel()], 1) for x, y in centres]
    return np.concatenate(places).astype(np.float32), np.repeat(np.arange(3), [len(each) for each in places])


BLOCKS, REGION = _blocks()


@dataclass(frozen=True, slots=True)
class Moved:
    """The number of blocks that moved with the face, and that stayed, in each of the regions."""

    along: tuple[int, int, int] = (0, 0, 0)
    stayed: tuple[int, int, int] = (0, 0, 0)

    def __add__(self, other: "Moved") -> "Moved":
        """Return the sums."""
        (a, b, c), (d, e, f) = self.along, other.along
        (g, h, i), (j, k, m) = self.stayed, other.stayed
        return Moved((a + d, b + e, c + f), (g + j, h + k, i + m))


def compare(before: Pixels, was: Place, now: Pixels, place: Place) -> Moved:
    """Return how the surroundings moved between two brightness pictures (h, w), with the face at `was` and `place`.

    Each block of the earlier picture is compared with two places of the later one. It stayed if the same place fits
    better. It moved along if its place after the movement of the face fits better. Blocks without structure, outside
    the picture, or behind the person in the later picture count for neither.
    """
    start = BLOCKS * np.float32(was[2]) + np.array(was[:2], np.float32)
    end = BLOCKS * np.float32(place[2]) + np.array(place[:2], np.float32)
    usable = np.hypot(*(end - start).T) >= LEAST_SHIFT_PX
    usable &= ~_is_covered((start - np.array(place[:2], np.float32)) / np.float32(place[2]))
    usable &= _is_inside(start, was[2], before.shape) & _is_inside(end, place[2], now.shape)
    kept = np.flatnonzero(usable)
    if not kept.size:
        return Moved()
    old = _patches(before, start[kept], was[2])
    has_structure = np.square(old).mean(1) > LEAST_CONTRAST**2
    if_along = np.square(_patches(now, end[kept], place[2]) - old).mean(1)
    if_stayed = np.square(_patches(now, start[kept], was[2]) - old).mean(1)
    ratio = np.log((if_along + NOISE**2) / (if_stayed + NOISE**2))
    return Moved(_counts(kept[has_structure & (ratio < -CLEAR)]), _counts(kept[has_structure & (ratio > CLEAR)]))


def _counts(blocks: NDArray[np.intp]) -> tuple[int, int, int]:
    """Return the number of these blocks in each region."""
    left, right, above = np.bincount(REGION[blocks], minlength=3).tolist()
    return left, right, above


def _is_covered(at: Floats) -> NDArray[np.bool_]:
    """Return whether places are covered by the head with its hair, or lie below it. They are in sizes of the face, from
    its centre.
    """
    x, y = at.T
    return np.asarray((np.hypot(x / 0.75, (y + 0.1) / 0.95) < 1) | (y > 0.6))


def _is_inside(at: Floats, size: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return whether whole blocks around these places lie inside a picture (h, w)."""
    edge = BLOCK / 2 * size + 1
    inside: NDArray[np.bool_] = (at > edge).all(1) & (at[:, 0] < shape[1] - edge) & (at[:, 1] < shape[0] - edge)
    return inside


def _patches(picture: Pixels, at: Floats, size: float) -> Floats:
    """Return the brightness (n, 25) of blocks around places, bilinear, minus the mean of each block."""
    x = (at[:, 0, None, None] + ACROSS[None, None, :] * np.float32(size)) + np.zeros((1, 5, 1), np.float32)
    y = (at[:, 1, None, None] + ACROSS[None, :, None] * np.float32(size)) + np.zeros((1, 1, 5), np.float32)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, down = x - left, y - top
    flat, width = picture.ravel(), picture.shape[1]
    place = top * width + left
    above = flat[place] * (1 - right) + flat[place + 1] * right
    below = flat[place + width] * (1 - right) + flat[place + width + 1] * right
    values: Floats = (above * (1 - down) + below * down).reshape(len(at), -1).astype(np.float32)
    return np.asarray(values - values.mean(1, keepdims=True), np.float32)
