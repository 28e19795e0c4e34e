"""A whole person as one cloud, with accessories, and the marks that measure a view. Built once and cached."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gated.simulator.cloud import AT, NORMAL, STIFF, Cloud, Floats, Mask, cloud, join, linear, noise
from gated.simulator.hair import FALLING, hair_of, hidden, roots
from gated.simulator.head import Head, head, opening, smiling
from gated.simulator.likeness import Likeness
from gated.simulator.skin import skin
from gated.simulator.view import Glasses
from gated.simulator.worn import glasses_of, hat_of, mask_of

LEVELS = (40, 46, 53, 61, 70, 80, 92, 106, 122, 140, 161, 185, 213, 245, 282, 324)
"""Face heights in px for which clouds are built. A larger face is enlarged from the largest of these."""


DISTANCE = 8.0
"""Distance from the head to the camera, in eye-to-chin units: 0.9 m."""

INSIDE = 0.35
"""Hair is visible up to this angle (cosine) away from the camera, because it is not a closed surface."""

FOREHEAD = 0.57
"""Upper edge of a face box on the forehead, y, as YuNet sets it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A person as discs, and `marks` (3, 9) with their `paths` (2, 3, 9) in a smile and an open mouth.

    Marks: the landmarks as in `Sprite`, then forehead, chin, and the outermost points of the face. `height`: of the
    face box, frontal, from `DISTANCE`. `plane` (N,): normal times position; a disc faces any point with a larger
    product. `loose` (N,): not stiff.
    """

    cloud: Cloud
    plane: Floats
    loose: Mask
    marks: Floats
    paths: Floats
    height: float


def level_of(face_px: float) -> int:
    """Return the level for a face of this height."""
    return next((i for i, px in enumerate(LEVELS) if px >= face_px), len(LEVELS) - 1)


@lru_cache(maxsize=16)  # about 10 MB each
def figure(person: Likeness, level: int, *, eyes_closed: bool, glasses: Glasses, mask: bool, hat: bool) -> Figure:
    """Return the cloud of a person, with discs about 1 px apart at the level's face height."""
    spacing = (FOREHEAD - person.chin_y) / LEVELS[level]
    shape = head(person, spacing)
    paths = smiling(person, shape), opening(person, shape)
    colour, gloss = skin(person, shape, spacing, eyes_closed)
    colour += roots(person, shape) * (linear(person.hair)[:, None, None] - colour)
    face = cloud(shape.at, colour, spacing, gloss, stiff=shape.stiff, keep=~hidden(person, shape, hat), paths=paths)
    parts = [_shoulders(person, 1.3 * spacing)]
    if person.hair_style not in FALLING:
        parts += _ears(person, spacing)
    if mask:
        parts.append(mask_of(person, spacing))
    if glasses != "none":
        parts += glasses_of(person, spacing, glasses)
    if hat:
        parts += hat_of(person, spacing)
    strands = hair_of(person, 1.2 * spacing, hat)
    whole = join([face, _mouth_inside(person, spacing)], [*parts, *strands])
    plane = (whole.discs[AT] * whole.discs[NORMAL]).sum(0)
    plane[plane.size - sum(c.discs.shape[1] for c in strands) :] -= INSIDE * DISTANCE
    marks, mark_paths = _marks(person, shape, paths)
    near = DISTANCE / (DISTANCE - marks[2])
    height = float(marks[1, 5] * near[5] - marks[1, 6] * near[6])
    return Figure(whole, plane, whole.discs[STIFF] < 1, marks, mark_paths, height)


def _marks(p: Likeness, shape: Head, paths: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the marks, found on the surface, and their motion.

    People and detectors mark the tip of the nose mostly where a mean face has it, half way from the eyes to the mouth.
    With the true tip, a long nose would look like a face that looks down.
    """
    own, mean = p.nose_y + 0.065 + p.nose_up, 0.5 * (p.eye_y + p.mouth_y)
    tip = 0.3 * own + 0.7 * mean
    wanted = [
        (-p.eye_x, p.eye_y),
        (p.eye_x, p.eye_y),
        (0, tip),
        (-p.mouth_width, p.mouth_y),
        (p.mouth_width, p.mouth_y),
    ]
    wanted += [(0.0, FOREHEAD), (0.0, p.chin_y)]
    x, y, z = shape.at
    chosen = [int(np.argmin((x - a) ** 2 + (y - b) ** 2 + 9.0 * (z < 0.2))) for a, b in wanted]
    on = shape.at.reshape(3, -1)[:, chosen]
    ears = np.array([[-p.head_width, p.head_width], [-0.1, -0.1], [0.15, 0.15]], np.float32)
    mark_paths = np.stack([m.reshape(3, -1)[:, chosen] for m in paths])
    return np.concatenate([on, ears], 1), np.concatenate([mark_paths, np.zeros((2, 3, 2), np.float32)], 2)


def _mouth_inside(p: Likeness, spacing: float) -> Cloud:
    """Return teeth and the dark behind them. They are deep inside, and move to the lips when the mouth opens."""
    depth = min(0.2, 0.8 * (p.mouth_y - p.chin_y))
    wide = 0.95 * p.mouth_width
    x, y = np.meshgrid(np.arange(-wide, wide, spacing), np.arange(0.02, -depth, -spacing))
    z = 0.60 * p.head_depth - 0.35 * np.square(x) / p.mouth_width
    teeth = y > -0.022
    colour = np.where(teeth, linear((0.78, 0.75, 0.68))[:, None, None], linear((0.18, 0.05, 0.05))[:, None, None])
    at = np.stack([x, y + p.mouth_y, z]).astype(np.float32)
    forward = np.zeros_like(at)
    forward[2] = 0.26 * p.head_depth
    return cloud(at, colour.astype(np.float32), spacing, 0.1, paths=(0 * forward, forward))


def _ears(p: Likeness, spacing: float) -> list[Cloud]:
    """Return two ears: shells with a rim and a hollow, standing out from the head."""
    n = max(6, int(2.2 * p.ear_size / spacing))
    v, u = np.meshgrid(np.linspace(-1, 1, n, dtype=np.float32), np.linspace(-1, 1, n, dtype=np.float32), indexing="ij")
    radius = np.hypot(u, v)
    across, down = 0.60 * p.ear_size * u * (1 - 0.22 * v), -p.ear_size * v
    rim = 0.030 * np.exp(-np.square((radius - 0.84) / 0.13)) - 0.03 * np.exp(-np.square((radius - 0.25) / 0.3))
    hollow = np.clip(1.1 - radius / 0.62, 0, 1) + 0.5 * np.exp(-np.square((radius - 0.68) / 0.07)) * (v < 0.3)
    r, g, b = p.skin
    colour = linear((min(1.0, 1.02 * r), 0.92 * g, 0.90 * b))[:, None, None] * (1 - 0.55 * hollow)[None]
    ears = []
    for side in (-1, 1):
        away = np.sin(p.ear_out) * (across + 0.6 * p.ear_size) + rim
        at = np.stack([side * (0.95 * p.head_width + away), down - 0.14, -0.02 - np.cos(p.ear_out) * across])
        flip = np.s_[..., ::side]
        ears.append(cloud(at[flip].astype(np.float32), colour[flip], spacing, 0.1, keep=(radius <= 1)[flip]))
    return ears


def _shoulders(p: Likeness, spacing: float) -> Cloud:
    """Return a shirt: a collar around the neck, and sloping shoulders."""
    theta = np.linspace(-2.3, 2.3, int(4.4 / spacing), dtype=np.float32)[None, :]
    s = np.linspace(0, 1, int(1.5 / spacing), dtype=np.float32)[:, None]
    out = np.clip(s - 0.08, 0, 1)
    wide = (
        0.95 * p.neck_width
        + 0.10 * np.clip(s / 0.08, 0, 1)
        + (0.8 if p.age == "child" else 1.05) * np.clip(out * 1.25, 0, 1) ** 0.85
    )
    y = p.chin_y - 0.28 - 0.13 * np.clip(np.cos(theta), 0, 1) * (1 - out) - 0.10 * out - 0.85 * out**2.0
    deep = 0.30 + 0.10 * np.clip(s / 0.08, 0, 1) + 0.16 * out
    at = np.stack(np.broadcast_arrays(wide * np.sin(theta), y, deep * np.cos(theta) - 0.10)).astype(np.float32)
    shade = 1 - 0.35 * np.exp(-np.square((s - 0.10) / 0.02)) + 0.10 * noise(p.dice(50), at[0], at[1], 0.25)
    return cloud(at, (linear(p.shirt)[:, None, None] * shade[None]).astype(np.float32), spacing, 0.02, stiff=0.0)
