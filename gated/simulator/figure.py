"""A whole person as one cloud, with what is worn, and the points that a view is measured by; made once and kept."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gated.simulator.cloud import Cloud, Floats, cloud, linear
from gated.simulator.hair import hair_mask, hair_of
from gated.simulator.head import Head, head, opening, rows, smiling
from gated.simulator.identity import Identity
from gated.simulator.skin import skin
from gated.simulator.view import Glasses
from gated.simulator.worn import glasses_of, hat_of, mask_of

LEVELS = (48, 72, 104, 150, 216, 310)
"""Heights of a face in px that clouds are made for; a larger face is drawn with larger discs."""

FACE = 1.45
"""About the height of a face box in eye-to-chin units."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A person as discs, and `marks` (3, 5 + 4) with their moves (2, 3, 9): the landmarks, then the edges of the face.

    Landmarks: the eye on the picture's left first, then the other, nose tip, mouth corners. Edges: hairline, chin, ears.
    """

    cloud: Cloud
    marks: Floats
    moves: Floats


def level_of(face_px: float) -> int:
    """The level that a face of this height is drawn from."""
    return next((i for i, px in enumerate(LEVELS) if px >= face_px), len(LEVELS) - 1)


@lru_cache(maxsize=24)
def figure(person: Identity, level: int, eyes_closed: bool, glasses: Glasses, mask: bool, hat: bool) -> Figure:
    """The cloud of a person, its discs about 0.8 px apart at the level's face height."""
    spacing = 0.8 * FACE / LEVELS[level]
    shape = head(person, spacing)
    t = rows(person, spacing)[:, None]
    moves = smiling(person, shape.at, shape.front), opening(person, shape.at, shape.front, t)
    colour, gloss = skin(person, shape.at, shape.front, spacing, eyes_closed)
    bare = hair_mask(person, shape.at, hat)
    parts = [cloud(shape.at, colour, spacing, gloss, shape.stiff, bare, moves)]
    parts += [*_mouth_inside(person, spacing), *_ears(person, spacing), _shoulders(person, 1.5 * spacing)]
    parts += hair_of(person, spacing, hat)
    if mask:
        parts.append(mask_of(person, spacing))
    if glasses != "none":
        parts += glasses_of(person, spacing, glasses)
    if hat:
        parts += hat_of(person, spacing)
    marks, paths = _marks(person, shape, moves)
    return Figure(Cloud.join(parts), marks, paths)


def _marks(p: Identity, shape: Head, moves: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """The points that a view is measured by, found on the surface, and how they move."""
    tip = p.nose_y + 0.065 + p.nose_up
    wanted = [(-p.eye_x, p.eye_y), (p.eye_x, p.eye_y), (0, tip), (-p.mouth_width, p.mouth_y), (p.mouth_width, p.mouth_y)]
    wanted += [(0.0, 0.46), (0.0, p.chin_y)]
    x, y, z = shape.at
    chosen = [int(np.argmin((x - a) ** 2 + (y - b) ** 2 + 9.0 * (z < 0.2))) for a, b in wanted]
    on = shape.at.reshape(3, -1)[:, chosen]
    ears = np.array([[-p.head_width, p.head_width], [-0.1, -0.1], [0.15, 0.15]], np.float32)
    paths = np.stack([m.reshape(3, -1)[:, chosen] for m in moves])
    return np.concatenate([on, ears], 1), np.concatenate([paths, np.zeros((2, 3, 2), np.float32)], 2)


def _mouth_inside(p: Identity, spacing: float) -> list[Cloud]:
    """Teeth and the dark behind them, seen when the lips part."""
    x, y = np.meshgrid(np.arange(-p.mouth_width, p.mouth_width, spacing), np.arange(0.03, -0.2, -spacing))
    x, y = x.astype(np.float32), y.astype(np.float32) + p.mouth_y
    z = 0.90 * p.head_depth - 0.35 * np.square(x) / p.mouth_width
    teeth = np.clip(1 - np.abs(y - p.mouth_y + 0.0) / 0.04, 0, 1) > 0.2
    colour = np.where(teeth, linear((0.80, 0.77, 0.70))[:, None, None], linear((0.20, 0.06, 0.06))[:, None, None])
    return [cloud(np.stack([x, y, z.astype(np.float32)]), colour.astype(np.float32), spacing, 0.2)]


def _ears(p: Identity, spacing: float) -> list[Cloud]:
    """Two ears: shells with a rim, standing out of the head."""
    n = max(6, int(1.6 * p.ear_size / spacing))
    v, u = np.meshgrid(np.linspace(-1, 1, n, dtype=np.float32), np.linspace(-1, 1, n, dtype=np.float32), indexing="ij")
    radius = np.hypot(u, v)
    across, down = 0.58 * p.ear_size * u * (1 - 0.25 * v), -p.ear_size * v
    rim = 0.035 * np.exp(-np.square((radius - 0.82) / 0.16)) + 0.02
    r, g, b = p.skin
    dark = np.clip(1 - radius / 0.65, 0, 1)[None]
    colour = linear((min(1.0, r * 1.0), g * 0.90, b * 0.88))[:, None, None] * (1 - 0.65 * dark)
    ears = []
    for side in (-1, 1):
        away = np.sin(p.ear_out) * (across + 0.5 * p.ear_size) * 0.8 + rim
        x = side * (0.93 * p.head_width + away)
        z = -0.08 - np.cos(p.ear_out) * across
        at = np.stack([x, down - 0.09, z]).astype(np.float32)
        flip = slice(None, None, side)
        ears.append(cloud(np.ascontiguousarray(at[:, :, ::-1][:, :, flip]), np.ascontiguousarray(colour[:, :, ::-1][:, :, flip]), spacing, 0.1, keep=(radius <= 1)[:, ::-1][:, flip]))
    return ears


def _shoulders(p: Identity, spacing: float) -> Cloud:
    """A shirt: a collar around the neck, and shoulders that slope away."""
    theta = np.linspace(-2.2, 2.2, int(3.8 / spacing), dtype=np.float32)[None, :]
    s = np.linspace(0, 1, int(1.3 / spacing), dtype=np.float32)[:, None]
    wide = p.neck_width + 0.10 + 0.92 * np.clip(s * 1.5, 0, 1) ** 0.8
    y = -1.38 - 0.10 * s - 0.75 * s**2.2 - 0.16 * np.clip(np.cos(theta), 0, 1) * (1 - s)
    deep = 0.34 + 0.18 * s
    at = np.stack(np.broadcast_arrays(wide * np.sin(theta), y, deep * np.cos(theta) - 0.08)).astype(np.float32)
    fold = 1 - 0.25 * np.exp(-np.square((s - 0.05) / 0.03)) + 0 * theta
    colour = linear(p.shirt)[:, None, None] * fold[None]
    return cloud(at, colour.astype(np.float32), spacing, 0.02, 0.0)
