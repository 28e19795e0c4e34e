"""Renders a person in a view as a sprite: the cloud is rotated, lit, shadowed, and splatted with a depth buffer."""

from dataclasses import dataclass

import numpy as np

from gated.frame import Pixels
from gated.simulator.cloud import AT, GLOSS, NORMAL, STIFF, Floats
from gated.simulator.figure import DISTANCE, LEVELS, Figure, figure, level_of
from gated.simulator.likeness import Likeness
from gated.simulator.view import Light, View

PIVOT = (0.0, -0.45, -0.15)
"""The point about which a head rotates."""

BUST = 1.75
"""A sprite is cut off this far below the eyes."""

THICKNESS = 0.045
"""Discs within this depth of the nearest one are mixed with it. Deeper discs are hidden."""

SHADOW_CELL = 0.025
"""Cell size of the shadow map. Shadows are soft over two cells."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture with a transparent background.

    `rgb`: (h, w, 3) uint8. `alpha`: (h, w) uint8. `landmarks`: (5, 2) float32, x and y in px: the person's right eye,
    left eye, nose tip, right and left mouth corner. `box`: x, y, width and height of the face in px.
    """

    rgb: Pixels
    alpha: Pixels
    landmarks: Floats
    box: tuple[float, float, float, float]


def render(person: Likeness, view: View, face_px: int) -> Sprite:
    """Render head, neck and shoulders. The face box is `face_px` high for a frontal view with a neutral face.

    The first view of a person takes ten times as long, to build the figure. The last few figures are cached.
    """
    if face_px > LEVELS[-1]:
        return _enlarged(render(person, view, LEVELS[-1]), face_px / LEVELS[-1])
    level, closed = level_of(face_px), view.eyes_closed
    made = figure(person, level, eyes_closed=closed, glasses=view.glasses, mask=view.mask, hat=view.hat)
    turn = _turn(view.yaw, view.pitch, view.roll)
    marks = _turned(turn, made.marks + view.smile * made.paths[0] + view.mouth_open * made.paths[1])
    flat = marks[:2] * (DISTANCE / (DISTANCE - marks[2])) * np.array([[1], [-1]], np.float32)
    scale = face_px / made.height
    discs = _posed(made, view, turn)
    colour = _lit(discs, view.light)
    zoom = scale * DISTANCE / (DISTANCE - discs[2])
    x, y = discs[0] * zoom, -discs[1] * zoom
    corner = np.floor(np.array([[x.min()], [y.min()]])) - 2
    size = int(x.max() - corner[0, 0]) + 4, int(min(y.max(), BUST * scale) - corner[1, 0]) + 4
    rgb, alpha = _splat(x - corner[0, 0], y - corner[1, 0], discs[2], colour, size)
    points = (flat * scale - corner).T.astype(np.float32)
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    box = left, float(points[5, 1]), right - left, float(points[6, 1] - points[5, 1])
    return Sprite(rgb, alpha, points[:5], box)


def _enlarged(sprite: Sprite, factor: float) -> Sprite:
    """Return the sprite enlarged by a factor, bilinear."""
    picture = np.concatenate([sprite.rgb, sprite.alpha[..., None]], axis=2)
    for axis in (0, 1):
        px = picture.shape[axis]
        place = np.clip((np.arange(int(px * factor)) + 0.5) / factor - 0.5, 0, px - 1.001).astype(np.float32)
        low = place.astype(np.int32)
        share = (place - low)[:, None, None] if axis == 0 else (place - low)[None, :, None]
        picture = picture.take(low, axis) * (1 - share) + picture.take(low + 1, axis) * share
    x, y, w, h = (float(v * factor) for v in sprite.box)
    whole = (picture + np.float32(0.5)).astype(np.uint8)
    rgb, alpha = np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3])
    return Sprite(rgb, alpha, (sprite.landmarks * np.float32(factor)).astype(np.float32), (x, y, w, h))


def _turn(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the rotation (3, 3) of a head. Angles in degrees."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.radians((yaw, pitch, roll)))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    turn: Floats = about_z @ about_y @ about_x
    return turn.astype(np.float32)


def _turned(turn: Floats, at: Floats) -> Floats:
    """Rotate points (3, N) about the pivot."""
    pivot = np.array(PIVOT, np.float32)[:, None]
    return _rotated(turn, at - pivot) + pivot


def _rotated(turn: Floats, v: Floats) -> Floats:
    """Return `turn @ v` for (3, N). Faster than BLAS for a matrix this flat."""
    return np.stack([row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in turn])


def _posed(made: Figure, view: View, turn: Floats) -> Floats:
    """Return the discs (11, M) that face the camera, posed as in the view."""
    eye = turn.T @ (np.array((0, 0, DISTANCE), np.float32) - PIVOT) + PIVOT
    n = made.cloud.discs[NORMAL]
    facing = n[0] * eye[0] + n[1] * eye[1] + n[2] * eye[2] > made.plane
    seen = np.flatnonzero(facing | made.loose)
    discs = made.cloud.discs.take(seen, axis=1)
    if view.smile or view.mouth_open:
        moved = seen[: np.searchsorted(seen, made.cloud.moves.shape[1])]
        moves = made.cloud.moves.take(moved, axis=1)
        discs[:6, : len(moved)] += np.float32(view.smile) * moves[:6] + np.float32(view.mouth_open) * moves[6:]
    loose = np.flatnonzero(discs[STIFF] < 1)
    body = _turned(_turn(0.35 * view.yaw, 0.0, 0.2 * view.roll), discs[AT, loose])
    discs[AT], discs[NORMAL] = _turned(turn, discs[AT]), _rotated(turn, discs[NORMAL])
    discs[AT, loose] = body + discs[STIFF, loose] * (discs[AT, loose] - body)
    return discs


def _lit(discs: Floats, light: Light) -> Floats:
    """Return the linear colour (3, M) of discs: ambient light, a lamp with shadows, highlights, and a rim."""
    lamp = np.asarray(light.direction, np.float32)
    lamp = lamp / np.float32(np.sqrt(np.square(lamp).sum()))
    (x, y, z), n = discs[AT], discs[NORMAL]
    far = np.float32(DISTANCE) - z
    near = 1 / np.sqrt(x * x + y * y + far * far)
    to_eye = -n[0] * x * near - n[1] * y * near + n[2] * far * near
    to_lamp = n[0] * lamp[0] + n[1] * lamp[1] + n[2] * lamp[2]
    shine = _highlight(n, lamp)
    open_sky = np.float32(0.70) + np.float32(0.30) * n[1]
    rim = 1 - np.clip(to_eye, 0, 1)
    warm = np.array([1 + 0.18 * light.warmth, 1.0, 1 - 0.25 * light.warmth], np.float32)
    free = _unshadowed(discs[AT], lamp)
    direct = np.float32(1.2 * (1 - light.ambient)) * free
    spread = np.array([0.30, 0.20, 0.16], np.float32)  # light scattered into the edge of shadow, mostly red
    extra = discs[GLOSS] * (np.float32(0.55) * direct * shine + np.float32(0.15 * light.ambient) * rim * rim * rim)
    lit = np.empty((3, discs.shape[1]), np.float32)
    for c in range(3):
        wrapped = np.clip((to_lamp + spread[c]) / (1 + spread[c]), 0, 1)
        lit[c] = discs[6 + c] * (np.float32(light.ambient) * open_sky + direct * wrapped * warm[c]) + extra * warm[c]
    return lit * np.float32(light.exposure)


def _highlight(n: Floats, lamp: Floats) -> Floats:
    """Return the strength of the highlight of each disc (M,), 0..1: Blinn's, to the power of 24.

    The camera is assumed to be straight ahead. In a highlight this soft the difference is invisible.
    """
    half = np.array((lamp[0], lamp[1], lamp[2] + 1), np.float32)
    half /= np.float32(np.sqrt(np.square(half).sum()) + 1e-6)
    near = np.clip(n[0] * half[0] + n[1] * half[1] + n[2] * half[2], 0, 1)
    cube: Floats = near * near * near
    cube *= cube
    cube *= cube
    return cube * cube


def _unshadowed(at: Floats, lamp: Floats) -> Floats:
    """Return the share of the lamp's light (M,) that reaches each disc, 0..1: a shadow map with soft comparisons."""
    across = np.array((lamp[2], 0, -lamp[0]), np.float32)
    across = across / np.float32(np.sqrt(np.square(across).sum()) + 1e-6)
    up = np.cross(lamp, across).astype(np.float32)
    u, v, depth = (a[0] * at[0] + a[1] * at[1] + a[2] * at[2] for a in (across, up, lamp))
    u, v = (u - u.min()) / np.float32(SHADOW_CELL), (v - v.min()) / np.float32(SHADOW_CELL)
    i, j = u.astype(np.int32), v.astype(np.int32)
    width = int(i.max()) + 2
    near = np.full(width * (int(j.max()) + 2), -9, np.float32)
    np.maximum.at(near, j * width + i, depth)
    u, v = u - np.float32(0.5), v - np.float32(0.5)
    i, j = np.maximum(u.astype(np.int32), 0), np.maximum(v.astype(np.int32), 0)
    a, b, place = np.clip(u - i, 0, 1), np.clip(v - j, 0, 1), j * width + i
    shade: Floats = np.zeros_like(depth)
    depth = depth + np.float32(0.09)
    for shift, weight in ((0, (1 - a) * (1 - b)), (1, a * (1 - b)), (width, (1 - a) * b), (width + 1, a * b)):
        shade += weight * np.clip((near[place + shift] - depth) * 9, 0, 1)
    return 1 - np.float32(0.65) * shade


def _splat(x: Floats, y: Floats, depth: Floats, colour: Floats, size: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Draw discs as tents of 2 px by 2 px, and mix those in front: RGB (h, w, 3) and alpha (h, w)."""
    w, h = size
    inside = np.flatnonzero(y < h - 2)
    if len(inside) < len(y):
        x, y, depth, colour = x[inside], y[inside], depth[inside], colour.take(inside, axis=1)
    i, j = x.astype(np.int32), y.astype(np.int32)
    fx, fy = (x - i).astype(np.float32), (y - j).astype(np.float32)
    corner = (j * w + i).astype(np.intp)
    near = np.full(w * h, -9, np.float32)
    places = [corner + shift for shift in (0, 1, w, w + 1)]
    for place in places:
        np.maximum.at(near, place, depth)
    near -= np.float32(THICKNESS)
    gx, gy = 1 - fx, 1 - fy
    sums = np.zeros((4, w * h), np.float32)
    for place, weight in zip(places, (gx * gy, fx * gy, gx * fy, fx * fy), strict=True):
        shown = weight * (depth > near[place])
        np.add.at(sums[3], place, shown)
        for c in range(3):
            np.add.at(sums[c], place, shown * colour[c])
    return _developed(sums, w, h)


def _developed(sums: Floats, w: int, h: int) -> tuple[Pixels, Pixels]:
    """Turn sums of colour and weight (4, h * w) into a picture. Holes take the colour around them, edges are smooth."""
    around, beside = np.zeros_like(sums), np.zeros_like(sums[3])
    cover = np.minimum(sums[3], np.float32(0.7))
    for shift in (1, w):
        around[:, shift:] += sums[:, :-shift]
        around[:, :-shift] += sums[:, shift:]
        beside[shift:] += cover[:-shift]
        beside[:-shift] += cover[shift:]
    alpha = np.clip(np.maximum(0.8 * sums[3], 1.2 * beside - 1.6), 0, 1)
    sums += np.float32(0.03) * around
    rgb = np.sqrt(np.clip(sums[:3] / np.maximum(sums[3], np.float32(1e-6)), 0, 1))
    shown = (rgb.T * 255 + np.float32(0.5)).astype(np.uint8).reshape(h, w, 3)
    return shown, (alpha * 255 + np.float32(0.5)).astype(np.uint8).reshape(h, w)
