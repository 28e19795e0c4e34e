"""Drawing that Pillow lacks: dashed lines, hatched boxes, marks, vertical text. All in px."""

import math
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def dashed(pen: ImageDraw.ImageDraw, points: Sequence[Point], lengths: Sequence[float], fill: str, width: int) -> None:
    """Draw a line through the points. `lengths`: dash, gap, dash, gap, ... in px; empty for a solid line."""
    if not lengths:
        lengths = (math.inf, 0.0)
    turn, remaining = 0, lengths[0]
    for start, end in pairwise(points):
        length, done = math.dist(start, end), 0.0
        while done < length:
            step = min(remaining, length - done)
            if turn % 2 == 0:
                pen.line([_between(start, end, (done + part) / length) for part in (0.0, step)], fill=fill, width=width)
            done, remaining = done + step, remaining - step
            if remaining <= 0:
                turn += 1
                remaining = lengths[turn % len(lengths)]


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def hatched(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], gap: int, fill: str, width: int) -> None:
    """Draw a box with its border and diagonal lines. Lines of adjacent boxes continue each other."""
    x0, y0, x1, y1 = box
    first = math.ceil((x0 + y0) / gap)
    for place in range(first, int((x1 + y1) / gap) + 1):
        total = place * gap  # the line x + y = total
        start = (x0, total - x0) if total - x0 <= y1 else (total - y1, y1)
        end = (total - y0, y0) if total - y0 <= x1 else (x1, total - x1)
        pen.line([start, end], fill=fill, width=width)
    pen.rectangle(box, outline=fill, width=width)


def marked(pen: ImageDraw.ImageDraw, at: Point, kind: int, radius: float, colour: str) -> None:
    """Draw mark number `kind`, white inside: circle, square, triangle, diamond, then again from the start."""
    x, y = at
    corners = (0, 4, 3, 4)[kind % 4]
    if not corners:
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill="white", outline=colour, width=round(radius / 2.5))
        return
    first = math.pi / 4 if kind % 4 == 1 else -math.pi / 2
    turns = [first + math.tau * i / corners for i in range(corners)]
    pen.polygon(
        [(x + radius * 1.2 * math.cos(turn), y + radius * 1.2 * math.sin(turn)) for turn in turns],
        fill="white",
        outline=colour,
        width=round(radius / 2.5),
    )


def upwards(image: Image.Image, middle: Point, text: str, font: Font, fill: str) -> None:
    """Draw text from bottom to top, centred on `middle`."""
    left, top, right, bottom = (math.ceil(side) for side in font.getbbox(text))
    strip = Image.new("L", (right - left + 2, bottom - top + 2), 0)
    ImageDraw.Draw(strip).text((1 - left, 1 - top), text, fill=255, font=font)
    turned = strip.rotate(90, expand=True)
    at = round(middle[0] - turned.width / 2), round(middle[1] - turned.height / 2)
    image.paste(Image.new("RGB", turned.size, fill), at, turned)
