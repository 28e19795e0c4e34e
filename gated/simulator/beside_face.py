"""Objects on or beside a real face that move with it: an eye patch, a headrest, an umbrella. Tests of PAD need them.

A PAD rule accepts these people, although an object moves with the face.
"""

import numpy as np
from PIL import Image, ImageDraw

from gated.simulator.render import Sprite


def eye_patch(face: Sprite) -> Sprite:
    """Return the face with a dark patch over its right eye, and a band around the head."""
    image = Image.fromarray(face.rgb)
    draw = ImageDraw.Draw(image)
    (x, y), (other, level) = face.landmarks[0].tolist(), face.landmarks[1].tolist()
    wide = 0.33 * abs(other - x)
    draw.line([(x - 2 * wide, y - 0.4 * wide), (other + wide, level - 1.8 * wide)], (25, 24, 26), 3)
    draw.ellipse((x - wide, y - 0.8 * wide, x + wide, y + 0.8 * wide), (25, 24, 26))
    return Sprite(np.asarray(image), face.alpha, face.landmarks, face.box)


def headrest(face: Sprite) -> Sprite:
    """Return the face before the headrest of a wheelchair."""
    x, y, w, h = face.box
    return _before(face, (x - 0.35 * w, y - 0.05 * h, x + 1.35 * w, y + 0.8 * h), (38, 40, 46))


def umbrella(face: Sprite) -> Sprite:
    """Return the face under an umbrella, which hides the background above."""
    x, y, w, h = face.box
    return _before(face, (x - 1.1 * w, y - 0.75 * h, x + 2.1 * w, y - 0.1 * h), (70, 32, 40))


def _before(face: Sprite, item_box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> Sprite:
    """Return the face before a rounded object with seams (left, top, right, bottom in px of the sprite)."""
    height, width = face.alpha.shape
    left, top = max(0, round(-item_box[0])), max(0, round(-item_box[1]))
    size = left + max(width, round(item_box[2]) + 1), top + max(height, round(item_box[3]) + 1)
    image = Image.new("RGBA", size)
    box = (item_box[0] + left, item_box[1] + top, item_box[2] + left, item_box[3] + top)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(box, 0.2 * (box[3] - box[1]), (*colour, 255))
    for share in np.linspace(0.1, 0.9, 7).tolist():
        at = box[0] + share * (box[2] - box[0])
        draw.line([(at, box[1]), (at, box[3])], tuple(c + 26 for c in colour), 3)
    head = Image.fromarray(np.dstack([face.rgb, face.alpha]))
    image.alpha_composite(head, (left, top))
    picture = np.asarray(image)
    x, y, w, h = face.box
    return Sprite(
        np.ascontiguousarray(picture[..., :3]),
        np.ascontiguousarray(picture[..., 3]),
        face.landmarks + np.array((left, top), np.float32),
        (x + left, y + top, w, h),
    )
