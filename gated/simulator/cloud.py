"""Surfaces as clouds of small coloured discs: made once for a person, then turned, lit and splatted for each view."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cloud:
    """N discs, each array with the discs last, float32.

    `at` (3, N): where. `normal` (3, N): unit, outwards. `colour` (3, N): linear albedo. `gloss` (N,): strength of the
    highlight. `stiff` (N,): 1 moves with the head, 0 stays with the body. `smile`, `opened` (6, N): what a full smile
    and a wide open mouth add to position and normal.
    """

    at: Floats
    normal: Floats
    colour: Floats
    gloss: Floats
    stiff: Floats
    smile: Floats
    opened: Floats

    @classmethod
    def join(cls, clouds: list[Self]) -> Self:
        """Several as one."""
        return cls(*(np.concatenate([getattr(c, f.name) for c in clouds], axis=-1) for f in fields(cls)))

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """The discs that are chosen, (N,) bool."""
        return type(self)(*(np.ascontiguousarray(getattr(self, f.name)[..., chosen]) for f in fields(self)))


def cloud(
    at: Floats,
    colour: Floats,
    spacing: float,
    gloss: Floats | float = 0.1,
    stiff: Floats | float = 1.0,
    keep: NDArray[np.bool_] | None = None,
    moves: tuple[Floats, Floats] | None = None,
) -> Cloud:
    """The surface through a grid of points (3, R, C), rows downwards and columns to the right as seen from outside.

    `colour`: (3,) or (3, R, C), linear. `moves`: the paths (3, R, C) of a full smile and of an open mouth. Where
    neighbours are further apart than `spacing`, discs are put between them.
    """
    normal = normals(at)
    parts = [at, normal, _spread(colour, at), _spread(gloss, at[0])[None], _spread(stiff, at[0])[None]]
    for move in moves or ():
        parts += [move, normals(at + move) - normal]
    if not moves:
        parts.append(np.zeros((12, *at.shape[1:]), np.float32))
    sheet = np.concatenate(parts)
    kept = np.ones(at.shape[1:], bool) if keep is None else keep
    discs = [sheet[:, kept], *_between(sheet, kept, spacing)]
    flat = np.concatenate(discs, axis=1).astype(np.float32)
    return Cloud(flat[0:3], flat[3:6], flat[6:9], flat[9], flat[10], flat[11:17], flat[17:23])


def _between(sheet: Floats, kept: NDArray[np.bool_], spacing: float) -> list[Floats]:
    """Discs half way between neighbours that lie too far apart but move together."""
    discs = []
    for ahead, behind in (((slice(1, None),), (slice(None, -1),)), ((slice(None), slice(1, None)), (slice(None), slice(None, -1)))):
        a, b = sheet[(slice(None), *ahead)], sheet[(slice(None), *behind)]
        apart = np.square(a[:3] - b[:3]).sum(0)
        tear = np.abs(a[18] - b[18]) > 0.05
        wide = (apart > (1.25 * spacing) ** 2) & (apart < (8 * spacing) ** 2) & ~tear & kept[ahead] & kept[behind]
        far = wide & (apart > (2.2 * spacing) ** 2)
        discs.append((a[:, wide] + b[:, wide]) / 2)
        discs += [a[:, far] * w + b[:, far] * (1 - w) for w in (0.25, 0.75)]
    return discs


def normals(at: Floats) -> Floats:
    """Unit normals (3, R, C) of a grid of points, outwards for rows downwards and columns to the right."""
    down, right = np.gradient(at, axis=1), np.gradient(at, axis=2)
    n = np.stack([down[i - 2] * right[i - 1] - down[i - 1] * right[i - 2] for i in range(3)])
    return (n / np.sqrt(np.square(n).sum(0) + 1e-12)).astype(np.float32)


def _spread(value: Floats | float, like: Floats) -> Floats:
    """A value for every disc."""
    value = np.asarray(value, np.float32)
    if value.ndim == 1:
        value = value[:, None, None]
    return np.broadcast_to(value, like.shape)


def linear(colour: Floats | tuple[float, float, float]) -> Floats:
    """sRGB 0..1 to linear light, by the square that is near enough and cheap; `rendered` back by the root."""
    return np.square(np.asarray(colour, np.float32))


def bump(x: Floats, y: Floats, centre: tuple[float, float], sigma: tuple[float, float]) -> Floats:
    """A Gaussian hill of height 1."""
    return np.exp(-0.5 * (np.square((x - centre[0]) / sigma[0]) + np.square((y - centre[1]) / sigma[1])))


def step(edge: Floats | float, soft: float, value: Floats) -> Floats:
    """0 below the edge, 1 above, smooth within `soft` to both sides."""
    t = np.clip((value - edge) / (2 * soft) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, x: Floats, y: Floats, cell: float) -> Floats:
    """Smooth noise, mean 0, about -1..1, with details of `cell`; the same place has the same value at every density."""
    table = rng.uniform(-1, 1, (64, 64)).astype(np.float32)
    u, v = (x + 40) / cell, (y + 40) / cell
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    a, b = u - i, v - j
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    i0, i1, j0, j1 = i & 63, (i + 1) & 63, j & 63, (j + 1) & 63
    top = table[i0, j0] * (1 - a) + table[i1, j0] * a
    return top * (1 - b) + (table[i0, j1] * (1 - a) + table[i1, j1] * a) * b
