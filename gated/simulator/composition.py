"""Composes one picture of the lane: people pasted by distance, and the true place of every face.

Pure, and fast enough to stream: the expensive parts (faces, lane, noise) are cached.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from gated.frame import Pixels
from gated.simulator.lane import HORIZON, Rgb, Sky, lane
from gated.simulator.render import Sprite

Box = tuple[float, float, float, float]

FOCAL = 0.9
"""Focal length over the picture's width: a field of view of 58 degrees across, about that of the Pi camera module 3."""
FACE_M = 0.19
"""Height of an adult's face, hairline to chin."""
NOISE = {"day": 3.0, "dusk": 7.0}
"""Standard deviation of the sensor's noise, in grey levels."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A head or a held picture to be scaled and pasted: RGBA, with its face's box and landmarks in its own px.

    Without landmarks it shows no face. Then `box` is the place of the face of the person who holds it.
    """

    image: Image.Image
    box: Box
    landmarks: NDArray[np.float32]

    @classmethod
    def of(cls, sprite: Sprite) -> "Cutout":
        """Return the cutout of a rendered sprite."""
        return cls(Image.fromarray(np.dstack([sprite.rgb, sprite.alpha])), sprite.box, sprite.landmarks)

    @property
    def shoulders(self) -> tuple[int, int, Rgb]:
        """First and last column of the lowest row, and its colour. The body continues from there."""
        row = np.asarray(self.image)[-4]
        solid = np.flatnonzero(row[:, 3] > 127)
        if not solid.size:
            return 0, self.image.width, (90, 90, 96)
        red, green, blue = (int(c) for c in np.median(row[solid, :3], axis=0))
        return int(solid[0]), int(solid[-1]), (red, green, blue)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A person in the scene. `across`: -1..1 over the picture's width. `tall_m`: the face's height above the camera."""

    name: str
    head: Cutout
    distance_m: float
    across: float
    tall_m: float = 0.0
    held: Cutout | None = None
    blur: float = 0.0
    """Horizontal motion blur, in face heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The true place of one face in a picture: name, box (x, y, w, h) and landmarks (5, 2), in px."""

    name: str
    box: Box
    landmarks: NDArray[np.float32]
    is_held: bool = False
    """Whether the face is a picture that this person holds up."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A composed picture, (H, W, 3) uint8 RGB, and the faces in it, the nearest last."""

    rgb: Pixels
    seen: tuple[Seen, ...]


def compose(
    people: Sequence[Placed], size: tuple[int, int], number: int = 0, *, sky: Sky = "day", seed: int = 0,
    exposure: float = 1.0, behind: Image.Image | None = None,
) -> Picture:  # fmt: skip
    """Return the picture of these people before the gate, `size` (width, height) px.

    `number` seeds the noise: every frame differs, and each is reproducible. `exposure`: 1 is correct, 0.5 is half the
    light. `behind`: an RGB picture of that size in place of the lane.
    """
    image = (behind or lane(size, sky, seed)).copy()
    seen: list[Seen] = []
    for person in sorted(people, key=lambda p: -p.distance_m):
        nearer = _paste(image, person)
        seen = [face for face in seen if not any(_hides(other, face) for other in nearer)] + nearer
    if exposure != 1.0:
        image = image.point([min(255, round(level * exposure)) for level in range(256)] * 3)
    return Picture(np.asarray(_noisy(image, sky, number, seed)), tuple(seen))


def face_px(distance_m: float, width: int) -> float:
    """Return the height in px of a face at that distance, in a picture of that width."""
    return FOCAL * width * FACE_M / distance_m


def _hides(nearer: Seen, face: Seen) -> bool:
    """Return whether a nearer person covers the middle of a face."""
    (x, y, w, h), (u, v, s, t) = nearer.box, face.box
    return abs(x + w / 2 - u - s / 2) < 0.75 * w and -0.9 * h < v + t / 2 - y - h / 2


def _paste(image: Image.Image, person: Placed) -> list[Seen]:
    """Draw a person: body, head, and the held picture. Return the visible face."""
    width, height = image.size
    high = face_px(person.distance_m, width)
    x = width * (0.5 + 0.5 * person.across)
    y = height * HORIZON - person.tall_m * FOCAL * width / person.distance_m
    seen = _put(image, person, person.head, (x, y), high)
    _body(image, person.head, (x, y), high)
    if person.held is None:
        return seen
    shown = _put(image, person, person.held, (x, y), 1.08 * high)
    return [replace(face, is_held=True) for face in shown] if person.held.landmarks.size else seen


def _put(image: Image.Image, person: Placed, cutout: Cutout, at: tuple[float, float], high: float) -> list[Seen]:
    """Paste a cutout so that its face is `high` px high, with the centre of its box at `at`."""
    left, top, scale = _corner(cutout, at, high)
    size = max(1, round(cutout.image.width * scale)), max(1, round(cutout.image.height * scale))
    shown = cutout.image.resize(size, Image.Resampling.BILINEAR)
    if person.blur * high >= 0.5:
        soft = shown.convert("RGBa").filter(ImageFilter.BoxBlur((person.blur * high / 2, 0)))
        shown = soft.convert("RGBA")
    image.paste(shown, (left, top), shown)
    x, y, w, h = cutout.box
    box = (left + x * scale, top + y * scale, w * scale, h * scale)
    inside = 0 < box[0] + box[2] / 2 < image.width and 0 < box[1] + box[3] / 2 < image.height
    place = np.array([left, top], np.float32)
    return [Seen(person.name, box, cutout.landmarks * np.float32(scale) + place)] if inside else []


def _corner(cutout: Cutout, at: tuple[float, float], high: float) -> tuple[int, int, float]:
    """Return the place of a cutout's corner, and its scale."""
    x, y, w, h = cutout.box
    scale = high / h
    return round(at[0] - (x + w / 2) * scale), round(at[1] - (y + h / 2) * scale), scale


def _body(image: Image.Image, head: Cutout, at: tuple[float, float], high: float) -> None:
    """Draw the body below the shoulders, down to the ground or the picture's edge, in the colour of the shirt."""
    left, top, scale = _corner(head, at, high)
    first, last, shirt = head.shoulders
    x0, x1 = left + first * scale, left + last * scale
    y = top + (head.image.height - 5) * scale
    waist, foot, wide = y + 1.6 * high, y + 5.2 * high, x1 - x0
    draw = ImageDraw.Draw(image)
    legs = (x0 + 0.14 * wide, waist, x1 - 0.14 * wide, foot)
    draw.rectangle(legs, (58, 60, 70))
    draw.polygon(
        [(x0, y), (x1, y), (x1 + 0.06 * wide, y + 0.4 * high), (x1 - 0.04 * wide, waist), (x0 + 0.04 * wide, waist),
         (x0 - 0.06 * wide, y + 0.4 * high)], shirt,
    )  # fmt: skip
    dark = (round(shirt[0] * 0.8), round(shirt[1] * 0.8), round(shirt[2] * 0.8))
    for x, lean in ((x0 + 0.16 * wide, -0.02), (x1 - 0.16 * wide, 0.02)):  # the arms' inner edge
        draw.line([(x, y + 0.5 * high), (x + lean * wide, waist)], dark, max(1, round(high / 40)))


def _noisy(image: Image.Image, sky: Sky, number: int, seed: int) -> Image.Image:
    """Add a sensor's noise: a piece of a larger noise picture, another piece for each frame."""
    more, less = _sheets(image.size, NOISE[sky])
    x, y = np.random.default_rng([seed, number]).integers(0, SPARE_PX, 2).tolist()
    piece = (x, y, x + image.width, y + image.height)
    return ImageChops.subtract(ImageChops.add(image, more.crop(piece)), less.crop(piece))


SPARE_PX = 97


@lru_cache(maxsize=2)
def _sheets(size: tuple[int, int], spread: float) -> tuple[Image.Image, Image.Image]:
    """Return the positive and the negative noise, a little larger than a picture."""
    shape = (size[1] + SPARE_PX, size[0] + SPARE_PX, 3)
    noise = np.random.default_rng(5).standard_normal(shape, np.float32) * np.float32(spread)
    more, less = (np.clip(side + 0.5, 0, 255).astype(np.uint8) for side in (noise, -noise))
    return Image.fromarray(more), Image.fromarray(less)
