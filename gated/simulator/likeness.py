"""The description of a rendered person: every length and colour that the renderer draws. Made by `identity`.

The unit of length is the distance from an adult's eye line to the chin, about 11.5 cm. y is 0 at the eyes and points
up, z points to the camera.
"""

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

Age = Literal["child", "adult", "old"]
Colour = tuple[float, float, float]
"""sRGB, 0..1."""

HairStyle = Literal["short", "crop", "side", "fringe", "bob", "long", "bun", "curly", "receding", "bald"]

SKIN: tuple[Colour, ...] = (
    (0.96, 0.84, 0.77),
    (0.93, 0.77, 0.66),
    (0.87, 0.68, 0.54),
    (0.76, 0.56, 0.42),
    (0.62, 0.43, 0.30),
    (0.45, 0.30, 0.21),
    (0.31, 0.20, 0.15),
)
"""Skin colours from the lightest to the darkest, along the Monk scale. `tone` 0..1 interpolates between them."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """One fictional person. Lengths are in eye-to-chin units, shares from 0 to 1."""

    seed: int
    age: Age
    head_width: float
    head_depth: float
    crown: float
    jaw_width: float
    jaw_height: float
    jaw_square: float
    chin_y: float
    chin_out: float
    chin_width: float
    cheek_out: float
    cheek_full: float
    forehead: float
    brow_ridge: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    eye_deep: float
    iris_size: float
    fold: float
    epicanthus: float
    bags: float
    brow_y: float
    brow_thick: float
    brow_tilt: float
    brow_arch: float
    brow_length: float
    brow_gap: float
    brow_dense: float
    nose_y: float
    nose_width: float
    nose_bridge: float
    nose_bridge_width: float
    nose_tip: float
    nose_tip_size: float
    nose_hump: float
    nose_up: float
    mouth_gap: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    lip_out: float
    mouth_corner: float
    cupid: float
    ear_size: float
    ear_out: float
    asymmetry: float
    tone: float
    undertone: float
    lip_red: float
    blush: float
    oily: float
    freckles: float
    blemishes: float
    beard: float
    beard_line: float
    wrinkles: float
    spots: float
    hairline: float
    hairline_shape: float
    hair_volume: float
    hair_length: float
    hair_part: float
    hair_shade: float
    grey: float
    neck_width: float
    hair_style: HairStyle
    iris: Colour
    shirt: Colour

    @property
    def mouth_y(self) -> float:
        """Height at which the lips meet."""
        return self.nose_y - self.mouth_gap

    @property
    def skin(self) -> Colour:
        """Colour of the cheek, sRGB."""
        place = self.tone * (len(SKIN) - 1)
        tone = [float(np.interp(place, range(len(SKIN)), [c[i] for c in SKIN])) for i in range(3)]
        return tone[0] + 0.012 * self.undertone, tone[1], tone[2] - 0.045 * self.undertone

    @property
    def hair(self) -> Colour:
        """Colour of hair and brows, sRGB: mostly near black, white for old people."""
        dark = np.interp(self.hair_shade, [0, 0.7, 0.9, 1], [0.07, 0.13, 0.28, 0.52])
        colour = np.array([dark, dark * 0.82, dark * 0.68]) * (1 - self.grey) + self.grey * np.array([0.78, 0.78, 0.79])
        return cast(Colour, tuple(colour.tolist()))

    def dice(self, *purpose: int) -> np.random.Generator:
        """Return a random generator of this person, one stream for each purpose."""
        return np.random.default_rng([self.seed, *purpose])
