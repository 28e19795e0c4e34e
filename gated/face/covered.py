"""Detects whether the lower half of a face is covered, for example by a mask. Only enrolment uses it; it never refuses
a search.

It uses no model. It compares colours and edges of the lower half with the skin around the eyes, on a small aligned
crop. A covered half has another colour, one colour throughout (no lips), and fewer edges. The weights come from a
logistic regression. It was fitted on two kinds of views. 120 are rendered, with and without a mask (60 people, both
detectors). 168 show seven portraits, half of them with a drawn mask in eight colours.

Measured by cross-validation over people: of 191 covered faces 5 were missed (2.6 %), all rendered. None of 204 open
faces was classified as covered (below 1.5 % at 95 %). Some had beards, dark glasses or open mouths.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gated.face.align import Points, aligned, similarity
from gated.face.sample import Planes, Sampler
from gated.frame import Pixels

SIDE_PX = 56
LANDMARKS = ((19.147, 25.848), (36.766, 25.751), (28.013, 35.868), (20.775, 46.183), (35.365, 46.102))
"""The five landmarks in the crop: half of the 112 px template of ArcFace."""

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in px of the crop."""
SKIN: tuple[Region, ...] = ((24, 22, 32, 30), (15, 29, 21, 33), (35, 29, 41, 33))
"""The bridge of the nose, and the cheeks just below the eyes. A mask leaves them free."""
CHEEKS: tuple[Region, ...] = ((15, 37, 21, 46), (35, 37, 41, 46))
NOSE, MOUTH, CHIN = (25, 34, 31, 38), (22, 43, 34, 49), (22, 50, 34, 55)
LOWER, EYES = (17, 36, 39, 54), (14, 22, 42, 30)

WEIGHTS = np.array([16.02, 15.88, 16.66, -25.75, -10.21, 18.77, -130.5, -2.98])
"""Weights of the features, in their order in `_features`. Colours are shares of red and green."""
BIAS = -3.61


class CoverCheck:
    """The check with the memory of its crop. For one thread."""

    def __init__(self) -> None:
        self._sampler = Sampler((SIDE_PX, SIDE_PX))

    def is_covered(self, picture: Pixels, landmarks: Points) -> bool:
        """Return whether the lower half of a face in an (H, W, 3) RGB picture is covered. False if it cannot be seen.

        `landmarks`: (5, 2) float32 in px of the picture.
        """
        face = similarity(landmarks, LANDMARKS)
        return face is not None and log_odds_covered(aligned(picture, face, self._sampler)) > 0


def log_odds_covered(crop: Planes) -> float:
    """Return the log-odds that the lower half is covered, for a crop (3, 56, 56), RGB, 0 to 255. NaN gives NaN."""
    return float(_features(crop) @ WEIGHTS) + BIAS


def _features(crop: Planes) -> NDArray[np.float64]:
    """Return the 8 features: distances of colour from the skin, how red, one colour throughout, and fewer edges."""
    total = crop.sum(axis=0) + 30  # ten grey levels for each channel, so that noise in the dark is no colour
    red, green = (crop[0] + 10) / total, (crop[1] + 10) / total
    skin, cheeks, nose, mouth, chin = (
        _colour(red, green, regions) for regions in (SKIN, CHEEKS, (NOSE,), (MOUTH,), (CHIN,))
    )
    return np.array([
        abs(cheeks - skin), abs(mouth - skin), abs(chin - skin), (cheeks - skin).real, (nose - skin).real,
        abs(mouth - nose), abs(mouth - cheeks), _edges(total / 3, LOWER) - _edges(total / 3, EYES),
    ])  # fmt: skip


def _colour(red: NDArray[np.float32], green: NDArray[np.float32], regions: tuple[Region, ...]) -> complex:
    """Return the median colour of regions: the share of red, and of green as the imaginary part."""
    shares = [
        float(
            np.median(np.concatenate([plane[top:bottom, left:right].ravel() for left, top, right, bottom in regions]))
        )
        for plane in (red, green)
    ]
    return complex(*shares)


def _edges(grey: NDArray[np.float32], region: Region) -> float:
    """Return the logarithm of the mean difference of neighbouring pixels, plus one grey level."""
    left, top, right, bottom = region
    part = grey[top:bottom, left:right]
    return math.log(float(np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean()) + 1)
