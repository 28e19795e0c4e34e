"""Things worn on face and head: glasses, a mask, a hat."""

import numpy as np

from gated.simulator.cloud import Cloud, Floats, bump, cloud, linear
from gated.simulator.hair import HATLINE
from gated.simulator.head import relief, row_at, section
from gated.simulator.likeness import Likeness
from gated.simulator.view import Glasses


def glasses_of(p: Likeness, spacing: float, kind: Glasses) -> list[Cloud]:
    """Return a frame with temples, and lenses for dark glasses."""
    dice = p.dice(40)
    wide, high, power = dice.uniform(0.15, 0.20), dice.uniform(0.10, 0.16), dice.uniform(2.0, 4.5)
    if kind == "dark":
        wide, high = wide + 0.03, high + 0.03
    thick = float(dice.uniform(0.014, 0.032))
    ink = ((0.05, 0.05, 0.06), (0.25, 0.14, 0.08), (0.45, 0.38, 0.25), (0.30, 0.31, 0.33), (0.35, 0.06, 0.08))[
        int(dice.integers(5))
    ]
    front = p.head_depth + 0.08
    parts = []
    for side in (-1, 1):
        middle = side * max(p.eye_x, wide + 0.05)
        angle = np.linspace(0, 2 * np.pi, int(5 * np.pi * wide / spacing) + 8, dtype=np.float32)[None, :]
        k = np.linspace(1 - thick / wide, 1 + thick / wide, max(3, int(2 * thick / spacing) + 2), dtype=np.float32)[
            :, None
        ]
        cx, cy = _superellipse(angle, power)
        rim = _bent(middle + wide * k * cx, p.eye_y - 0.02 + high * k * cy, front)
        parts.append(cloud(_facing(rim), linear(ink), spacing, 0.12))
        if kind == "dark":
            fill = np.linspace(0, 1, int(wide / spacing) + 4, dtype=np.float32)[:, None]
            lens = _bent(middle + wide * fill * cx, p.eye_y - 0.02 + high * fill * cy, front - 0.01)
            parts.append(cloud(_facing(lens), linear((0.07, 0.07, 0.08)), spacing, 0.10))
        back = np.linspace(0, 1, int(1.0 / spacing), dtype=np.float32)[None, :]
        tall = np.linspace(thick * 1.3, -thick * 1.3, max(3, int(3 * thick / spacing)), dtype=np.float32)[:, None]
        edge = abs(middle) + wide
        x = edge + (p.head_width + 0.02 - edge) * np.clip(2.5 * back, 0, 1)
        temple = np.stack(
            np.broadcast_arrays(side * x, p.eye_y + 0.03 + tall - 0.0 * back, front - 0.12 - (front) * back)
        ).astype(np.float32)
        temple = temple[:, :, ::-1] if side > 0 else temple
        parts.append(cloud(np.ascontiguousarray(temple), linear(ink), spacing, 0.1))
    gap = max(p.eye_x, wide + 0.05) - wide + 0.01
    x = np.linspace(-gap, gap, max(4, int(2 * gap / spacing)), dtype=np.float32)[None, :]
    tall = np.linspace(thick, -thick, max(3, int(2 * thick / spacing) + 1), dtype=np.float32)[:, None]
    bridge = np.stack(
        np.broadcast_arrays(x, p.eye_y + 0.02 + tall + 0.02 * np.cos(x * 1.5 / gap), front + 0.02 + 0 * x)
    ).astype(np.float32)
    return [*parts, cloud(bridge, linear(ink), spacing, 0.12)]


def _superellipse(angle: Floats, power: float) -> tuple[Floats, Floats]:
    """Return a rounded rectangle of half-width and half-height 1."""
    c, s = np.cos(angle), np.sin(angle)
    x, y = np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)
    return x.astype(np.float32), y.astype(np.float32)


def _bent(x: Floats, y: Floats, front: float) -> Floats:
    """Bend points (x, y) gently around the face."""
    return np.stack(np.broadcast_arrays(x, y, front - 0.5 * np.square(x))).astype(np.float32)


def _facing(at: Floats) -> Floats:
    """Flip a polar grid so that its outside faces the camera: rows outwards, columns clockwise."""
    return np.ascontiguousarray(at[:, ::-1, ::-1])


def mask_of(p: Likeness, spacing: float) -> Cloud:
    """Return a pleated medical mask over nose, mouth and chin."""
    theta = np.linspace(-1.35, 1.35, int(2.1 / spacing), dtype=np.float32)[None, :]
    t = np.linspace(1.28, 2.12, int(1.15 / spacing), dtype=np.float32)[:, None]
    top = 1.24 + 0.25 * np.clip(np.abs(theta) / 1.35, 0, 1) ** 1.5
    rows = top + (t - 1.28) / 0.84 * (2.12 - 0.15 * np.abs(theta) - top)
    at = section(p, rows.astype(np.float32), theta, 0.055)
    x, y = at[0], at[1]
    nose = (0.9 * p.nose_tip + 0.04) * bump(x, y, (0, p.nose_y + 0.04), (0.16, 0.18))
    tent = nose + 0.05 * bump(x, y, (0, p.mouth_y), (0.22, 0.25))
    at[2] += np.maximum(tent, np.cos(theta) * relief(p, x, y) + 0.04)
    pleat = 0.012 * np.abs(np.sin(rows * 16))
    at[2] += pleat * np.cos(theta)
    tone = ((0.55, 0.74, 0.86), (0.92, 0.93, 0.94), (0.10, 0.10, 0.12))[int(p.dice(41).integers(3))]
    shade = 0.86 + 0.14 * np.abs(np.sin(rows * 16))
    return cloud(at, (linear(tone)[:, None, None] * shade[None]).astype(np.float32), spacing, 0.03)


def hat_of(p: Likeness, spacing: float) -> list[Cloud]:
    """Return a cap with a peak, or a knitted hat with a turned edge."""
    dice = p.dice(42)
    tone = linear(tuple(dice.uniform(0.08, 0.70, 3).tolist()))
    knit = bool(dice.random() < 0.4)
    front = row_at(p, HATLINE)
    theta = np.linspace(-np.pi, np.pi, int(5.6 / spacing), dtype=np.float32)[None, :]
    s = np.linspace(0, 1, int(1.5 / spacing), dtype=np.float32)[:, None]
    edge = front + (0.20 if knit else 0.14) * np.clip(1 - np.cos(theta), 0, 2)
    turned = 0.03 * (s > 0.75) if knit else 0.0
    at = section(p, (s * edge).astype(np.float32), theta, 0.10 + 0.04 * np.sin(np.pi * s) + turned)
    ribs = 0.80 + 0.20 * np.sin(theta * 70) if knit else 1 - 0.35 * np.exp(-np.square(np.sin(theta * 3) / 0.04))
    dark = 1 - 0.4 * np.exp(-np.square((s - 0.75) / 0.01)) if knit else 1 - 0.3 * (s > 0.96)
    parts = [cloud(at, (tone[:, None, None] * (ribs * dark)[None]).astype(np.float32), spacing, 0.02)]
    return parts if knit else parts + _peak(p, spacing, front, tone)


def _peak(p: Likeness, spacing: float, front: float, tone: Floats) -> list[Cloud]:
    """Return the peak of a cap: an upper side, and a darker one below."""
    out = np.linspace(0, 1, int(0.6 / spacing), dtype=np.float32)[:, None]
    across = np.linspace(-1.05, 1.05, int(1.7 / spacing), dtype=np.float32)[None, :]
    rim = section(p, np.full_like(across, front), across, 0.10)
    reach = 0.50 * out * np.sqrt(np.clip(1 - np.square(across / 1.10), 0, 1))
    peak = np.stack([rim[0] + 0 * out, rim[1] - 0.22 * reach - 0.06 * np.square(across), rim[2] + reach]).astype(
        np.float32
    )
    below = np.ascontiguousarray(peak[:, :, ::-1]) - np.array([0, 0.02, 0], np.float32)[:, None, None]
    return [cloud(peak, tone, spacing, 0.04), cloud(below, 0.35 * tone, spacing, 0.02)]
