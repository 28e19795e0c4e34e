"""The shape of a head: cross-sections along a profile from crown to neck, with a relief of features on the front."""

from dataclasses import dataclass

import numpy as np

from gated.simulator.cloud import Floats, bump, noise, step
from gated.simulator.likeness import Likeness

NECK = -1.62
"""The lower end of the neck, y."""


@dataclass(frozen=True, slots=True)
class Head:
    """The skin of a head as a grid: rows from the crown down, columns from behind the right ear around the face.

    `row` (R, 1) and `angle` (1, C): from `rows` and `angles`. `at` (3, R, C). `front` (R, C): 1 on the face, 0 behind
    the ears. `stiff` (R, C): 1 on the head, 0 at the shoulders.
    """

    row: Floats
    angle: Floats
    at: Floats
    front: Floats
    stiff: Floats


def curve(place: Floats, knots: list[float], values: list[float]) -> Floats:
    """Return a smooth curve through the knots (Catmull-Rom). The knots ascend."""
    k, v = np.asarray(knots, np.float32), np.asarray(values, np.float32)
    slope = np.gradient(v, k)
    i = np.clip(np.searchsorted(k, place) - 1, 0, len(k) - 2)
    width = k[i + 1] - k[i]
    t = np.clip((place - k[i]) / width, 0, 1)
    a, b = slope[i] * width, slope[i + 1] * width
    lo, hi = v[i], v[i + 1]
    raise_version = hi - lo
    line: Floats = lo + t * (a + t * (3 * raise_version - 2 * a - b + t * (a + b - 2 * raise_version)))
    return line.astype(np.float32)


def angles(spacing: float, reach: float = np.pi) -> Floats:
    """Return the column angles around the head: 0 in front, denser on the face."""
    n = int(3.4 / spacing)
    u = np.linspace(-1, 1, 2 * (n // 2) + 1, dtype=np.float32)
    return reach * (0.72 * u + 0.28 * u**3)


def rows(person: Likeness, spacing: float) -> Floats:
    """Return the rows: 0 at the crown, 1 at the eyes, 2 at the chin, 3 at the top of the neck, 4 at its end."""
    pieces = [(0.0, 1.0, 1.5 * person.crown), (1.0, 2.0, -1.05 * person.chin_y), (2.0, 3.0, 0.5), (3.0, 4.0, 0.5)]
    return np.concatenate([np.linspace(a, b, max(3, int(s / spacing)), endpoint=False) for a, b, s in pieces]).astype(
        np.float32
    )


def head(person: Likeness, spacing: float) -> Head:
    """Return the head of a person with its discs about `spacing` apart."""
    t, theta = rows(person, spacing)[:, None], angles(spacing)[None, :]
    at = section(person, t, theta)
    front = step(0.28, 0.2, np.cos(theta)) * step(0.25, 0.2, t) * (1 - step(2.35, 0.3, t))
    x, y = at[0], at[1]
    at[2] += front * relief(person, x, y)
    at[0] += front * np.sign(x) * 0.5 * person.cheek_full * bump(np.abs(x), y, (0.45, -0.45), (0.16, 0.2))
    lumps = noise(person.dice(2), x, y, 0.33) * 0.032 + noise(person.dice(3), x, y, 0.17) * 0.014
    at[2] += front * lumps
    at[0] += front * (person.asymmetry * (y + 0.3) + 0.5 * noise(person.dice(4), x, y, 0.4) * 0.02)
    stiff = np.broadcast_to(1 - step(3.45, 0.5, t), x.shape)
    return Head(t, theta, at, front.astype(np.float32), stiff.astype(np.float32))


def row_at(person: Likeness, y: float) -> float:
    """Return the row at height `y`, between the crown and the eyes."""
    t = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    heights = section(person, t, np.zeros((1, 1), np.float32))[1, :, 0]
    return float(np.interp(-y, -heights, t[:, 0]))


def section(person: Likeness, t: Floats, theta: Floats, grow: Floats | float = 0.0) -> Floats:
    """Return points (3, R, C) on the skull without features, at rows `t` and angles `theta`, `grow` outwards."""
    p, c = person, person.chin_y
    knots = [0.0, 0.06, 0.22, 0.45, 0.72, 1.0, 1.22, 1.45, 1.66, 1.85, 1.96, 2.06, 2.4, 3.0, 3.5, 4.0]
    w, d, jaw, f = p.head_width, p.head_depth, p.jaw_width * p.head_width, p.forehead
    wide = [0.0, 0.20 * w, 0.56 * w, 0.87 * w, w, 0.985 * w, 0.96 * w + 0.4 * p.cheek_out, 0.45 * w + 0.55 * jaw + 0.02]
    wide += [jaw + 0.02, jaw, 0.98 * jaw, 0.95 * jaw, 0.86 * jaw, p.neck_width, 1.02 * p.neck_width, 1.2 * p.neck_width]
    ahead = [0.0, 0.22 * d, 0.60 * d + f, 0.89 * d + f, d + 0.5 * f, 0.955 * d, 0.97 * d, d, d + 0.005]
    ahead += [0.95 * d + 0.4 * p.chin_out, 0.945 * d + p.chin_out, 0.88 * d + p.chin_out, 0.60 * d, 0.27, 0.22, 0.17]
    back = [0.0, -0.22 * d, -0.62 * d, -0.92 * d, -d, -0.98 * d, -0.88 * d, -0.72 * d, -0.58 * d, -0.5 * d, -0.47 * d]
    back += [-0.46 * d, -0.46 * d, -0.45, -0.45, -0.5]
    top, base = p.crown, 0.22
    ys = [top, *(base + share * (top - base) for share in (0.99, 0.90, 0.58, 0.10)), 0.0, 0.22 * c, 0.45 * c, 0.66 * c]
    ys += [0.85 * c, 0.96 * c, 1.02 * c, 1.05 * c, 1.10 * c - 0.02, -1.36, NECK]
    lift = [0.0, 0, 0, 0, 0, 0, 0.06, 0.32, 0.68, 0.95, 1.0, 1.0, 0.9, 0.3, 0.1, 0.0]
    width, far, near = (curve(t, knots, v) + grow for v in (wide, ahead, back))
    height, raised = curve(t, knots, ys) + grow * (1 - np.clip(t, 0, 1)), curve(t, knots, lift)
    sine, cosine = np.sin(theta), np.cos(theta)
    middle = np.float32(-0.02) + 0.10 * step(1.5, 0.5, t)
    x = width * sine * (1 + 0.10 * np.square(cosine))
    z = middle + np.where(cosine > 0, far - middle, middle - near) * np.sign(cosine) * np.abs(cosine) ** 0.90
    flank = np.clip((1 - cosine), 0, 1)
    narrow = np.clip(np.abs(sine) - p.chin_width, 0, 1)
    y = height + raised * p.jaw_height * (0.45 * narrow**p.jaw_square + 0.75 * flank**1.5)
    return np.stack(np.broadcast_arrays(x, y, z)).astype(np.float32)


def relief(person: Likeness, x: Floats, y: Floats) -> Floats:
    """Return how far the features stand out of the bare section, towards the camera."""
    p, side = person, np.abs(x)
    d = p.brow_ridge * bump(side, y, (0.22, p.brow_y - 0.03), (0.17, 0.06))
    d += -(0.05 + p.eye_deep) * bump(side, y, (p.eye_x, p.eye_y), (0.15, 0.12))
    d += _lids(p, side, y)
    d += p.cheek_out * bump(side, y, (0.42, -0.2), (0.14, 0.12)) + p.cheek_full * bump(
        side, y, (0.36, -0.5), (0.15, 0.17)
    )
    d += _nose(p, x, y) + _mouth(p, x, y)
    d += 0.05 * bump(x, y, (0, p.chin_y * 0.9), (0.06 + p.chin_width, 0.09))
    fold = np.abs(side - (p.nose_width * 0.9 + 0.35 * (p.nose_y + 0.02 - y)))
    lined = (0.012 + 0.05 * p.wrinkles) * bump(side, y, (0.25, 0.5 * (p.nose_y + p.mouth_y)), (0.2, 0.12))
    d -= lined * np.exp(-np.square(fold / 0.03))
    d += p.wrinkles * 0.05 * bump(side, y, (0.36, p.chin_y * 0.78), (0.1, 0.1))
    d += 0.022 * (p.bags + 0.15) * bump(side, y, (p.eye_x, p.eye_y - 0.115), (0.1, 0.028))
    return d


def _lids(p: Likeness, side: Floats, y: Floats) -> Floats:
    """Return the relief of the eyeballs under their lids. A lid without a fold is fuller above."""
    ball = 1 - np.square((side - p.eye_x) / 0.15) - np.square((y - p.eye_y) / 0.115)
    full = 0.035 * (1 - p.fold) * bump(side, y, (p.eye_x, p.eye_y + 0.09), (0.12, 0.04))
    return 0.085 * step(0.45, 0.5, ball) + full


def _nose(p: Likeness, x: Floats, y: Floats) -> Floats:
    """Return the relief of the nose: a ridge from the brows to a round tip, wings beside it, and a steep end."""
    side, tip_y = np.abs(x), p.nose_y + 0.065 + p.nose_up
    top = p.brow_y - 0.05
    s = np.clip((top - y) / (top - tip_y), 0, 1)
    raise_version = (
        p.nose_bridge * np.clip(s * 3, 0, 1) + (p.nose_tip - p.nose_bridge) * s**1.35 + p.nose_hump * np.sin(np.pi * s)
    )
    width = p.nose_bridge_width * (1 - s) + (p.nose_bridge_width * 0.6 + p.nose_tip_size * 0.6) * s
    end = step(p.nose_y - 0.005 + 0.4 * p.nose_up, 0.055, y)
    ridge = raise_version * np.exp(-(np.abs(side / (1.15 * width + 0.01)) ** 2.2)) * end
    tip = 0.035 * bump(x, y, (0, tip_y), (p.nose_tip_size, p.nose_tip_size * 0.9)) * end
    wing_y = p.nose_y + 0.055
    wings = 0.5 * p.nose_tip * bump(side, y, (p.nose_width * 0.68, wing_y), (p.nose_width * 0.30, 0.05))
    wings = wings * step(p.nose_y, 0.03, y)
    nose: Floats = ridge + tip + wings
    return nose


def _mouth(p: Likeness, x: Floats, y: Floats) -> Floats:
    """Return the relief of the mouth: a muzzle, two lips that meet in a groove, and a philtrum."""
    u = np.clip(np.abs(x) / p.mouth_width, 0, 1)
    arch = np.sqrt(1 - u * u)
    up = y - mouth_line(p, x)
    upper = np.exp(-np.square((up - 0.5 * p.upper_lip) / (0.6 * p.upper_lip + 0.008)))
    lower = np.exp(-np.square((up + 0.5 * p.lower_lip) / (0.6 * p.lower_lip + 0.008)))
    d = 0.05 * bump(x, y, (0, p.mouth_y + 0.03), (0.2, 0.16))
    d += arch * p.lip_out * (upper + 1.1 * lower) - 0.02 * arch * np.exp(-np.square(up / 0.012))
    d -= 0.014 * np.exp(-np.square(x / 0.025)) * bump(x, y, (0, 0.5 * (p.nose_y + p.mouth_y) + 0.02), (1, 0.05))
    d -= 0.03 * bump(x, y, (0, p.mouth_y - p.lower_lip - 0.07), (0.16, 0.035))
    return d - 0.02 * bump(np.abs(x), y, (p.mouth_width + 0.02, p.mouth_y), (0.03, 0.03))


def mouth_line(p: Likeness, x: Floats) -> Floats:
    """Return the height at which the lips meet."""
    u = np.clip(x / p.mouth_width, -1.3, 1.3)
    line: Floats = p.mouth_y + p.mouth_corner * u * u - 0.008 * p.cupid * np.exp(-np.square(u / 0.2))
    return line


def smiling(p: Likeness, shape: Head) -> Floats:
    """Return the motion (3, R, C) of every point in a full smile: the corners out and up, the cheeks fuller."""
    (x, y, _), front = shape.at, shape.front
    side, sign = np.abs(x), np.tanh(x / 0.08)
    corner = front * bump(side, y, (p.mouth_width, p.mouth_y), (0.11, 0.09))
    cheek = front * bump(side, y, (0.36, p.nose_y + 0.02), (0.14, 0.12))
    middle = front * bump(x, y, (0, p.mouth_y), (0.12, 0.1))
    return np.stack(
        [sign * 0.055 * corner, 0.06 * corner + 0.025 * cheek - 0.008 * middle, 0.035 * cheek - 0.03 * corner]
    ).astype(np.float32)


def opening(p: Likeness, shape: Head) -> Floats:
    """Return the motion (3, R, C) of every point for a wide open mouth: the lower lip and the jaw go down."""
    x, y, z = shape.at
    under = mouth_line(p, x) - y
    arch = np.sqrt(np.clip(1 - np.square(x / p.mouth_width), 0, 1))
    far = step(0.12, 0.12, under)
    below = (
        (under > 0) * (arch + (1 - arch) * far) * np.exp(-((x / 0.55) ** 4)) * (1 - step(2.6, 0.4, shape.row)) * (z > 0)
    )
    return np.stack(
        [0 * x, -0.16 * below + 0.012 * arch * bump(x, y, (0, p.mouth_y + 0.03), (0.2, 0.05)), -0.04 * below]
    ).astype(np.float32)
