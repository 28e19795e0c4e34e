"""Times of the stages of recognition during an evaluation. `gated evaluate` shows them with the rates."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from gated.face.pipeline import FacePipeline
from gated.face.vision_messages import Observation, TrackEnded
from gated.frame import Frame

WHOLE = "all stages"

Lap = Mapping[str, float]
"""Milliseconds by stage."""


class StageTime(msgspec.Struct, frozen=True):
    """The time of one stage over `n` pictures with a usable face, in ms."""

    stage: str
    median_ms: float
    p95_ms: float
    n: int

    def __str__(self) -> str:
        """Return the figures as text."""
        return f"{self.stage} {self.median_ms:.1f} ({self.p95_ms:.1f})"


def stage_times(laps: Sequence[Lap]) -> list[StageTime]:
    """Return median and 95th percentile of each stage, and of their sum."""
    timed = [lap for lap in laps if lap]
    if not timed:
        return []
    whole = [{**lap, WHOLE: sum(lap.values())} for lap in timed]
    return [_time_of(stage, np.array([lap[stage] for lap in whole])) for stage in whole[0]]


def _time_of(stage: str, ms: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> StageTime:
    middle, high = np.percentile(ms, [50, 95]).tolist()
    return StageTime(stage, round(middle, 3), round(high, 3), ms.size)


class TimedPipeline:
    """A pipeline that keeps the times of each frame with a usable face in `laps`."""

    def __init__(self, pipeline: FacePipeline) -> None:
        self._pipeline, self.laps = pipeline, list[Lap]()

    def observe(self, frame: Frame) -> list[Observation | TrackEnded]:
        """Return the observations of one frame, and the tracks that ended. Raises as `FacePipeline.observe` does."""
        seen = self._pipeline.observe(frame)
        if any(isinstance(message, Observation) and message.embedding is not None for message in seen):
            self.laps.append(dict(self._pipeline.watch.ms))
        return seen
