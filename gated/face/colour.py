"""Measures whether a picture has colour, to find infra-red and monochrome cameras.

Such a camera is not usable: PAD scores nearly all bona fide faces in its pictures as prints.

Measured on eight photographs of people: as taken, made grey, tinted as by infra-red light, dark and noisy. Grey: at
most 0.03 (with noise of 10 grey levels). Tinted: 0.056. Colour: at least 0.13. Colour at a quarter of the light and
half of the saturation: 0.067. Colour on a small face only: 0.07.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gated.frame import Frame, Pixels, luma

if TYPE_CHECKING:  # the brain has need of the bounds below, and of nothing that looks
    from gated.face.detect import Box

NO_COLOUR = 0.06
"""A picture below this value has no colour."""
COLOUR = 0.1
"""A picture above this value has colour. The higher bound gives hysteresis, so that dusk does not report twice."""
CELL = 8
"""Side of a cell in px of the chroma planes. The mean over a cell removes the noise of a dark sensor."""
DARK, BRIGHT = 16.0, 235.0
"""Cells outside of this range of brightness are not used: they carry no colour."""
LEAST_LIT = 0.1
"""Least share of cells inside that range."""
LEAST_CONTRAST = 2.0
"""Least standard deviation of the cells' brightness. A flatter picture shows no object that could have a colour."""
MOST_TINT = 0.3
"""Largest chroma, as a share of the brightness, that can be a tint over the whole picture."""
TWENTIETH = 0.05
"""Share of the picture that must have colour."""

Cells = NDArray[np.float32]


def colour_of(frame: Frame, box: "Box | None" = None) -> float | None:
    """Return how far the colours of a picture are from one tint, as a share of the brightness. 0 is grey.

    None if the picture is too dark or too flat. `box`: a face in px of the main picture; its value counts if higher.
    """
    y, u, v = _cells(frame)
    lit = (y >= DARK) & (y <= BRIGHT)
    if lit.mean() < LEAST_LIT or y[lit].std() < LEAST_CONTRAST:
        return None
    away = np.hypot(u - _tint(u, y, lit) * y, v - _tint(v, y, lit) * y) / np.maximum(y, DARK)
    whole = float(np.sort(away[lit])[-1 - int(lit.sum() * TWENTIETH)])
    if box is None:
        return whole
    inside = _inside(box, frame, y.shape) & lit
    return max(whole, float(away[inside].mean())) if inside.any() else whole


def _cells(frame: Frame) -> tuple[Cells, Cells, Cells]:
    """Return brightness, blue difference and red difference, each averaged over cells."""
    width, height = frame.lores_size
    chroma = frame.lores[height:].reshape(2, height // 2, width // 2)
    return _averaged(luma(frame.lores), 2 * CELL), _averaged(chroma[0], CELL) - 128, _averaged(chroma[1], CELL) - 128


def _averaged(plane: Pixels, side: int) -> Cells:
    """Return means over squares of `side` px, without the rest at right and below. Integer sums first, for speed."""
    rows, columns = (max(1, length // side) for length in plane.shape)
    height, width = (min(side, length) for length in plane.shape)
    strips = plane[: rows * height].reshape(rows, height, -1).sum(1, dtype=np.uint16)
    sums = strips[:, : columns * width].reshape(rows, columns, width).sum(2, dtype=np.uint32)
    means: Cells = sums.astype(np.float32) / (height * width)
    return means


def _tint(chroma: Cells, y: Cells, lit: NDArray[np.bool_]) -> float:
    """Return the tint of one chroma plane: the best-fitting share of the brightness, within `MOST_TINT`."""
    share = float((chroma[lit] * y[lit]).sum() / (y[lit] * y[lit]).sum())
    return min(MOST_TINT, max(-MOST_TINT, share))


def _inside(box: "Box", frame: Frame, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of the cells whose centre lies in the inner half of a box."""
    height, width = frame.main.shape[:2]
    rows = (np.arange(shape[0]) + 0.5) / shape[0] * height
    columns = (np.arange(shape[1]) + 0.5) / shape[1] * width
    x, y, box_width, box_height = box
    down = np.abs(rows - (y + box_height / 2)) <= max(box_height / 4, height / shape[0] / 2)
    across = np.abs(columns - (x + box_width / 2)) <= max(box_width / 4, width / shape[1] / 2)
    return np.outer(down, across)
