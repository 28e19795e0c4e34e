"""The one resampler, for aligned faces and for crops.

Plain bilinear, as the models' authors crop (OpenCV's `warpAffine` and `resize`), so that a model gets faces as in its
training. Arrays larger than a memory page are allocated once: new pages cost more than the arithmetic.
"""

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels

Planes = NDArray[np.float32]
"""(3, H, W) float32: red, green, blue, each 0 to 255."""


class Sampler:
    """Cuts crops of one size (width, height). Each call returns the sampler's own memory, valid until the next call."""

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self._across = np.arange(width, dtype=np.float32)
        self._down = np.arange(height, dtype=np.float32)[:, None]
        self._corners = np.empty((4, height, width), np.float32)
        self._shares = np.empty((4, height, width), np.float32)
        self._planes = np.empty((3, height, width), np.float32)

    def box(self, picture: Pixels, box: tuple[float, float, float, float]) -> Planes:
        """Return a box (x, y, width, height in px from the corner) of an (H, W, 3) picture as (3, h, w)."""
        x, y, width, height = box
        across, down = width / self._across.size, height / self._down.size
        return self._sample(
            picture,
            self._across * np.float32(across) + np.float32(x + across / 2 - 0.5),
            self._down * np.float32(down) + np.float32(y + down / 2 - 0.5),
        )

    def turned(self, picture: Pixels, turn: complex, shift: complex) -> Planes:
        """Return the crop of an (H, W, 3) picture as (3, h, w).

        Pixel z = column + i row of the crop lies at `turn` z + `shift` in the picture.
        """
        across, down = self._across, self._down
        x = across * np.float32(turn.real) + (down * np.float32(-turn.imag) + np.float32(shift.real))
        y = across * np.float32(turn.imag) + (down * np.float32(turn.real) + np.float32(shift.imag))
        return self._sample(picture, x, y)

    def _sample(self, picture: Pixels, x: NDArray[np.float32], y: NDArray[np.float32]) -> Planes:
        """Return the values at (x, y), with pixel centres at whole numbers. Outside the picture its border repeats.

        `picture` is at least 2 x 2. `x` and `y` are finite and broadcast to (h, w).
        """
        flat, row = np.ascontiguousarray(picture).reshape(-1), 3 * picture.shape[1]
        left, to_right = _split(x, picture.shape[1])
        top, downwards = _split(y, picture.shape[0])
        self._weigh(to_right, downwards)
        place = top * row + left * 3
        for channel, plane in enumerate(self._planes):
            for corner, start in zip(self._corners, (0, 3, row, row + 3), strict=True):
                corner[...] = flat[channel + start :].take(place)
            np.einsum("kij,kij->ij", self._corners, self._shares, out=plane)
        return self._planes

    def _weigh(self, to_right: NDArray[np.float32], downwards: NDArray[np.float32]) -> None:
        """Compute the weights of the four pixels around each point: here, right, below, below right."""
        here, right, below, both = self._shares
        np.multiply(to_right, downwards, out=both)
        np.subtract(to_right, both, out=right)
        np.subtract(downwards, both, out=below)
        np.subtract(np.subtract(1, to_right, out=here), below, out=here)


def _split(at: NDArray[np.float32], length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the index of the pixel before each position, and the weight of the pixel after it.

    The index is at most `length` - 2, so the pixel after it exists.
    """
    inside = np.clip(at, 0, length - 1)
    before = np.minimum(inside.astype(np.intp), length - 2)
    return before, (inside - before).astype(np.float32)


def nearest(picture: Pixels, box: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resample a box of an (H, W, 3) picture to `size` (width, height) by nearest pixel: (3, h, w) uint8.

    Costs half as much as bilinear. Landmarks found on it are as good.
    """
    height, width = picture.shape[:2]
    columns = _whole(box[0], box[2] / size[0], size[0], width)
    rows = _whole(box[1], box[3] / size[1], size[1], height)
    flat, place = np.ascontiguousarray(picture).reshape(-1), rows[:, None] * (3 * width) + columns * 3
    return np.stack([flat[channel:].take(place) for channel in range(3)])


def _whole(start: float, step: float, count: int, length: int) -> NDArray[np.intp]:
    """Return the pixel under each of `count` positions, clipped to the picture."""
    places: NDArray[np.intp] = np.clip(start + (np.arange(count) + 0.5) * step, 0, length - 1).astype(np.intp)
    return places
