"""Times are medians and 95th percentiles over the pictures with a usable face."""

from types import SimpleNamespace

import pytest

from gated.evaluation.stage_times import WHOLE, TimedPipeline, stage_times
from gated.face.vision_messages import Observation

BOX = (0.0, 0.0, 10.0, 10.0)


def test_each_stage_and_their_sum_have_median_and_percentile():
    times = {time.stage: time for time in stage_times([{"detect": ms, "embed": 1.0} for ms in range(1, 102)])}
    assert (times["detect"].median_ms, times["detect"].p95_ms, times["detect"].n) == (51.0, 96.0, 101)
    assert times[WHOLE].median_ms == pytest.approx(52.0)


def test_nothing_timed_gives_no_times():
    assert stage_times([]) == stage_times([{}]) == []


def test_frames_without_a_usable_face_are_not_timed():
    film = iter([[], [Observation(1, 0, 0.0, BOX, 0.9)], [Observation(1, 1, 0.1, BOX, 0.9, embedding=b"x")]])
    pipeline = SimpleNamespace(observe=lambda _: next(film), watch=SimpleNamespace(ms={"detect": 2.0}))
    timed = TimedPipeline(pipeline)
    assert [len(timed.observe(None)) for _ in range(3)] == [0, 1, 1]
    assert timed.laps == [{"detect": 2.0}]
