"""Surfaces as clouds of small coloured discs: built once for a person, then rotated, lit and splatted for each view."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""float32 wherever the array has a value for each disc."""

Mask = NDArray[np.bool_]

AT, NORMAL, COLOUR, GLOSS, STIFF, ROWS = slice(0, 3), slice(3, 6), slice(6, 9), 9, 10, 11
"""The rows of a cloud."""

OPENED_Y = 7
"""The row of `moves` with the downward motion of an open mouth."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """N discs, and the motion of the first M of them, float32.

    `discs` (11, N): position (3), outward unit normal (3), linear albedo (3), strength of the highlight, and stiffness:
    1 moves with the head, 0 stays with the body. `moves` (12, M): added to position and normal by a full smile (6) and
    by a wide open mouth (6).
    """

    discs: Floats
    moves: Floats


def join(moving: list[Cloud], others: list[Cloud]) -> Cloud:
    """Join clouds that can move with the mouth and all others. Discs that do not move lose their `moves`."""
    moves = np.concatenate([c.moves for c in moving], axis=1)
    discs = np.concatenate([c.discs for c in moving], axis=1)
    moved = np.abs(moves).max(0) > 1e-3
    return Cloud(
        np.concatenate([discs[:, moved], discs[:, ~moved], *(c.discs for c in others)], axis=1), moves[:, moved]
    )


def cloud(
    at: Floats,
    colour: Floats,
    spacing: float,
    gloss: Floats | float,
    *,
    stiff: Floats | float = 1.0,
    keep: Mask | None = None,
    paths: tuple[Floats, Floats] | None = None,
) -> Cloud:
    """Return the surface through a grid of points (3, R, C), rows downwards and columns to the right seen from outside.

    `colour`: (3,) or (3, R, C), linear. `keep`: (R, C), the points to use. `paths`: the motion (3, R, C) of a full
    smile and of an open mouth. Discs are added between neighbours that are further apart than `spacing`.
    """
    shape = at.shape[1:]
    sheet = np.empty((ROWS + 12 * bool(paths), *shape), np.float32)
    sheet[AT], sheet[NORMAL], sheet[GLOSS], sheet[STIFF] = at, normals(at), gloss, stiff
    sheet[COLOUR] = colour[:, None, None] if colour.ndim == 1 else colour
    for i, path in enumerate(paths or ()):
        sheet[ROWS + 6 * i : ROWS + 6 * i + 3] = path
        sheet[ROWS + 6 * i + 3 : ROWS + 6 * i + 6] = normals(at + path) - sheet[NORMAL]
    kept = np.ones(shape, bool) if keep is None else keep
    flat = np.concatenate([sheet[:, kept], *_between(sheet, kept, spacing)], axis=1)
    return Cloud(flat[:ROWS], flat[ROWS:])


def _between(sheet: Floats, kept: Mask, spacing: float) -> list[Floats]:
    """Return discs between neighbours that are too far apart but move together."""
    discs: list[Floats] = []
    width = kept.shape[1]
    flat, use = sheet.reshape(len(sheet), -1), kept.ravel()
    for along, ahead in ((sheet[:3, 1:] - sheet[:3, :-1], width), (sheet[:3, :, 1:] - sheet[:3, :, :-1], 1)):
        apart = along[0] * along[0] + along[1] * along[1] + along[2] * along[2]
        row, column = np.nonzero((apart > (1.25 * spacing) ** 2) & (apart < (8 * spacing) ** 2))
        a = row * width + column
        near = use[a] & use[a + ahead]
        if len(sheet) > ROWS:
            near &= np.abs(flat[ROWS + OPENED_Y, a] - flat[ROWS + OPENED_Y, a + ahead]) < 0.05
        a, far = a[near], apart[row, column][near] > (2.5 * spacing) ** 2
        discs.append((flat[:, a] + flat[:, a + ahead]) / 2)
        discs += [flat[:, a[far]] * (1 - w) + flat[:, a[far] + ahead] * w for w in (0.25, 0.75)]
    return discs


def normals(at: Floats) -> Floats:
    """Return unit normals (3, R, C) of a grid of points, outwards for rows downwards and columns to the right."""
    down, right = np.empty_like(at), np.empty_like(at)
    down[:, 1:-1], right[:, :, 1:-1] = at[:, 2:] - at[:, :-2], at[:, :, 2:] - at[:, :, :-2]
    down[:, 0], down[:, -1] = at[:, 1] - at[:, 0], at[:, -1] - at[:, -2]
    right[:, :, 0], right[:, :, -1] = at[:, :, 1] - at[:, :, 0], at[:, :, -1] - at[:, :, -2]
    n: Floats = np.stack([down[i - 2] * right[i - 1] - down[i - 1] * right[i - 2] for i in range(3)])
    n /= np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2] + np.float32(1e-14))
    return n


def linear(colour: Floats | tuple[float, ...]) -> Floats:
    """Convert sRGB 0..1 to linear light by squaring, an approximation. `render` converts back by the square root."""
    channels: Floats = np.asarray(colour, np.float32)
    return channels * channels


def bump(x: Floats, y: Floats, centre: tuple[float, float], sigma: tuple[float, float]) -> Floats:
    """Return a Gaussian of height 1."""
    hill: Floats = np.exp(-0.5 * (np.square((x - centre[0]) / sigma[0]) + np.square((y - centre[1]) / sigma[1])))
    return hill


def step(edge: Floats | float, soft: float, value: Floats) -> Floats:
    """Return 0 below the edge and 1 above, smooth within `soft` on both sides."""
    t: Floats = np.clip((value - edge) / (2 * soft) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, x: Floats, y: Floats, cell: float, turn: float = 0.6) -> Floats:
    """Return smooth noise, mean 0, about -1..1, with details of `cell`. Its value at a place does not depend on the
    density.

    `turn`: radians between its grid and the axes, to hide the grid.
    """
    table = rng.uniform(-1, 1, (64, 64)).astype(np.float32)
    c, s = float(np.cos(turn)) / cell, float(np.sin(turn)) / cell
    u, v = x * c + y * s + 2048, y * c - x * s + 2048
    i, j = u.astype(np.int32), v.astype(np.int32)
    a, b = u - i, v - j
    a, b = (a * a * (3 - 2 * a)).astype(np.float32), (b * b * (3 - 2 * b)).astype(np.float32)
    i0, i1, j0, j1 = (i & 63) << 6, ((i + 1) & 63) << 6, j & 63, (j + 1) & 63
    flat = table.ravel()
    top = flat[i0 + j0] * (1 - a) + flat[i1 + j0] * a
    return top * (1 - b) + (flat[i0 + j1] * (1 - a) + flat[i1 + j1] * a) * b
