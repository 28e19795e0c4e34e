"""Looks at a picture at chosen points: the one resampler, for aligned faces and for crops.

Plain bilinear, as the models' authors crop (OpenCV's `warpAffine` and `resize` do the same), so that a face reaches a
model as it did in training. Everything larger than a page is made once: fresh pages cost more than the arithmetic.
"""

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels

Planes = NDArray[np.float32]
"""(3, H, W) float32, red, green, blue, 0..255."""


class Sampler:
    """Cuts crops of one size (width, height). What it returns is its own memory, good until it is used again."""

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self._across = np.arange(width, dtype=np.float32)
        self._down = np.arange(height, dtype=np.float32)[:, None]
        self._corners = np.empty((4, height, width), np.float32)
        self._shares = np.empty((4, height, width), np.float32)
        self._planes = np.empty((3, height, width), np.float32)

    def box(self, picture: Pixels, box: tuple[float, float, float, float]) -> Planes:
        """The box (x, y, width, height in px, from the picture's corner) of an (H, W, 3) picture, as (3, h, w)."""
        x, y, width, height = box
        across, down = width / self._across.size, height / self._down.size
        return self._sample(
            picture,
            self._across * np.float32(across) + np.float32(x + across / 2 - 0.5),
            self._down * np.float32(down) + np.float32(y + down / 2 - 0.5),
        )

    def turned(self, picture: Pixels, turn: complex, shift: complex) -> Planes:
        """The crop whose pixel z = column + i row lies at `turn` z + `shift` in an (H, W, 3) picture, as (3, h, w)."""
        across, down = self._across, self._down
        x = across * np.float32(turn.real) + (down * np.float32(-turn.imag) + np.float32(shift.real))
        y = across * np.float32(turn.imag) + (down * np.float32(turn.real) + np.float32(shift.imag))
        return self._sample(picture, x, y)

    def _sample(self, picture: Pixels, x: NDArray[np.float32], y: NDArray[np.float32]) -> Planes:
        """The values at (x, y), pixel centres at whole numbers; outside the picture its border goes on.

        `picture` is at least 2 x 2; `x` and `y` are finite and broadcast to (h, w).
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
        """The shares of the four pixels around each point: here, right, below, below right."""
        here, right, below, both = self._shares
        np.multiply(to_right, downwards, out=both)
        np.subtract(to_right, both, out=right)
        np.subtract(downwards, both, out=below)
        np.subtract(np.subtract(1, to_right, out=here), below, out=here)


def _split(at: NDArray[np.float32], length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Positions along one side as the pixel before, which always has one behind it, and the share of that one."""
    inside = np.clip(at, 0, length - 1)
    before = np.minimum(inside.astype(np.intp), length - 2)
    return before, (inside - before).astype(np.float32)


def nearest(picture: Pixels, box: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels nearest to `size` (width, height) places in a box of an (H, W, 3) picture: (3, h, w) uint8.

    Half as dear as bilinear, and as good for finding landmarks.
    """
    height, width = picture.shape[:2]
    columns = _whole(box[0], box[2] / size[0], size[0], width)
    rows = _whole(box[1], box[3] / size[1], size[1], height)
    flat, place = np.ascontiguousarray(picture).reshape(-1), rows[:, None] * (3 * width) + columns * 3
    return np.stack([flat[channel:].take(place) for channel in range(3)])


def _whole(start: float, step: float, count: int, length: int) -> NDArray[np.intp]:
    """The pixels that `count` places lie in, kept inside the picture."""
    places: NDArray[np.intp] = np.clip(start + (np.arange(count) + 0.5) * step, 0, length - 1).astype(np.intp)
    return places
