"""Paints the lane before the gate once: converging walls, a house, a tree, paving, by day and at dusk."""

from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Sky = Literal["day", "dusk"]
Rgb = tuple[int, int, int]

HORIZON = 0.44
"""Height of the horizon from the top, as a share of the picture. The camera hangs at the height of a face."""
WALL_FOOT, WALL_TOP = 1.25, -0.35
"""The heights at which the walls meet the picture's sides, as shares of the picture's height."""

PAINT: dict[str, tuple[Rgb, Rgb]] = {
    "zenith": ((150, 185, 222), (70, 72, 112)),
    "haze": ((216, 224, 228), (206, 150, 118)),
    "house": ((188, 176, 158), (98, 84, 88)),
    "window": ((112, 128, 140), (232, 192, 120)),
    "brick": ((158, 112, 92), (84, 62, 62)),
    "joint": ((184, 160, 144), (62, 48, 52)),
    "paving": ((166, 162, 154), (86, 80, 86)),
    "leaves": ((92, 122, 74), (46, 56, 52)),
    "iron": ((52, 56, 60), (26, 26, 32)),
}
"""Colour of each surface by day and at dusk."""


@lru_cache(maxsize=4)
def lane(size: tuple[int, int], sky: Sky = "day", seed: int = 0) -> Image.Image:
    """Return the empty lane, `size` (width, height) px, RGB. Cached: copy it before painting on it."""
    paint = {name: colours[sky == "dusk"] for name, colours in PAINT.items()}
    rng = np.random.default_rng([seed, 77])
    image = _gradient(size, paint["zenith"], paint["haze"])
    draw = ImageDraw.Draw(image)
    _house(draw, size, paint, rng)
    _tree(draw, size, paint["leaves"], rng)
    _ground(draw, size, paint["paving"])
    for side in (-1, 1):
        _wall(draw, size, paint, side)
    _railing(draw, size, paint["iron"])
    # The lens is focused on the person at the gate.
    soft = image.filter(ImageFilter.GaussianBlur(size[0] / 700))
    return ImageChops.multiply(soft, _patina(size, rng))


def _gradient(size: tuple[int, int], top: Rgb, bottom: Rgb) -> Image.Image:
    share = np.clip(np.linspace(0, 1 / HORIZON, size[1]), 0, 1)[:, None, None]
    column = (1 - share) * np.array(top) + share * np.array(bottom)
    return Image.fromarray(np.broadcast_to(column, (size[1], size[0], 3)).astype(np.uint8))


def _house(draw: ImageDraw.ImageDraw, size: tuple[int, int], paint: dict[str, Rgb], rng: np.random.Generator) -> None:
    """Draw a house of five floors across the end of the lane, with some windows lit."""
    width, height = size
    left, right, top, foot = 0.30 * width, 0.66 * width, 0.08 * height, 0.47 * height
    draw.rectangle((left, top, right, foot), paint["house"])
    for row in range(5):
        for column in range(6):
            x = left + (right - left) * (column + 0.22) / 6
            y = top + (foot - top) * (row + 0.22) / 5
            lit = rng.random() < 0.7
            colour = paint["window"] if lit else _shade(paint["house"], 0.55)
            draw.rectangle((x, y, x + (right - left) * 0.09, y + (foot - top) * 0.1), colour)


def _tree(draw: ImageDraw.ImageDraw, size: tuple[int, int], leaves: Rgb, rng: np.random.Generator) -> None:
    width, height = size
    draw.rectangle((0.715 * width, 0.3 * height, 0.727 * width, 0.5 * height), _shade(leaves, 0.5))
    for _ in range(60):
        x, y = rng.normal(0.72, 0.035) * width, rng.normal(0.24, 0.05) * height
        radius = rng.uniform(0.012, 0.03) * width
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), _shade(leaves, rng.uniform(0.7, 1.15)))


def _ground(draw: ImageDraw.ImageDraw, size: tuple[int, int], paving: Rgb) -> None:
    """Draw slabs, with joints that run to the vanishing point and get closer with distance."""
    width, height = size
    far, middle = HORIZON * height, 0.5 * width
    draw.rectangle((0, far, width, height), paving)
    for number in range(-14, 15):
        draw.line((middle, far, middle + number * 0.16 * width, height), _shade(paving, 0.86), max(1, width // 600))
    for number in range(1, 30):
        y = far + 0.9 * height / number
        draw.line((0, y, width, y), _shade(paving, 0.86), max(1, width // 600))


def _wall(draw: ImageDraw.ImageDraw, size: tuple[int, int], paint: dict[str, Rgb], side: int) -> None:
    """Draw a brick wall along the lane, from the picture's side nearly to the vanishing point."""
    width, height = size
    edge, far_x = (0.0, 0.40 * width) if side < 0 else (float(width), 0.60 * width)
    far_y = HORIZON * height

    def at(along: float, up: float) -> tuple[float, float]:
        """Return a point of the wall. `along`: 0 at the picture's side, 1 at the far end. `up`: 0 at the foot, 1 at the
        top.
        """
        near_y = (WALL_FOOT + (WALL_TOP - WALL_FOOT) * up) * height
        far_end = far_y + (near_y - far_y) * 0.14
        return edge + (far_x - edge) * along, near_y + (far_end - near_y) * along

    draw.polygon([at(0, 0), at(1, 0), at(1, 1), at(0, 1)], paint["brick"])
    for row in range(41):
        draw.line([at(0, row / 40), at(1, row / 40)], paint["joint"], 1)
    for number in range(18):
        for row in range(40):
            along = 1 - 1 / (1 + 0.17 * (number + 0.5 * (row % 2)))
            faint = _mix(paint["joint"], paint["brick"], min(1.0, along / 0.74))
            draw.line([at(along, row / 40), at(along, (row + 1) / 40)], faint, 1)
    draw.line([at(0, 1), at(1, 1)], _shade(paint["brick"], 0.6), max(2, width // 200))


def _railing(draw: ImageDraw.ImageDraw, size: tuple[int, int], iron: Rgb) -> None:
    """Draw the open leaf and the post of the iron gate, at the picture's sides."""
    width, height = size
    for x in np.linspace(0.012, 0.1, 5):
        draw.line((x * width, 0, x * width, height), iron, max(2, width // 130))
    for y in (0.06, 0.6, 0.94):
        draw.line((0, y * height, 0.105 * width, y * height), iron, max(2, width // 160))
    draw.rectangle((0.965 * width, 0, width, height), _shade(iron, 1.2))


def _patina(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return stains and shadows: soft patches that darken a little."""
    coarse = rng.uniform(0.82, 1.0, (24, 32)) * 255
    patches = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    fine = Image.fromarray((rng.uniform(0.93, 1.0, (size[1] // 2, size[0] // 2)) * 255).astype(np.uint8))
    both = ImageChops.multiply(patches, fine.resize(size, Image.Resampling.BILINEAR))
    return Image.merge("RGB", (both, both, both))


def _mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _shade(colour: Rgb, by: float) -> Rgb:
    red, green, blue = (min(255, round(c * by)) for c in colour)
    return red, green, blue
