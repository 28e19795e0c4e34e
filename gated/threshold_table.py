"""Thresholds of a model set by the number of enrolled people, from the manifest. Pure, without numpy.

`face.manifest` reads the table, and `gallery.calibration` calibrates with it. The *depth* of a score s is
-ln(1 - s^2): see `gallery.score_tail`.
"""

from math import expm1, log, log1p, sqrt

import msgspec


class ThresholdTable(msgspec.Struct, frozen=True):
    """The thresholds for FPIR 0.3 %, with floor and ceiling."""

    floor: float
    ceiling: float
    rows: tuple[tuple[int, float], ...] = ()
    """Number of people and threshold, both rising. With two rows or more they also give the scale of the tail."""

    @property
    def scale(self) -> float | None:
        """The scale of the tail: depth by the logarithm of the number of people. None with fewer than two rows."""
        return _scale(self.rows[0], self.rows[-1]) if len(self.rows) > 1 else None

    def threshold(self, people: int) -> float:
        """Return the threshold of the table: linear in depth by the logarithm of the number, also beyond its ends."""
        if not self.rows:
            return self.floor
        people = max(1, people)
        known = [number for number, row in enumerate(self.rows) if row[0] <= people] or [0]
        row, after = self.rows[known[-1]], self.rows[known[-1] + 1 : known[-1] + 2]
        scale = _scale(row, after[0]) if after else self.scale or 0.0
        return sqrt(-expm1(-max(0.0, _depth(row[1]) + scale * log(people / row[0]))))

    def check(self) -> None:
        """Raise `ValueError` if the numbers do not rise, or floor and ceiling do not enclose a threshold."""
        if not 0 < self.floor < self.ceiling < 1:
            raise ValueError("floor must be below ceiling")
        for (few, low), (many, high) in zip(self.rows, self.rows[1:], strict=False):
            if not (few < many and low < high):
                raise ValueError("thresholds: people and threshold must rise from row to row")


def _depth(score: float) -> float:
    return -log1p(-score * score)


def _scale(few: tuple[int, float], many: tuple[int, float]) -> float:
    return (_depth(many[1]) - _depth(few[1])) / log(many[0] / few[0])
