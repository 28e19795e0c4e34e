"""Draws an evaluation: DET curves on normal-deviate axes, beside the distributions of the scores.

Sets differ in dashes and marks as well as in colour, so that the picture works in black and white.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import IO

from PIL import Image, ImageDraw, ImageFont

from gated.evaluation.confidence import Rate
from gated.evaluation.report import BIN, Distribution, Report
from gated.evaluation.strokes import dashed, hatched, marked, upwards

SIZE = (1200, 600)
TOP, DEEP, CAPTION = 66, 454, 552
"""Top and height of the panels, and position of the captions, in px."""
FINE = 3
"""Factor of oversampling: drawn larger, then scaled down, for smooth lines."""

INK, FAINT, PALE, PAPER = "#111111", "#8a8a8a", "#ececec", "#ffffff"
COLOURS = ("#0b4f9e", "#b83a00", "#1b6e2f", "#6a2c91")
DASHES = ((), (14, 7), (4, 5), (18, 5, 4, 5))

TICKS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
LEAST, MOST = 0.0001, 0.5
"""The shares at the ends of a DET axis. Zero errors are drawn at the lower end."""

_deviate = NormalDist().inv_cdf


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle to draw in, in px of the finished picture, with the ranges of its axes."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a pair of values, in px of the oversampled picture, clipped to the panel."""
        across = (min(max(x, self.x[0]), self.x[1]) - self.x[0]) / (self.x[1] - self.x[0])
        up = (min(max(y, self.y[0]), self.y[1]) - self.y[0]) / (self.y[1] - self.y[0])
        return (self.left + across * self.width) * FINE, (self.top + (1 - up) * self.height) * FINE

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The rectangle, in px of the oversampled picture."""
        right, bottom = self.left + self.width, self.top + self.height
        return self.left * FINE, self.top * FINE, right * FINE, bottom * FINE


def draw(reports: Sequence[Report], into: Path | IO[bytes]) -> None:
    """Write a PNG of 1200 x 600 px with the first four reports side by side."""
    shown = reports[: len(COLOURS)]
    image = Image.new("RGB", (SIZE[0] * FINE, SIZE[1] * FINE), PAPER)
    pen = ImageDraw.Draw(image)
    gallery = f", gallery of {shown[0].gallery_size}" if shown[0].gallery_size else ""
    _text(pen, (24, 14), f"{shown[0].source}{gallery}", 19)
    _det(image, pen, shown)
    height = (DEEP - 52 * (len(shown) - 1)) / len(shown)
    for place, report in enumerate(shown):
        panel = Panel(660, TOP + place * (height + 52), 515, height, _span(shown), (0, 1.18))
        _scores(pen, report, COLOURS[place], panel)
    score = (
        "score of a visit: the highest threshold that grants it" if gallery else "score of a pair: cosine similarity"
    )
    _text(pen, (917, CAPTION), score, 15, "mt")
    _text(pen, (917, CAPTION + 24), "height: share of each kind; at none: no threshold grants them", 12, "mt")
    image.resize(SIZE, Image.Resampling.LANCZOS).save(into, "PNG", optimize=True)


def _det(image: Image.Image, pen: ImageDraw.ImageDraw, reports: Sequence[Report]) -> None:
    """Draw the curves, the working point of each set, and the area that so few trials cannot prove."""
    ends = (_deviate(LEAST), _deviate(MOST))
    panel = Panel(92, TOP, 500, DEEP, ends, ends)
    curve = reports[0].curve
    _unproven(pen, panel, reports[0])
    for share in TICKS:
        for line in ([(share, LEAST), (share, MOST)], [(LEAST, share), (MOST, share)]):
            pen.line([panel.at(_deviate(x), _deviate(y)) for x, y in line], fill="#d4d4d4", width=FINE)
        label = f"<{share * 100:g}" if share == LEAST else f"{share * 100:g}"
        x, y = panel.at(_deviate(share), _deviate(LEAST))
        _text(pen, (x / FINE, y / FINE + 6), label, 13, "mt")
        x, y = panel.at(_deviate(LEAST), _deviate(share))
        _text(pen, (x / FINE - 7, y / FINE), label, 13, "rm")
    pen.rectangle(panel.box, outline=INK, width=2 * FINE)
    for place, report in enumerate(reports):
        _curve(pen, panel, report, place)
    _text(pen, (342, CAPTION), f"{curve.across}, % of {reports[0].non_mated.n:,} ({reports[0].non_mated.of})", 15, "mt")
    label = f"{curve.up}, % of {reports[0].mated.n:,} ({reports[0].mated.of})"
    upwards(image, (20 * FINE, (TOP + DEEP / 2) * FINE), label, _font(15), INK)


def _unproven(pen: ImageDraw.ImageDraw, panel: Panel, report: Report) -> None:
    """Shade the area below 3 / n, where even a run without an error proves nothing (the rule of three)."""
    for n, corner in ((report.non_mated.n, 0), (report.mated.n, 1)):
        if 3 / max(n, 1) > LEAST:
            end = _deviate(min(3 / max(n, 1), MOST))
            far = panel.at(panel.x[1], end) if corner else panel.at(end, panel.y[1])
            start = panel.at(panel.x[0], panel.y[0])
            pen.rectangle([min(start[0], far[0]), min(start[1], far[1]), max(start[0], far[0]), start[1]], fill=PALE)
    _text(pen, (342, CAPTION + 24), "grey: below 3/n, where n is too small to prove a rate", 12, "mt")


def _curve(pen: ImageDraw.ImageDraw, panel: Panel, report: Report, place: int) -> None:
    """Draw one set's curve, its working point and its line in the legend."""
    colour, curve = COLOURS[place], report.curve
    shares = list(zip(curve.false_accepts, curve.false_rejects, strict=True))
    stairs = [corner for (x, y), (_, up) in pairwise(shares) for corner in ((x, y), (x, up))] + shares[-1:]
    dashes = [length * FINE for length in DASHES[place]]
    dashed(pen, [panel.at(_safe(x), _safe(y)) for x, y in stairs], dashes, colour, 3 * FINE)
    false_accepts, false_rejects = _works_at(report)
    marked(pen, panel.at(_safe(false_accepts), _safe(false_rejects)), place, 8 * FINE, colour)
    x, y = panel.left + panel.width - 284, panel.top + 18 + 62 * place
    pen.rectangle([(x - 10) * FINE, (y - 14) * FINE, (x + 282) * FINE, (y + 46) * FINE], fill=PAPER)
    dashed(pen, [(x * FINE, y * FINE), ((x + 52) * FINE, y * FINE)], dashes, colour, 3 * FINE)
    marked(pen, ((x + 26) * FINE, y * FINE), place, 8 * FINE, colour)
    _text(pen, (x + 62, y), f"{report.model_set}, threshold {report.threshold:g}", 15, "lm")
    for line, (name, share, side) in enumerate(
        ((curve.across, false_accepts, report.non_mated), (curve.up, false_rejects, report.mated))
    ):
        _text(pen, (x, y + 19 + 17 * line), f"{name} {Rate.of(round(share * side.n), side.n)}", 12, "lm")


def _scores(pen: ImageDraw.ImageDraw, report: Report, colour: str, panel: Panel) -> None:
    """Draw the scores of one set: mated ones filled, non-mated ones hatched, and the threshold."""
    sides = (report.non_mated, report.mated)
    most = max((count / max(1, side.n) for side in sides for count in side.counts), default=0) or 1.0
    for side, fill in zip(sides, (None, colour), strict=True):
        for place, count in enumerate(side.counts):
            start = place * BIN - 1
            if count and panel.x[0] <= start + BIN / 2 <= panel.x[1]:
                (x0, y1), (x1, y0) = panel.at(start, 0), panel.at(start + BIN, count / side.n / most)
                if fill:
                    pen.rectangle([x0 + FINE, min(y0, y1 - FINE), x1 - FINE, y1], fill=fill)
                else:
                    hatched(pen, (x0, min(y0, y1 - FINE), x1, y1), 5 * FINE, INK, FINE)
    pen.line([panel.box[0], panel.box[3], panel.box[2], panel.box[3]], fill=INK, width=2 * FINE)
    dashed(pen, [panel.at(report.threshold, 0), panel.at(report.threshold, 1.15)], [6 * FINE, 5 * FINE], INK, 2 * FINE)
    for tick in range(-10, 11, 2):
        if panel.x[0] <= tick / 10 <= panel.x[1]:
            x, y = panel.at(tick / 10, 0)
            pen.line([x, y, x, y + 5 * FINE], fill=INK, width=2 * FINE)
            _text(pen, (x / FINE, y / FINE + 8), f"{tick / 10:g}", 13, "mt")
    x, y = panel.at(report.threshold, 1.15)
    _text(pen, (x / FINE + 6, y / FINE), f"threshold {report.threshold:g}", 13, "lt")
    _legend(pen, report, colour, panel)


def _legend(pen: ImageDraw.ImageDraw, report: Report, colour: str, panel: Panel) -> None:
    """Draw the legend of the columns above them."""
    y = (panel.top - 12) * FINE
    for x, side, fill in ((panel.left, report.non_mated, None), (panel.left + 262, report.mated, colour)):
        box = (x * FINE, y - 6 * FINE, (x + 18) * FINE, y + 6 * FINE)
        pen.rectangle(box, fill=fill, outline=INK, width=FINE)
        if fill is None:
            hatched(pen, box, 5 * FINE, INK, FINE)
        _text(pen, (x + 24, y / FINE - 8), side.of, 13, "lm")
        _text(pen, (x + 24, y / FINE + 8), _counted(side), 12, "lm")


def _counted(side: Distribution) -> str:
    return f"n {side.n:,}" + (f", {side.unscored:,} at none" if side.unscored else "")


def _works_at(report: Report) -> tuple[float, float]:
    """Return the shares at the threshold in use, read from the curve, so that the mark lies on it."""
    curve = report.curve
    above = [i for i, threshold in enumerate(curve.thresholds) if threshold >= report.threshold]
    if not above:
        return 0.0, curve.false_rejects[-1] if curve.false_rejects else 0.0
    return curve.false_accepts[above[0]], curve.false_rejects[above[0]]


def _span(reports: Sequence[Report]) -> tuple[float, float]:
    """Return the range of scores to show, the same for every set: from the lowest to 1."""
    used = [i for r in reports for side in (r.mated, r.non_mated) for i, count in enumerate(side.counts) if count]
    return min([used_at * BIN - 1 for used_at in used] + [0.0]), 1.0


def _safe(share: float) -> float:
    return _deviate(min(max(share, LEAST), MOST))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINE)


def _text(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str = "la") -> None:
    pen.text((at[0] * FINE, at[1] * FINE), text, fill=INK, font=_font(size), anchor=anchor)
