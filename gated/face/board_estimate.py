"""Estimates the time of a decision on a Raspberry Pi from multiply-accumulates. Pure. `gated bench --estimate` uses it.

Nothing here was measured on a Pi. A rate is multiply-accumulates a second of four cores, for float32 networks of
MobileNet's kind. Sources, each as the slow and the fast end:

- Pi 4 (Cortex-A72, 1.8 GHz) and Zero 2 W (Cortex-A53, 1.0 GHz): ncnn's `benchmark/README.md`, four threads. MobileNet
  (569 million) takes 61.2 and 163.2 ms, MobileNetV2 (300 million) 61.9 and 147.4 ms. onnxruntime is slower than ncnn by
  1.25 (PicoDet-S) to 1.44 (YOLOX-Nano), as visionanalysis.org measured on a Pi 5 ("ncnn FP32 vs ONNX FP32").
- Pi 5 (Cortex-A76, 2.4 GHz): the same page with onnxruntime: YOLOX-Nano (540 million) 21.3 and YOLOX-Tiny (3.2 thousand
  million) 9.4 pictures a second.
- One core has 1 / 2.7 of the rate of four, two have 1.7 / 2.7 (ncnn's MobileNet on a Snapdragon 820, 96.6 and 36.1 ms).

Other figures for a Pi 4, as a check. XNNPACK's README has MobileNet in 75 ms and MobileNetV2 in 44 ms on four cores:
7.6 and 6.8 thousand million a second. The range here is 3.4 to 7.4. `time_comparison_pi.md` in the repository
TonyCongqianWang/cv_facedetection_eval has YuNet at 320 x 320 (136 million) with OpenCV in 54 to 59 ms on one core and
in 33 to 37 ms on four: 2.3 to 2.5 thousand million a second on one. The range here is 1.2 to 2.8.

Assumptions:

- Networks that run side by side, with two threads each, share the cores as the threads of one network do.
- Threads of the detector gain less (`DETECTOR_PARALLEL`), as the figures for YuNet show.
- Brain, latch and camera need little of the cores.
- A network's own efficiency is measured on this machine: its time for one multiply-accumulate over the time of the set.
  It is processor time, in the plain layout that onnxruntime has on ARM.
- The time begins when the pipeline takes the first good frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gated.face.lanes import lanes_for, threads_for

Stage = Literal["detect", "pad", "embed"]

SPEEDUP = {1: 1.0, 2: 1.7, 3: 2.2, 4: 2.7}
"""Rate of this number of cores over the rate of one."""
DETECTOR_PARALLEL = 0.5
"""The share of the detector's work that its threads divide (Amdahl). 54 to 59 ms on one core and 33 to 37 ms on four
give 0.48 to 0.53.
"""
OVERHEAD = 1.1
"""Time of a frame over the time of its models: the budget of the pipeline."""
LEAST, MOST = 0.5, 2.0
"""Limits of a network's efficiency. Beyond these limits, this machine gives no estimate for a Pi."""


@dataclass(frozen=True, slots=True)
class PiBoard:
    """A board with four cores. `slow` and `fast`: multiply-accumulates a second of all four."""

    name: str
    slow: float
    fast: float


BOARDS = (
    PiBoard("Pi 5", 11.5e9, 30.0e9),
    PiBoard("Pi 4", 4.85e9 / 1.44, 9.3e9 / 1.25),
    PiBoard("Zero 2 W", 2.04e9 / 1.44, 3.49e9 / 1.25),
)


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """The work of one network for a frame with one face. `here_ms`: the time of one core of this machine."""

    name: str
    stage: Stage
    macs: float
    here_ms: float


@dataclass(frozen=True, slots=True)
class BoardEstimate:
    """An estimate, not a measurement: from the fast to the slow end of the published rates."""

    board: str
    cores: int
    frame_ms: tuple[float, float]
    decision_s: tuple[float, float]
    """From the first good frame to the decision."""


def estimated(costs: Sequence[NetworkCost], board: PiBoard, *, cores: int, frames: int, fps: float) -> BoardEstimate:
    """Return the time of a frame, and of a decision after `frames` frames of a camera with `fps` frames a second.

    `cores`: the cores that vision has, 1 to 4. `costs`: in the order in which the pipeline starts the networks.
    """
    fast, slow = (_frame_s(costs, rate / SPEEDUP[4], cores) for rate in (board.fast, board.slow))
    decisions = [(frames - 1) * max(1 / fps, frame_s) + frame_s for frame_s in (fast, slow)]
    return BoardEstimate(board.name, cores, (fast * 1e3, slow * 1e3), (decisions[0], decisions[1]))


def _frame_s(costs: Sequence[NetworkCost], rate: float, cores: int) -> float:
    """Return the seconds of one frame at a rate of one core: the detector, then the networks of the face."""
    work_s = [cost.macs / efficiency / rate for cost, efficiency in zip(costs, efficiencies(costs), strict=True)]
    by_stage = list(zip((cost.stage for cost in costs), work_s, strict=True))
    detect_s = sum(seconds for stage, seconds in by_stage if stage == "detect")
    detect_s *= 1 - DETECTOR_PARALLEL + DETECTOR_PARALLEL / cores
    return OVERHEAD * (detect_s + side_by_side_s([seconds for stage, seconds in by_stage if stage != "detect"], cores))


def side_by_side_s(work_s: Sequence[float], cores: int) -> float:
    """Return the seconds until all networks have run on so many lanes. `work_s`: of each alone on one core, in the
    order of their start.

    While n run, with two threads each, each has one n-th of the rate of the cores that are busy.
    """
    waiting, running, elapsed_s = list(work_s), list[float](), 0.0
    threads = threads_for(cores)
    while waiting or running:
        while waiting and len(running) < lanes_for(threads, cores):
            running.append(waiting.pop(0))
        busy = min(cores, threads * len(running))
        slowdown, next_s = len(running) / SPEEDUP[busy], min(running)
        elapsed_s += next_s * slowdown
        running = [remaining_s - next_s for remaining_s in running if remaining_s > next_s]
    return elapsed_s


def efficiencies(costs: Sequence[NetworkCost]) -> list[float]:
    """Return the rate of each network on this machine over that of the whole set, within `LEAST` to `MOST`."""
    whole = sum(cost.macs for cost in costs) / sum(cost.here_ms for cost in costs)
    return [min(MOST, max(LEAST, cost.macs / cost.here_ms / whole)) for cost in costs]
