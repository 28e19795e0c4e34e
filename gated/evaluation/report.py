"""The report of an evaluation: rates with n, bounds, gallery size, threshold and model set, for people and programs."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from gated.access.face_policy import FaceRules
from gated.evaluation.confidence import Rate
from gated.evaluation.enrolled import EvaluationGallery
from gated.evaluation.groups import COMPARED, Differential, differential
from gated.evaluation.measures import (
    EVERYBODY,
    Measure,
    ThresholdProposal,
    left_out_scores,
    mated_looks,
    mated_scores,
    measured,
    non_mated_looks,
    non_mated_scores,
    proposal_for,
)
from gated.evaluation.pairs import Compared
from gated.evaluation.rates import Scores, det, false_accepts, false_rejects
from gated.evaluation.stage_times import Lap, StageTime, stage_times
from gated.evaluation.visit_runs import VisitOutcome
from gated.face.vision_messages import VisionReady

BIN = 0.02
"""Width of a histogram bin, as cosine similarity."""
MOST_POINTS = 4000
"""A longer curve is thinned to this many points, more than the picture can show."""


class Curve(msgspec.Struct, frozen=True):
    """A DET curve: at each index one threshold and one share on each axis."""

    across: str
    """Name of the false accepts: FPIR or FMR."""
    up: str
    """Name of the false rejects: FNIR or FNMR."""
    thresholds: list[float]
    false_accepts: list[float]
    false_rejects: list[float]


class Distribution(msgspec.Struct, frozen=True):
    """A histogram of scores. `counts[i]` starts at `-1 + i BIN`. `unscored`: visits that no threshold would grant."""

    of: str
    counts: list[int]
    n: int
    unscored: int
    mean: float | None
    """Of the finite scores, like the percentiles."""
    percentile_1: float | None
    percentile_99: float | None

    def __str__(self) -> str:
        """Return the mean, the 1st and 99th percentile, and n, as text."""
        if self.mean is None:
            return "none"
        return f"{self.mean:.2f} ({self.percentile_1:.2f} to {self.percentile_99:.2f}, n {self.n:,})"


class Report(msgspec.Struct, frozen=True):
    """The evaluation of one model set on one source."""

    source: str
    model_set: str
    grade: str
    embedder: str
    embedder_sha256: str
    gallery_size: int
    """Enrolled people. 0 if pairs were compared."""
    templates: int
    threshold: float
    pad_threshold: float | None
    frames: int
    """Frames that must agree. 1 if pairs were compared."""
    measures: list[Measure]
    proposal: ThresholdProposal | None
    curve: Curve
    mated: Distribution
    """Of visits, or of pairs."""
    non_mated: Distribution
    mated_looks: Distribution
    """Of single frames. For pairs the same as `mated`."""
    non_mated_looks: Distribution
    differentials: list[Differential] = []
    """The differences between groups of people."""
    times: list[StageTime] = []
    """Of single pictures. Empty for the simulated courtyard, where several processes share the cores."""

    def rate(self, name: str, of: str = EVERYBODY) -> Rate | None:
        """Return a rate by its name. None if it was not measured."""
        return next((m.rate for m in self.measures if (m.name, m.of) == (name, of)), None)


def report_visits(
    source: str,
    ready: VisionReady,
    rules: FaceRules,
    enrolled: EvaluationGallery,
    outcomes: Sequence[VisitOutcome],
    *,
    target_fpir: float,
    laps: Sequence[Lap] = (),
) -> Report:
    """Return the report of visits to the gate. `laps`: milliseconds by stage of the frames."""
    mated, strangers = mated_scores(outcomes), non_mated_scores(outcomes)
    non_mated = strangers if strangers.size else left_out_scores(outcomes)
    measures = measured(outcomes, rules.threshold)
    return Report(
        source=source,
        model_set=ready.model_set,
        grade=ready.grade,
        embedder=ready.embedder,
        embedder_sha256=ready.embedder_sha256,
        gallery_size=len(enrolled.subjects),
        templates=len(enrolled.rows),
        threshold=rules.threshold,
        pad_threshold=rules.pad_threshold,
        frames=rules.frames,
        measures=[
            Measure("FTE", EVERYBODY, enrolled.failed),
            *(Measure("FTE", group, rate) for group, rate in enrolled.failed_by_group.items()),
            Measure("alike", EVERYBODY, enrolled.alike),
            *measures,
        ],
        proposal=proposal_for(target_fpir, outcomes, len(enrolled.subjects)),
        curve=_curve("FPIR", "FNIR", mated, non_mated),
        mated=_distribution("residents, as themselves", mated),
        non_mated=_distribution("strangers, as anybody" if strangers.size else "residents left out", non_mated),
        mated_looks=_distribution("mated comparisons", mated_looks(outcomes)),
        non_mated_looks=_distribution("non-mated comparisons", non_mated_looks(outcomes)),
        differentials=_differentials(measures),
        times=stage_times(laps),
    )


def report_pairs(source: str, ready: VisionReady, threshold: float, compared: Compared) -> Report:
    """Return the report of comparisons."""
    mated, non_mated = compared.mated, compared.non_mated
    by_group = [m for group, of_it in compared.groups.items() for m in _of_pairs(group, of_it, threshold)]
    measures = [
        Measure("FTA", "pictures", compared.failure_to_acquire),
        Measure("not separated", "pairs", compared.not_separated(threshold)),
        *_of_pairs(EVERYBODY, compared, threshold),
        *(Measure("FTA", group, of_it.failure_to_acquire) for group, of_it in compared.groups.items()),
        *by_group,
    ]
    return Report(
        source=source,
        model_set=ready.model_set,
        grade=ready.grade,
        embedder=ready.embedder,
        embedder_sha256=ready.embedder_sha256,
        gallery_size=0,
        templates=0,
        threshold=threshold,
        pad_threshold=None,
        frames=1,
        measures=measures,
        proposal=None,
        curve=_curve("FMR", "FNMR", mated, non_mated),
        mated=_distribution("mated pairs", mated),
        non_mated=_distribution("non-mated pairs", non_mated),
        mated_looks=_distribution("mated pairs", mated),
        non_mated_looks=_distribution("non-mated pairs", non_mated),
        differentials=_differentials(by_group),
        times=stage_times(compared.laps),
    )


def _of_pairs(of: str, compared: Compared, threshold: float) -> Iterator[Measure]:
    """Yield the rates of comparisons."""
    yield Measure("FMR", of, false_accepts(compared.non_mated, threshold))
    yield Measure("FNMR", of, false_rejects(compared.mated, threshold))


def _differentials(measures: Sequence[Measure]) -> list[Differential]:
    """Return the differences between groups, for each rate that two groups have."""
    found = []
    for name in COMPARED:
        rates = {m.of: m.rate for m in measures if m.name == name and m.of != EVERYBODY}
        found.append(differential(name, rates))
    return [each for each in found if each is not None]


def _curve(across: str, up: str, mated: Scores, non_mated: Scores) -> Curve:
    """Return the curve, thinned to `MOST_POINTS`."""
    whole = det(mated, non_mated)
    size = whole.thresholds.size
    kept = np.unique(np.linspace(0, size - 1, min(size, MOST_POINTS)).round().astype(int)) if size else slice(0)
    sides = (whole.thresholds, whole.false_accepts, whole.false_rejects)
    return Curve(across, up, *([round(value, 6) for value in side[kept].tolist()] for side in sides))


def _distribution(of: str, scores: Scores) -> Distribution:
    finite = scores[np.isfinite(scores)]
    counts, _ = np.histogram(np.clip(finite, -1, 1 - 1e-9), round(2 / BIN), (-1, 1))
    middle: list[float | None] = [None, None, None]
    if finite.size:
        middle = [round(float(v), 4) for v in (finite.mean(), *np.percentile(finite, [1, 99]))]
    return Distribution(of, counts.tolist(), scores.size, int(scores.size - finite.size), *middle)
