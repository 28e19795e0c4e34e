"""Hair in the style of the person: a cap of strands from the crown to a hairline, and long hair, fringe or bun."""

import numpy as np

from gated.simulator.cloud import Cloud, Floats, Mask, cloud, linear, noise, step
from gated.simulator.head import Head, angles, row_at, section
from gated.simulator.likeness import Likeness

HATLINE = 0.32
"""Height of a hat's front edge, y."""

FALLING = ("bob", "long")
"""Styles with hair that hangs down at the sides."""


def hidden(p: Likeness, shape: Head, hat: bool) -> Mask:
    """Return a mask of the points of the head (R, C) that hair or a hat covers."""
    under_hat = shape.at[1] > HATLINE + 0.15 if hat else np.zeros(shape.front.shape, bool)
    if p.hair_style == "bald":
        return under_hat
    return np.asarray(under_hat | (shape.row < _inner(p, shape.angle) - 0.13))


def roots(p: Likeness, shape: Head) -> Floats:
    """Return the share of the skin (R, C) that is covered by hair roots, 0..1."""
    if p.hair_style == "bald":
        return np.zeros_like(shape.front)
    return step(0.0, 0.02, _edge(p, shape.angle) - 0.03 - shape.row)


def hair_of(p: Likeness, spacing: float, hat: bool) -> list[Cloud]:
    """Return the hair as clouds. Under a hat only the hair below it."""
    if p.hair_style == "bald":
        return []
    parts = [_cap(p, spacing, hat)]
    if p.hair_style in FALLING:
        parts.append(_fall(p, spacing, hat))
    if p.hair_style == "bun" and not hat:
        parts += _bun(p, spacing)
    return parts


def _cap(p: Likeness, spacing: float, hat: bool) -> Cloud:
    """Return the hair on the skull: thick at the top, thin at the neck, with a soft edge or a fringe of strands."""
    theta = angles(spacing)[None, :]
    s = np.linspace(0.02, 1.04, int(2.0 / spacing), dtype=np.float32)[:, None]
    edge = _edge(p, theta)
    t = s * edge
    volume = p.hair_volume * {"crop": 0.25, "receding": 0.5, "bun": 0.45, "curly": 1.7}.get(p.hair_style, 1.0)
    if hat:
        volume = min(volume, 0.04)
    front = np.clip(np.cos(theta), 0, 1)
    end = 0.05 * front if p.hair_style in ("fringe", "bob") else 0.005
    deep = np.clip(np.minimum((1.02 - s) * 3.2, (_inner(p, theta) - t) * 3.5 + 0.25), 0, 1)
    thick = 0.012 + end + volume * deep**0.6 * (1 + 0.35 * front)
    curly = p.hair_style == "curly"
    combed = theta + p.hair_part * (1 - s) * 1.5
    lock = noise(p.dice(30), combed, 0.10 * t, 0.035, 0.0) + 0.6 * noise(p.dice(31), combed, 0.2 * t, 0.10, 0.0)
    if curly:
        place = section(p, t, theta)
        lock = noise(p.dice(30), place[0] + place[2], place[1], 0.085)
        lock = lock + 0.6 * noise(p.dice(31), place[0] - place[2], place[1], 0.05)
    part = np.exp(-np.square((theta - 1.6 * p.hair_part - 0.1) / (0.02 + 0.03 * s))) * (s > 0.15)
    parted = p.hair_style in ("side", "long", "bun") and not hat
    at = section(p, t, theta, thick + (0.045 if curly else 0.010) * lock - 0.6 * thick * part * parted)
    fine = noise(p.dice(32), combed, 0.05 * t, 0.012, 0.0)
    tone = np.clip(1 + 0.30 * lock + 0.30 * fine, 0.25, 2.0) * (1 - 0.5 * part * parted)
    torn = 0.05 if p.hair_style in ("fringe", "crop") else 0.02
    ragged = 1.0 + (0.035 * fine + torn * lock) * step(0.75, 0.1, front)
    keep = np.broadcast_to(s < ragged, at.shape[1:])
    if hat:
        keep = keep & (at[1] < HATLINE + 0.06)
    return cloud(at, (linear(p.hair)[:, None, None] * tone[None]).astype(np.float32), spacing, 0.22, keep=keep)


def _edge(p: Likeness, theta: Floats) -> Floats:
    """Return the row of `head` at which the hair ends, for every angle: forehead, temples, ears, nape."""
    away = np.abs(theta)
    line = row_at(p, p.hairline)
    if p.hair_style == "receding":
        line = 0.45 * line
    if p.hair_style in ("fringe", "bob"):
        line = row_at(p, 0.42 - 0.16 * p.hair_length)
    shape = p.hairline_shape * (0.3 if p.hair_style in ("fringe", "bob") else 1.0)
    front = line * (1 - 0.45 * shape * step(0.35, 0.3, away) * (1 - step(1.0, 0.25, away)))
    burn = 1.02 + 0.35 * (0.3 + 0.7 * p.hair_length) * np.exp(-np.square((away - 1.42) / 0.10))
    edge = front + (burn - front) * step(1.20, 0.18, away)
    nape = 1.55 if p.hair_style == "crop" else 2.1
    return np.asarray(edge + (nape - edge) * step(2.0, 0.25, away), np.float32)


def _inner(p: Likeness, theta: Floats) -> Floats:
    """Return the innermost hair edge near each angle. Above it there is hair all around."""
    return np.asarray(np.min([_edge(p, theta + turn) for turn in (-0.3, -0.15, 0.0, 0.15, 0.3)], axis=0))


def _fall(p: Likeness, spacing: float, hat: bool) -> Cloud:
    """Return hair that hangs from the sides and the back, to the chin or to the shoulders."""
    start = 1.02 + 0.35 * p.hairline_shape
    theta = np.linspace(start, 2 * np.pi - start, int(4.2 / spacing), dtype=np.float32)[None, :]
    reach = -1.62 if p.hair_style == "long" else -0.55 - 0.4 * p.hair_length
    y = np.linspace(0.45, reach, int((0.45 - reach) / spacing), dtype=np.float32)[:, None]
    down = (0.45 - y) / (0.45 - reach)
    lock = noise(p.dice(33), theta, 0.08 * y, 0.045, 0.0) + 0.5 * noise(p.dice(34), theta + 0.1 * y, 0.3 * y, 0.12, 0.0)
    flare = 0.055 + 0.6 * p.hair_volume * np.sin(np.pi * np.clip(down * 0.9 + 0.1, 0, 1)) + 0.02 * lock
    drawn = 1 - 0.04 * down if p.hair_style == "long" else 1 + 0.04 * np.sin(np.pi * down)
    lid = np.sqrt(np.clip(1 - np.square(np.clip(y - 0.2, 0, 1) / (p.crown - 0.2)), 0, 1))
    wide = (1.02 * p.head_width + 0.4 * max(0.0, p.cheek_out)) * drawn * lid + flare
    back = p.head_depth * drawn * lid + flare
    at = np.stack(np.broadcast_arrays(wide * np.sin(theta), y, 0.05 + back * np.cos(theta))).astype(np.float32)
    at = at[:, :, ::-1]
    tone = np.clip(1 + 0.30 * lock + 0.25 * noise(p.dice(35), theta, 0.05 * y, 0.014, 0.0), 0.25, 2.0)[:, ::-1]
    ragged = down < 0.97 + 0.05 * lock
    keep = ragged[:, ::-1] & (at[1] < HATLINE) if hat else ragged[:, ::-1]
    colour = (linear(p.hair)[:, None, None] * tone[None]).astype(np.float32)
    return cloud(np.ascontiguousarray(at), colour, spacing, 0.22, keep=keep)


def _bun(p: Likeness, spacing: float) -> list[Cloud]:
    """Return a bun on the crown, or one at each side."""
    two, size = p.hair_length > 0.6, 0.14 + 0.9 * p.hair_volume
    size = 0.7 * size if two else size
    lift = p.crown + 0.45 * size
    centres = [(-0.62 * p.head_width, 0.78 * lift), (0.62 * p.head_width, 0.78 * lift)] if two else [(0.0, lift)]
    theta = np.linspace(-np.pi, np.pi, int(6.3 * size / spacing) + 4, dtype=np.float32)[None, :]
    phi = np.linspace(0.05, 3.1, int(3.1 * size / spacing) + 4, dtype=np.float32)[:, None]
    lock = noise(p.dice(36), theta + 1.5 * phi, 0.1 * phi, 0.12, 0.0)
    radius = size * (1 + 0.06 * lock)
    tone = (linear(p.hair)[:, None, None] * np.clip(1 + 0.35 * lock, 0.3, 2)[None]).astype(np.float32)
    balls = [
        np.stack(
            [
                x + radius * np.sin(phi) * np.sin(theta),
                y + radius * np.cos(phi),
                radius * np.sin(phi) * np.cos(theta) - 0.15,
            ]
        )
        for x, y in centres
    ]
    return [cloud(ball.astype(np.float32), tone, spacing, 0.22) for ball in balls]
