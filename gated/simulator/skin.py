"""The colours of a head: skin, eyes, brows, lips, beard and signs of age, painted on the shape of `head`."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from gated.simulator.cloud import Floats, Mask, bump, linear, noise, step
from gated.simulator.head import Head, mouth_line
from gated.simulator.likeness import Colour, Likeness


@dataclass(frozen=True, slots=True)
class Paint:
    """A surface being painted: linear colour (3, R, C), gloss (R, C), its position, and the paintable area.

    `x`, `y`, `z`, `front`: (R, C) as in `Head`. Nothing is painted where `front` is 0.
    """

    colour: Floats
    gloss: Floats
    x: Floats
    y: Floats
    z: Floats
    front: Floats

    @classmethod
    def primed(cls, colour: Colour, gloss: float, shape: Head) -> Self:
        """Return a surface of one colour (sRGB)."""
        flat = np.ones_like(shape.at) * linear(colour)[:, None, None]
        x, y, z = shape.at
        return cls(flat, np.full(x.shape, gloss, np.float32), x, y, z, shape.front)

    def part(self, rows: Mask, columns: Mask) -> Self:
        """Return the window around these rows and columns. It shares memory with the whole."""
        window = _span(rows), _span(columns)
        gloss, x, y, z, front = (a[window] for a in (self.gloss, self.x, self.y, self.z, self.front))
        return type(self)(self.colour[:, *window], gloss, x, y, z, front)

    def over(self, colour: Colour, alpha: Floats, gloss: float | None = None) -> None:
        """Blend a colour (sRGB) over the surface with weight `alpha`."""
        alpha = alpha * self.front
        for i, value in enumerate(linear(colour)):
            self.colour[i] += alpha * (value - self.colour[i])
        if gloss is not None:
            self.gloss[:] += alpha * (gloss - self.gloss)

    def tint(self, factor: Colour, alpha: Floats) -> None:
        """Multiply the colour by a factor with weight `alpha`."""
        alpha = alpha * self.front
        for i, value in enumerate(factor):
            if value != 1:
                self.colour[i] *= 1 - alpha * np.float32(1 - value)


def _span(chosen: Mask) -> slice:
    """Return the slice from the first to the last chosen place."""
    places = np.flatnonzero(chosen)
    return slice(int(places[0]), int(places[-1]) + 1)


def skin(p: Likeness, shape: Head, spacing: float, eyes_closed: bool) -> tuple[Floats, Floats]:
    """Return colour (3, R, C) and gloss (R, C) of the whole head without hair."""
    whole = Paint.primed(p.skin, 0.05 + 0.10 * p.oily, shape)
    below = 1 - 0.38 * step(-p.chin_y + 0.02, 0.10, -whole.y)
    whole.colour[:] *= below
    face = whole.part((shape.row[:, 0] > 0.2) & (shape.row[:, 0] < 2.4), np.abs(shape.angle[0]) < 1.6)
    for layer in (_complexion, _marks, _age, _beard, _nostrils):
        layer(p, face)
    _lips(p, face, spacing)
    for side in (-1, 1):
        near = (np.abs(side * face.x - p.eye_x) < 0.33) & (np.abs(face.y - 0.1) < 0.42) & (face.z > 0)
        window = face.part(near.any(1), near.any(0))
        _eye(p, window, side, spacing, eyes_closed)
        _brow(p, window, side)
    return whole.colour, whole.gloss


def _complexion(p: Likeness, paint: Paint) -> None:
    """Paint redder cheeks and nose, darker hollows, a glossy middle, and irregular patches."""
    x, y, side, red = paint.x, paint.y, np.abs(paint.x), 0.35 + 0.5 * p.blush
    paint.tint((1.0, 0.80, 0.80), red * bump(side, y, (0.33, p.nose_y + 0.05), (0.15, 0.13)))
    paint.tint((1.0, 0.84, 0.84), red * bump(x, y, (0, p.nose_y + 0.06), (0.1, 0.06)))
    socket = bump(side, y, (p.eye_x - 0.02, p.eye_y - 0.01), (0.13, 0.09))
    paint.tint((0.72, 0.66, 0.68), (0.35 + 0.3 * p.bags) * socket)
    bags = bump(side, y, (p.eye_x - 0.02, p.eye_y - 0.115), (0.08, 0.022))
    paint.tint((0.72, 0.66, 0.66), 0.55 * p.bags * bags)
    paint.tint((0.75, 0.70, 0.70), 0.6 * bump(side, y, (p.nose_width * 1.12, p.nose_y + 0.05), (0.025, 0.06)))
    paint.tint((0.70, 0.64, 0.64), 0.5 * bump(x, y, (0, p.nose_y - 0.01), (p.nose_width * 0.8, 0.025)))
    paint.tint((0.80, 0.74, 0.72), 0.5 * bump(x, y, (0, p.mouth_y - p.lower_lip - 0.05), (0.13, 0.03)))
    mottled = noise(p.dice(10), x, y, 0.12) * 0.5 + noise(p.dice(11), x, y, 0.05) * 0.5
    paint.tint((0.90, 0.84, 0.84), np.clip(0.5 + 0.5 * mottled, 0, 1))
    grain = 0.13 * noise(p.dice(19), x, y, 0.3) + 0.07 * p.blemishes * noise(p.dice(12), x, y, 0.022)
    paint.colour[:] *= 1 + paint.front * grain
    middle = 0.7 * bump(x, y, (0, p.nose_y + 0.1), (0.08, 0.2)) + 0.6 * bump(x, y, (0, 0.4), (0.25, 0.12))
    paint.gloss[:] *= 0.6 + paint.front * middle


def _marks(p: Likeness, paint: Paint) -> None:
    """Paint moles, blemishes, a birthmark and freckles, at fixed places."""
    dice, x, y = p.dice(13), paint.x, paint.y
    dark = (0.42 * p.skin[0], 0.42 * p.skin[1], 0.42 * p.skin[2])
    for _ in range(int(dice.integers(0, 6))):
        (u, v), size = dice.uniform((-0.5, -0.95), (0.5, 0.55)).tolist(), float(dice.uniform(0.007, 0.019))
        paint.over(dark, np.clip(2.2 * bump(x, y, (u, v), (size, size)) - 0.4, 0, 0.9))
    for _ in range(int(8 * p.blemishes * p.blemishes)):
        (u, v), size = dice.uniform((-0.5, -0.95), (0.5, 0.55)).tolist(), float(dice.uniform(0.012, 0.05))
        paint.tint((1.0, 0.68, 0.66), 0.6 * bump(x, y, (u, v), (size, size)))
    if dice.random() < 0.12:
        (u, v), (wide, high) = dice.uniform((-0.5, -0.8), (0.5, 0.5)).tolist(), dice.uniform(0.05, 0.13, 2).tolist()
        tone = float(dice.uniform(0.45, 0.75))
        patch = bump(x, y, (u, v), (wide, high)) + 0.35 * noise(p.dice(9), x, y, 0.06)
        paint.tint((0.95, tone, tone), 0.8 * step(0.45, 0.12, patch))
    if p.freckles > 0.6:
        speckle = step(0.5, 0.15, noise(p.dice(14), x, y, 0.026))
        nose = bump(np.abs(x), y, (0.22, p.nose_y + 0.1), (0.2, 0.15))
        paint.tint((0.66, 0.50, 0.42), (p.freckles - 0.35) * speckle * nose)


def _age(p: Likeness, paint: Paint) -> None:
    """Paint wrinkles and age spots."""
    x, y, side, w = paint.x, paint.y, np.abs(paint.x), p.wrinkles
    wave = y + 0.02 * noise(p.dice(15), x, y, 0.25)
    brow = step(0.75, 0.2, np.sin(wave * 62)) * bump(x, y, (0, 0.42), (0.3, 0.09)) * step(p.brow_y + 0.08, 0.02, y)
    fan = step(0.7, 0.25, np.sin((wave + 0.5 * (side - p.eye_x) * (y - p.eye_y)) * 90))
    crow = fan * bump(side, y, (p.eye_x + p.eye_width + 0.08, p.eye_y - 0.01), (0.05, 0.07))
    across = side - (p.nose_width * 0.95 + 0.35 * (p.nose_y + 0.02 - y))
    fold = np.exp(-np.square(across / 0.014)) * step(p.mouth_y - 0.03, 0.05, y) * step(-p.nose_y - 0.04, 0.04, -y)
    corner = np.exp(-np.square((side - p.mouth_width - 0.03) / 0.014))
    corner = corner * bump(side, y, (p.mouth_width, p.mouth_y - 0.1), (0.1, 0.06))
    paint.tint((0.70, 0.62, 0.62), np.clip(w * 0.9 * (brow + crow + corner) + (0.12 + 0.8 * w) * fold, 0, 0.9))
    if p.spots > 0.15:
        blots = noise(p.dice(16), x, y, 0.085) * (0.6 + noise(p.dice(18), x, y, 0.05, 0.1))
        paint.tint((0.72, 0.58, 0.48), 0.75 * p.spots * step(0.25, 0.12, blots))


def _beard(p: Likeness, paint: Paint) -> None:
    """Paint the shadow of a shaved beard, or a beard, a goatee or a moustache."""
    if p.beard < 0.45:
        return
    x, y, side, grown = paint.x, paint.y, np.abs(paint.x), p.beard > 0.82
    line = 0.5 * (p.nose_y + p.mouth_y) - 0.06 - 0.12 * p.beard_line
    cheek = step(0.0, 0.06, line + 1.1 * np.square(np.clip(side - 0.2, 0, 1)) - y)
    cheek = cheek * step(0.30, 0.06, np.hypot(side, y - p.nose_y - 0.06))
    droop = 0.35 * np.square(np.clip(side, 0, 1)) / max(p.mouth_width, 0.1)
    lip = step(0.0, 0.02, p.nose_y - 0.035 - droop - y) * (1 - step(p.mouth_width + 0.01, 0.04, side))
    lip = lip * step(p.mouth_y + 0.5 * p.upper_lip - droop, 0.02, y)
    chin = bump(x, y, (0, p.chin_y * 0.95), (0.14, 0.14))
    style = int(p.beard_line * 4) if grown else 0
    area = (np.maximum(cheek, lip), np.maximum(lip, chin), lip, chin)[style]
    area = area * step(-1.12, 0.12, y) * (paint.z > 0)
    if grown:
        hairs = 0.78 + 0.22 * noise(p.dice(17), x, y * 0.4, 0.016)
        paint.over(p.hair, np.clip(1.3 * area * hairs, 0, 0.95), 0.08)
    else:
        paint.tint((0.60, 0.66, 0.72), (p.beard - 0.35) * area * (0.9 + 0.2 * noise(p.dice(17), x, y, 0.02)))


def _nostrils(p: Likeness, paint: Paint) -> None:
    """Paint two dark openings under the tip of the nose."""
    place = (0.48 * p.nose_width, p.nose_y + 0.012 + 0.4 * p.nose_up)
    hole = bump(np.abs(paint.x), paint.y, place, (0.24 * p.nose_width, 0.018 + 0.2 * max(0.0, p.nose_up)))
    paint.over((0.13, 0.06, 0.05), np.clip(1.7 * hole - 0.45, 0, 0.88), 0.0)


def _lips(p: Likeness, paint: Paint, spacing: float) -> None:
    """Paint lips with a cupid's bow, and the line between them."""
    u = np.clip(np.abs(paint.x) / p.mouth_width, 0, 1)
    up = paint.y - mouth_line(p, paint.x)
    arch = 1 - u**2.4
    top = p.upper_lip * 1.15 * arch * (1 - p.cupid * 0.55 * np.exp(-np.square(u / 0.16)))
    bottom = p.lower_lip * 1.15 * np.sqrt(arch)
    soft = max(0.008, spacing)
    inside = step(0.0, soft, top - up) * step(0.0, soft, bottom + up) * (u < 1)
    r, g, b = p.skin
    red = (min(1.0, r * (0.86 + 0.08 * p.lip_red)), g * (0.74 - 0.22 * p.lip_red), b * (0.80 - 0.20 * p.lip_red))
    paint.over(red, 0.9 * inside, 0.14)
    paint.tint((0.75, 0.70, 0.70), inside * (up > 0) * 0.6)
    line = np.exp(-np.square(up / max(0.010, 0.8 * spacing))) * step(0, 0.06, 1.06 - np.abs(paint.x) / p.mouth_width)
    paint.over((0.22 * r, 0.12 * g, 0.12 * b), 0.85 * line, 0.05)


def _eye(p: Likeness, paint: Paint, side: int, spacing: float, closed: bool) -> None:
    """Paint one eye: the fold of its lid and the eyeball, or the lid and its lashes when closed."""
    out = side * paint.x - p.eye_x
    up = paint.y - p.eye_y - p.eye_tilt * out
    u = out / p.eye_width
    inner = np.clip(-u, 0, 1)
    top = (
        p.eye_height * np.clip(1 - np.abs(u + 0.12 - 0.12 * u * u) ** 2.2, 0, 1) * (1 - 0.35 * p.epicanthus * inner**2)
    )
    low = -0.72 * p.eye_height * np.clip(1 - u * u, 0, 1) - 0.016 * p.epicanthus * inner**3
    soft, lash = max(0.007, 0.9 * spacing), max(0.011, 0.9 * spacing)
    shade = (0.50 * p.skin[0], 0.40 * p.skin[1], 0.38 * p.skin[2])
    fold_y = top + 0.022 + 0.045 * p.fold
    crease = np.exp(-np.square((up - fold_y) / max(0.010, spacing))) * step(0, 0.25, 1.15 - np.abs(u))
    paint.over(shade, 0.75 * crease * np.clip(2.5 * (p.fold - 0.3), 0, 1))
    if closed:
        shut = 0.75 * low
        lid = step(0, soft, fold_y - up) * step(0, soft, up - shut) * step(0, 0.1, 1.05 - np.abs(u))
        paint.tint((0.86, 0.78, 0.78), lid)
        lashes = np.exp(-np.square((up - shut) / (1.35 * lash))) * step(0, 0.1, 1.08 - np.abs(u))
        paint.over((0.10, 0.07, 0.06), np.clip(1.1 * lashes, 0, 0.92), 0.05)
        return
    hole = step(0, soft, top - up) * step(0, soft, up - low) * (np.abs(u) < 1.02)
    _eyeball(p, paint, hole, np.stack([out, up, top - up]), side * out)
    paint.over((0.75, 0.50, 0.46), hole * step(0.80, 0.06, -u) * 0.8)
    width = lash * (1.1 + 0.35 * np.clip(u, -0.5, 1))
    upper = np.exp(-np.square((up - top - 0.3 * lash) / width)) * step(0, 0.08, 1.06 - np.abs(u))
    paint.over((0.07, 0.05, 0.05), np.clip(1.15 * upper, 0, 0.95), 0.05)
    lower = np.exp(-np.square((up - low + 0.2 * lash) / (0.8 * lash))) * step(0, 0.08, 1.02 - np.abs(u))
    paint.over(shade, 0.6 * lower)


def _eyeball(p: Likeness, paint: Paint, hole: Floats, place: Floats, across: Floats) -> None:
    """Paint white, iris, pupil, and a glint on the same side in both eyes.

    `place` (3, R, C): outwards, up, and down from the upper lid. `across`: to the picture's right from the middle.
    """
    out, up, under = place
    paint.over((0.86, 0.83, 0.80), hole, 0.12)
    paint.colour[:] *= 1 - 0.36 * paint.front * hole * np.clip(1 - under / 0.05, 0, 1)
    radius = np.hypot(out, up - 0.12 * p.eye_height)
    iris = hole * step(0, 0.008, p.iris_size - radius)
    paint.over(p.iris, iris, 0.12)
    paint.over((0.35 * p.iris[0], 0.35 * p.iris[1], 0.35 * p.iris[2]), iris * step(0.78 * p.iris_size, 0.012, radius))
    paint.over((0.02, 0.02, 0.02), hole * step(0, 0.008, 0.45 * p.iris_size - radius))
    paint.over((1.0, 1.0, 1.0), 0.9 * hole * step(0, 0.008, 0.016 - np.hypot(across - 0.018, up - 0.022)))


def _brow(p: Likeness, paint: Paint, side: int) -> None:
    """Paint one brow of short hairs, thinner at the outside."""
    x, y = paint.x, paint.y
    out = side * x - p.brow_gap
    s = out / (1.6 * p.brow_length)
    middle = p.brow_y + p.brow_tilt * (out - 0.12) * 0.8 + 0.035 * p.brow_arch * (0.5 - np.square(2 * s - 1.1))
    thick = p.brow_thick * (1.05 - 0.65 * np.clip(s, 0, 1) ** 1.5)
    hairs = 0.8 + 0.35 * noise(p.dice(20 + side), x + 0.7 * side * y, 0.35 * y, 0.014)
    body = step(0, 0.012, thick - np.abs(y - middle)) * step(0, 0.12, s + 0.04) * step(0, 0.15, 1 - s)
    dark = (0.8 * p.hair[0], 0.8 * p.hair[1], 0.8 * p.hair[2])
    paint.over(dark, np.clip(body * hairs * p.brow_dense * 1.15, 0, 0.95), 0.05)
