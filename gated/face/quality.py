"""Checks the size, pose, light and sharpness of a face before a search. Never eyes, expression or accessories.

The result is a list of problems that people can act on ("come nearer", "more light"), the most helpful advice first.
Bounds come from the settings. The measures follow ISO/IEC 29794-5, simplified.
"""

import math

import numpy as np
from numpy.typing import NDArray

from gated.config import FaceSettings
from gated.face.align import Points
from gated.face.colour import NO_COLOUR
from gated.face.sample import Planes
from gated.face.vision_messages import Problem, Quality

MEAN_FACE = np.array(
    [(-0.5, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, 0.57, -0.42), (-0.42, 1.15, -0.06), (0.42, 1.15, -0.06)], np.float64
)
"""The five landmarks of a mean head, in eye distances: x to the right, y down, z away from the camera.

The x and y values are those of the alignment template. The depths are rough means of adults: eyes 63 mm apart, the tip
of the nose 27 mm in front of them, the corners of the mouth 4 mm.
"""
_FIT: NDArray[np.float64] = np.linalg.pinv(MEAN_FACE - MEAN_FACE.mean(axis=0))

BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue (BT.601)."""
SATURATED = 250.0
PICTURE_ORDER: tuple[Problem, ...] = (
    *("background", "turned_away", "too_near", "too_small"),
    *("too_dark", "too_bright", "uneven_light", "no_colour", "blurred"),
)
"""The problems of an enrolment picture, the most helpful advice first."""


def pose(points: Points) -> tuple[float, float, float]:
    """Return yaw, pitch and roll in degrees, estimated from five landmarks.

    Fits the mean head to the landmarks by least squares (weak perspective). Yaw is positive for a face turned to the
    picture's right, pitch for a face turned up, roll for a face that leans clockwise. Landmarks that no frontal head
    can have (mirrored, or all in one place) give a yaw and pitch of 90 or more.
    """
    across, down = (points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)).T @ _FIT.T
    scale = math.sqrt((across @ across + down @ down) / 2)
    facing = across[0] * down[1] - across[1] * down[0]  # the z component of the head's axis, times scale squared
    if not (scale > 1e-6 and facing > 0):
        return 180.0, 90.0, 0.0
    eyes, nose = complex(across[0], down[0]), complex(-across[2], -down[2])  # directions in the picture
    aside = nose * eyes.conjugate() / (abs(eyes) * scale)  # direction of the nose with the eyes level
    toward = facing / scale**2
    yaw, pitch = math.atan2(aside.real, toward), math.atan2(-aside.imag, toward)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(eyes.imag, eyes.real))


def measure(points: Points, crop: Planes) -> Quality:
    """Return the quality of one face: landmarks in px of the main picture, and its aligned crop (3, H, W), 0 to 255."""
    grey = (BRIGHTNESS @ crop.reshape(3, -1)).reshape(crop.shape[1:])
    columns = grey.mean(axis=0)
    left, right = (float(half.mean()) for half in (columns[: columns.size // 2], columns[-(columns.size // 2) :]))
    yaw, pitch, roll = pose(points)
    return Quality(
        eye_px=float(np.hypot(*(points[1] - points[0]))),
        sharpness=sharpness(grey),
        luminance=float(columns.mean()),
        side_ratio=(left + 1) / (right + 1),  # plus one grey level, so that black has a ratio too
        saturated=float(np.count_nonzero(grey >= SATURATED)) / grey.size,
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
    )


def sharpness(grey: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian (four neighbours) of an (H, W) picture, in grey levels squared."""
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1]
    laplacian += grey[1:-1, :-2]
    laplacian += grey[1:-1, 2:]
    laplacian -= 4 * grey[1:-1, 1:-1]
    return float(np.vdot(laplacian, laplacian)) / laplacian.size - float(laplacian.mean()) ** 2


def problems_of(
    quality: Quality,
    relative_size: float,
    settings: FaceSettings,
    for_enrolment: bool = False,
    *,
    is_near: bool = False,
) -> tuple[Problem, ...]:
    """Return why this face may not be searched for, or enrolled. Empty if it may. A NaN is a problem.

    The problem with the most helpful advice comes first. A person who comes to the gate is first too far away: the pose
    of a tiny face is uncertain, and a passer-by gets no advice. In an enrolment picture the pose comes before the size,
    since a turned head has its eyes closer together. Light comes before blur, because a dark picture is exposed longer.

    `relative_size`: its size over that of the largest face in view. `is_near`: the result of
    `face.framing.is_too_near`. For an enrolment picture, the problem of `is_cut_off`.
    """
    q, s = quality, settings
    bounds: dict[Problem, bool] = {
        "background": relative_size >= s.min_relative_size,
        "too_small": q.eye_px >= (s.min_enrol_eye_px if for_enrolment else s.min_eye_px),
        "too_near": not is_near,
        "turned_away": abs(q.yaw_deg) <= s.max_yaw_deg and abs(q.pitch_deg) <= s.max_pitch_deg,
        "too_dark": q.luminance >= s.min_luminance,
        "too_bright": q.luminance <= s.max_luminance and q.saturated <= s.max_saturated,
        "uneven_light": 1 / s.max_side_ratio <= q.side_ratio <= s.max_side_ratio,
        "no_colour": q.colour is None or (math.isfinite(q.colour) and q.colour >= NO_COLOUR),
        "blurred": q.sharpness >= s.min_sharpness,
    }
    return tuple(problem for problem in (PICTURE_ORDER if for_enrolment else bounds) if not bounds[problem])
