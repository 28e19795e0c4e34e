"""Presentation attacks: a face on paper (also bent, or cut out along the head) or on a screen, held up by a hand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels
from gated.simulator.cloud import Floats, step
from gated.simulator.likeness import SKIN
from gated.simulator.render import Sprite


@dataclass(frozen=True, slots=True)
class Sheet:
    """A flat object that is held up: `rgba` (h, w, 4) float32 0..1, with its face's landmarks and box in its own px."""

    rgba: Floats
    landmarks: Floats
    box: tuple[float, float, float, float]


Swing = tuple[float, float, float]
"""Yaw, pitch and roll in degrees, added to the tilt of a held object: a hand is never quite still."""
STILL: Swing = (0.0, 0.0, 0.0)


def printed(
    face: Sprite, background: Pixels | None, rng: np.random.Generator, tilt: float = 14.0, *,
    bent: float = 0.06, swing: Swing = STILL,
) -> Sprite:  # fmt: skip
    """Return the face as a print on paper, held up: a white edge, dull inks, halftone dots, a bend and a sheen.

    `background`: (h, w, 3) behind the face on the print, of any size; None for a plain wall. `tilt`: largest angle of
    the paper, in degrees. `bent`: the strongest bend, as a share of the height. The face keeps about its size.
    """
    shown = _shot(face, background, rng, float(rng.uniform(1.55, 2.1)), float(rng.uniform(0.72, 0.95)))
    picture = shown.rgba[..., :3]
    height, width = picture.shape[:2]
    edge = int(rng.uniform(0.02, 0.09) * width)
    ink = _inked(picture, rng)
    paper = np.ones((height + 2 * edge, width + 2 * edge, 4), np.float32)
    paper[..., :3] = np.array((0.90, 0.90, 0.88)) + rng.uniform(-0.03, 0.03, 3)
    paper[edge : edge + height, edge : edge + width, :3] = ink * (1 + rng.uniform(-0.05, 0.05, 3))
    bend = float(rng.uniform(-bent, bent))
    yy, xx = _grid(*paper.shape[:2])
    across = xx / paper.shape[1] - 0.5
    shade = 1 + 2.2 * bend * across + 0.10 * rng.uniform(-1, 1) * (yy / paper.shape[0] - 0.5)
    crease = np.exp(-np.square((xx - rng.uniform(0.2, 0.8) * paper.shape[1]) / 2.0)) * rng.uniform(0, 0.07)
    paper[..., :3] *= (rng.uniform(0.80, 1.0) * shade - crease)[..., None]
    sheen = _sheen(paper.shape[:2], rng, 0.35) * rng.uniform(0.0, 0.35)
    paper[..., :3] += sheen[..., None] * (1 - paper[..., :3])
    return held_up(
        Sheet(paper, shown.landmarks + edge, _moved(shown.box, edge, edge)), rng, tilt, bend, grip=0.40, swing=swing
    )


def cut_out(face: Sprite, rng: np.random.Generator, tilt: float = 14.0, *, swing: Swing = STILL) -> Sprite:
    """Return the face as a print that was cut out along head and shoulders, held up. No edge of paper is beside it."""
    paper = np.empty((*face.alpha.shape, 4), np.float32)
    paper[..., :3] = _inked(face.rgb / np.float32(255), rng) * rng.uniform(0.85, 1.0)
    paper[..., 3] = face.alpha > 127
    return held_up(Sheet(paper, face.landmarks, face.box), rng, tilt, 0.0, grip=0.40, swing=swing)


def _inked(picture: Floats, rng: np.random.Generator) -> Floats:
    """Return a picture (h, w, 3) 0..1 in the colours of a printer, with halftone dots."""
    yy, xx = _grid(*picture.shape[:2])
    ink = 0.10 + rng.uniform(0.72, 0.84) * picture ** rng.uniform(0.85, 1.15)
    ink = ink.mean(-1, keepdims=True) + rng.uniform(0.55, 0.95) * (ink - ink.mean(-1, keepdims=True))
    pitch = rng.uniform(2.3, 3.6)
    for c, angle in enumerate(np.radians((15.0, 75.0, 45.0))):
        a, b = xx * np.cos(angle) + yy * np.sin(angle), yy * np.cos(angle) - xx * np.sin(angle)
        ink[..., c] += 0.075 * np.cos(2 * np.pi * a / pitch) * np.cos(2 * np.pi * b / pitch)
    return np.asarray(ink, np.float32)


TALL_PHONE, TALL_TABLET = (1.9, 2.15), (2.3, 2.9)
"""Height of a screen over the height of the face on it, smallest and largest."""


def phone(
    face: Sprite, rng: np.random.Generator, tilt: float = 14.0, *,
    tall: tuple[float, float] = TALL_PHONE, swing: Swing = STILL,
) -> Sprite:  # fmt: skip
    """Return the face on a phone, held up: a frame, a cold bright screen with its pixel grid, and a reflection.

    `tilt`: largest angle of the phone, in degrees. `tall`: `TALL_PHONE` or `TALL_TABLET`. The face keeps about its
    size.
    """
    shown = _shot(face, None, rng, float(rng.uniform(*tall)), float(rng.uniform(0.62, 0.80)))
    picture = shown.rgba[..., :3]
    height, width = picture.shape[:2]
    yy, xx = _grid(height, width)
    cast = np.array((rng.uniform(0.86, 0.98), rng.uniform(0.95, 1.02), rng.uniform(1.02, 1.14)), np.float32)
    screen = 0.07 + 0.97 * picture**0.88 * cast
    angle, wave = rng.uniform(0, np.pi), rng.uniform(5.0, 16.0)
    along = (xx * np.cos(angle) + yy * np.sin(angle)) / wave + 0.7 * np.sin(yy / height * rng.uniform(2, 6))
    for c in range(3):
        screen[..., c] *= 1 + rng.uniform(0.03, 0.09) * np.sin(2 * np.pi * (along + c / 3.0))
    screen *= (1 - rng.uniform(0.04, 0.12) * (np.sin(2 * np.pi * yy / rng.uniform(2.1, 3.2)) > 0.3))[..., None]
    screen += (rng.uniform(0.05, 0.35) * _sheen((height, width), rng, 0.15))[..., None]
    side, end = max(3, int(rng.uniform(0.025, 0.05) * width)), max(4, int(rng.uniform(0.04, 0.11) * width))
    full_h, full_w = height + 2 * end, width + 2 * side
    yy, xx = _grid(full_h, full_w)
    body = np.zeros((full_h, full_w, 4), np.float32)
    body[..., :3] = rng.choice(
        np.array(((0.05, 0.05, 0.06), (0.09, 0.09, 0.11), (0.62, 0.62, 0.64), (0.85, 0.84, 0.80)), np.float32)
    )
    body[end : end + height, side : side + width, :3] = screen
    round_px = 0.09 * full_w
    out = np.hypot(
        np.clip(np.abs(xx - full_w / 2) - full_w / 2 + round_px, 0, None),
        np.clip(np.abs(yy - full_h / 2) - full_h / 2 + round_px, 0, None),
    )
    body[..., 3] = 1 - step(round_px - 1, 0.7, out)
    lens = step(0.012 * full_w, 0.7, np.hypot(xx - full_w / 2, yy - end - 0.035 * full_w))
    body[..., :3] = body[..., :3] * lens[..., None] + 0.02 * (1 - lens[..., None])
    shift = np.array((side, end), np.float32)
    return held_up(
        Sheet(body, shown.landmarks + shift, _moved(shown.box, side, end)), rng, tilt, 0.0, grip=0.40, swing=swing
    )


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Return rows and columns of a picture as float32 (h, w)."""
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    return yy, xx


def _moved(box: tuple[float, float, float, float], x: float, y: float) -> tuple[float, float, float, float]:
    return box[0] + x, box[1] + y, box[2], box[3]


def _shot(face: Sprite, background: Pixels | None, rng: np.random.Generator, tall: float, shape: float) -> Sheet:
    """Return a portrait: the sprite before a background, `tall` faces high, `shape` times as wide as high."""
    x, y, w, h = face.box
    height, width = int(tall * h), int(tall * h * shape)
    ground = np.empty((height, width, 4), np.float32)
    ground[..., 3] = 1
    if background is None:
        top, bottom = (rng.uniform(0.25, 0.9) + rng.uniform(-0.12, 0.12, 3) for _ in range(2))
        ground[..., :3] = top + (bottom - top) * np.linspace(0, 1, height)[:, None, None]
    else:
        rows = np.arange(height) * background.shape[0] // height
        columns = np.arange(width) * background.shape[1] // width
        ground[..., :3] = background[rows][:, columns] / np.float32(255)
    left = round(width / 2 - x - w / 2)
    top_px = round(height * rng.uniform(0.46, 0.54) - y - h / 2)
    y0, y1 = max(0, top_px), min(height, top_px + face.alpha.shape[0])
    x0, x1 = max(0, left), min(width, left + face.alpha.shape[1])
    cut = slice(y0 - top_px, y1 - top_px), slice(x0 - left, x1 - left)
    alpha = face.alpha[cut][..., None] / np.float32(255)
    ground[y0:y1, x0:x1, :3] += alpha * (face.rgb[cut] / np.float32(255) - ground[y0:y1, x0:x1, :3])
    return Sheet(ground, face.landmarks + np.array((left, top_px), np.float32), _moved(face.box, left, top_px))


def _sheen(shape: tuple[int, int], rng: np.random.Generator, soft: float) -> Floats:
    """Return a band of reflected light across a flat object, 0..1."""
    yy, xx = _grid(*shape)
    angle = rng.uniform(0.2, 1.3)
    along = (xx * np.cos(angle) + yy * np.sin(angle)) / max(shape)
    band = np.exp(-np.square((along - rng.uniform(0.1, 1.1)) / (soft * rng.uniform(0.5, 1.2))))
    return np.asarray(band, np.float32)


def held_up(
    sheet: Sheet, rng: np.random.Generator, tilt: float, bend: float, grip: float, *, swing: Swing = STILL
) -> Sprite:
    """Return the sheet held up: tilted, bent, in perspective, with a hand at its lower edge."""
    height, width = sheet.rgba.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    yaw, pitch, roll = np.radians(rng.uniform(-tilt, tilt, 3) * np.array((1.0, 1.0, 0.6)) + swing)
    p = np.stack([corners[:, 0] - width / 2, corners[:, 1] - height / 2, np.zeros(4)], 1) / height
    p = np.stack([p[:, 0] * np.cos(yaw), p[:, 1] * np.cos(pitch), p[:, 0] * np.sin(yaw) + p[:, 1] * np.sin(pitch)], 1)
    p[:, :2] = p[:, :2] @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    seen = p[:, :2] * height / (1 - 0.35 * p[:, 2:])
    margin = 0.04 * height
    low = seen.min(0) - margin
    seen = seen - low
    out_w, out_h = (int(v) for v in np.ceil(seen.max(0) + margin + (0, grip * height)))
    mapping = _homography(corners, seen)
    yy, xx = _grid(out_h, out_w)
    u, v = _through(np.linalg.inv(mapping), np.stack([xx.ravel() + 0.5, yy.ravel() + 0.5], 1)).T
    v = v - bend * height * np.square(u / width - 0.5)
    flat = _sampled(sheet.rgba, u - 0.5, v - 0.5).reshape(out_h, out_w, 4)
    flat = _hand(flat, seen, rng, height)
    landmarks = _through(mapping, _bent(sheet.landmarks, bend, width, height)).astype(np.float32)
    x, y, w, h = sheet.box
    box = _through(
        mapping, _bent(np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float32), bend, width, height)
    )
    (x0, y0), (x1, y1) = box.min(0), box.max(0)
    rgba = (np.clip(flat, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Sprite(
        np.ascontiguousarray(rgba[..., :3]),
        np.ascontiguousarray(rgba[..., 3]),
        landmarks,
        (float(x0), float(y0), float(x1 - x0), float(y1 - y0)),
    )


def _bent(points: Floats, bend: float, width: int, height: int) -> Floats:
    """Return points of the sheet after bending."""
    return np.stack([points[:, 0], points[:, 1] + bend * height * np.square(points[:, 0] / width - 0.5)], 1)


def _homography(source: Floats, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the perspective map (3, 3) of four points to four points (direct linear transform)."""
    rows = []
    for (x, y), (u, v) in zip(source.tolist(), target.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), target.reshape(-1))
    return np.append(solved, 1.0).reshape(3, 3)


def _through(matrix: Floats, points: Floats) -> Floats:
    """Map points (N, 2) by a perspective map."""
    x, y = points[:, 0], points[:, 1]
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return np.stack([u / w, v / w], 1).astype(np.float32)


def _sampled(rgba: Floats, x: Floats, y: Floats) -> Floats:
    """Return bilinear samples (N, 4), transparent outside."""
    padded = np.pad(rgba, ((1, 2), (1, 2), (0, 0)))
    height, width = padded.shape[:2]
    x, y = np.clip(x + 1, 0, width - 2), np.clip(y + 1, 0, height - 2)
    i, j = x.astype(np.int32), y.astype(np.int32)
    fx, fy = (x - i)[:, None], (y - j)[:, None]
    flat, at = padded.reshape(-1, 4), j * width + i
    mixed = (flat[at] * (1 - fx) + flat[at + 1] * fx) * (1 - fy) + (
        flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
    ) * fy
    mixed[:, :3] /= np.maximum(mixed[:, 3:], 1e-3)
    return np.asarray(mixed, np.float32)


def _hand(picture: Floats, corners: Floats, rng: np.random.Generator, height: int) -> Floats:
    """Draw an arm from below, with the thumb in front of the lower edge."""
    skin, sleeve = SKIN[int(rng.integers(len(SKIN)))], rng.uniform(0.08, 0.6, 3)
    share, side = rng.uniform(0.25, 0.75), rng.uniform(-1, 1)
    foot, wide = corners[3] + share * (corners[2] - corners[3]), 0.045 * height
    yy, xx = _grid(*picture.shape[:2])
    limbs: tuple[tuple[tuple[float, float], tuple[float, float], float, object], ...] = (
        ((0.30 * side, 0.75), (0.05 * side, 0.16), 1.9, skin),
        ((0.34 * side, 0.90), (0.12 * side, 0.32), 2.5, sleeve),
        ((0.0, 0.12), (0.01 * side, 0.05), 2.2, skin),
        ((0.02 * side, 0.10), (-0.05 * side, -0.075), 0.85, skin),
    )
    for start, end, size, tone in limbs:
        a, b = foot + np.array(start) * height, foot + np.array(end) * height
        along = ((xx - a[0]) * (b[0] - a[0]) + (yy - a[1]) * (b[1] - a[1])) / (np.square(b - a).sum() + 1e-6)
        along = np.clip(along, 0, 1)
        far = np.hypot(xx - a[0] - along * (b[0] - a[0]), yy - a[1] - along * (b[1] - a[1])) / (size * wide)
        cover = (1 - step(1.0, 0.06, far))[..., None]
        shade = np.sqrt(np.clip(1 - 0.75 * np.square(far), 0.15, 1))[..., None]
        picture[..., :3] += cover * (np.asarray(tone, np.float32) * shade - picture[..., :3])
        picture[..., 3:] = np.maximum(picture[..., 3:], cover)
    return picture
