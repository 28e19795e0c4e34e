"""The threshold of a gallery, calibrated on the people enrolled in it. Pure; `gallery.Gallery` keeps the present one.

The gallery gives an estimate of strangers' scores: each enrolled person is a stranger to all other households.
`score_tail` fits the tail of these scores. The threshold is its upper bound for the target FPIR at the present size, so
an uncertain fit gives a higher threshold.

A small gallery gives little data. So the manifest has a table of thresholds by size. It was measured on East Asian
people, because embedders distinguish them least well. The fit counts n / (n + `TABLE_PEOPLE`); a fit above the table
counts alone.

Children resemble each other more. Measured on MobileFaceNet and Intel 0095: a strange child is accepted 50 to 80 times
as often. The registrar marks a child; nothing is inferred from a face. A child's threshold is that for FPIR / 80.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec
import numpy as np

from gated.gallery.score_tail import Tail, fit_tail
from gated.gallery.stranger_scores import Scores, StrangerScores
from gated.threshold_table import ThresholdTable

FEWEST = 40
"""With fewer people the table alone gives the threshold."""
TABLE_FPIR = 0.003
"""The FPIR of the thresholds in a table."""
TABLE_PEOPLE = 150
"""Weight of the table, in people."""
CHILD_FACTOR = 80
"""How often a strange child is accepted for one strange adult, at most. Measured: 50 to 80."""


class Reason(StrEnum):
    """Origin of a threshold."""

    FITTED = "fitted"
    TABLE = "table"
    FLOOR = "floor"
    CEILING = "ceiling"
    SETTING = "setting"


class Calibration(msgspec.Struct, frozen=True):
    """The threshold for the present gallery. Rates are shares, thresholds are scores."""

    threshold: float
    reason: Reason
    people: int
    target_fpir: float
    low: float
    """The threshold for the target is from `low` to `high`, with 90 % confidence. A table has one value."""
    high: float
    child_threshold: float
    fpir: float | None = None
    """Expected FPIR at the threshold; None without a fit."""
    fpir_bound: float | None = None
    """Upper bound of the FPIR, with 95 % confidence; None without a fit."""

    is_child_beyond: bool = False
    """Whether a child needs more than the ceiling: then a face alone does not identify a child here."""

    @property
    def is_beyond(self) -> bool:
        """Return whether recognition cannot distinguish these people at this size: the target needs more than the
        ceiling.
        """
        return self.reason is Reason.CEILING

    def days_for_one(self, strangers_a_day: float, *, is_bound: bool = False) -> float | None:
        """Return the false-accept budget: the mean number of days until one stranger is accepted.

        `is_bound`: for the upper bound of the FPIR, so the least number of days. None without a fit.
        """
        rate = self.fpir_bound if is_bound else self.fpir
        return None if rate is None else 1 / max(rate * strangers_a_day, 1e-9)


def uncalibrated(people: int, target_fpir: float, table: ThresholdTable, setting: float | None = None) -> Calibration:
    """Return the calibration by the table alone, until the people are compared."""
    empty = Scores(np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    return calibration_of(StrangerScores(people, 0, 0.0, empty, empty), target_fpir, table, setting)


def calibration_of(
    found: StrangerScores, target_fpir: float, table: ThresholdTable, setting: float | None = None
) -> Calibration:
    """Return the calibration of a gallery from its scores. `setting`: a threshold that the installer chose; its FPIR is
    then given.
    """
    tail = fit_tail(found, table.scale) if found.people >= FEWEST else None
    chosen = _chosen(tail, found.people, target_fpir, table)
    child = _chosen(tail, found.people, target_fpir / CHILD_FACTOR, table)
    if setting is not None:
        chosen, child = (
            _Chosen(setting, Reason.SETTING, setting, setting),
            replace(child, threshold=max(child.threshold, setting)),
        )
    return Calibration(
        threshold=chosen.threshold,
        reason=chosen.reason,
        people=found.people,
        target_fpir=target_fpir,
        low=chosen.low,
        high=chosen.high,
        child_threshold=child.threshold,
        fpir=None if tail is None else tail.fpir(chosen.threshold),
        fpir_bound=None if tail is None else tail.fpir_bound(chosen.threshold),
        is_child_beyond=child.reason is Reason.CEILING,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    threshold: float
    reason: Reason
    low: float
    high: float


def _chosen(tail: Tail | None, people: int, target_fpir: float, table: ThresholdTable) -> _Chosen:
    """Return the threshold for a target FPIR, between floor and ceiling.

    The table is for `TABLE_FPIR`. Half of this rate needs the threshold of twice as many people.
    """
    of_table = table.threshold(max(1, round(people * TABLE_FPIR / target_fpir)))
    if tail is None:
        threshold, limit = _clip(table, of_table)
        return _Chosen(threshold, limit or Reason.TABLE, threshold, threshold)
    _, low, high = tail.thresholds(target_fpir)
    share = people / (people + TABLE_PEOPLE) if table.rows else 1.0
    threshold, limit = _clip(table, max(high, share * high + (1 - share) * of_table))
    return _Chosen(threshold, limit or Reason.FITTED, low, high)


def _clip(table: ThresholdTable, threshold: float) -> tuple[float, Reason | None]:
    """Return the threshold between floor and ceiling, and which of them it is. A value that is no number: ceiling."""
    if threshold < table.floor:
        return table.floor, Reason.FLOOR
    if not threshold < table.ceiling:
        return table.ceiling, Reason.CEILING
    return threshold, None
