"""Hair: which part of the head it covers, and shells of strands in the style of the person."""

import numpy as np
from numpy.typing import NDArray

from gated.simulator.cloud import Cloud, Floats, cloud, linear, noise, step
from gated.simulator.head import angles, section
from gated.simulator.identity import Identity

HATLINE = 0.36
"""The height of a hat's edge in front, y."""


def hair_mask(person: Identity, at: Floats, hat: bool) -> NDArray[np.bool_]:
    """Where the skin of the head shows, (R, C): outside the hair, or below the hat."""
    if hat:
        return np.asarray(at[1] < HATLINE + 0.1 - 0.1 * (at[2] < 0))
    return np.ones(at.shape[1:], bool)


def hair_of(p: Identity, spacing: float, hat: bool) -> list[Cloud]:
    """The hair as clouds; none for the bald."""
    if p.hair_style == "bald" and p.age != "child":
        return []
    theta = angles(spacing)[None, :]
    s = np.linspace(0.02, 1, int(1.9 / spacing), dtype=np.float32)[:, None]
    end = _edge(p, theta)
    t = s * end
    volume = p.hair_volume * (0.45 if p.hair_style in ("crop", "receding") else 1.6 if p.hair_style == "curly" else 1.0)
    if hat:
        volume = min(volume, 0.05)
    thick = 0.015 + volume * np.sin(np.clip((1 - s) * 2.2, 0, 1) * np.pi / 2) ** 0.8
    wild = 0.05 if p.hair_style == "curly" else 0.008
    x0 = section(p, t, theta)
    rough = noise(p.dice(30), x0[0] + x0[2], x0[1], 0.09 if p.hair_style == "curly" else 0.03)
    at = section(p, t, theta, thick + wild * rough)
    strands = noise(p.dice(31), theta * 1.0 + 0.0 * t, t * 0.06, 0.02) + 0.5 * noise(p.dice(32), theta, t * 0.1, 0.05)
    colour = linear(p.hair)[:, None, None] * np.clip(1 + 0.38 * strands, 0.3, 2.2)[None]
    keep = None
    if hat:
        keep = at[1] < HATLINE + 0.06
    return [cloud(at, colour.astype(np.float32), spacing, 0.30, keep=keep)]


def _edge(p: Identity, theta: Floats) -> Floats:
    """How far down the rows hair goes at every angle: the hairline, temples, over the ears, nape. Rows as in `head`."""
    away = np.abs(theta)
    line = 1.0 - p.hairline / p.crown
    if p.hair_style == "receding":
        line *= 0.55
    if p.hair_style in ("fringe", "bob"):
        line = 0.86
    front = line + p.hairline_shape * 0.25 * np.cos(theta * 3)
    side = 1.15
    nape = 2.6 if p.hair_style not in ("crop",) else 1.9
    edge = front + (side - front) * step(1.05, 0.25, away)
    return edge + (nape - edge) * step(1.9, 0.3, away)
