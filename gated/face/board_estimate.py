"""Estimates the time of a decision on a Raspberry Pi from multiply-accumulates. Pure. `gated bench --estimate` uses it.

Nothing here was measured on a Pi. A rate is multiply-accumulates a second of four cores, for float32 networks of
MobileNet's kind. Sources, each as the slow and the fast end:

- Pi 4 (Cortex-A72, 1.8 GHz) and Zero 2 W (Cortex-A53, 1.0 GHz): ncnn's `benchmark/README.md`, four threads. MobileNet
  (569 million) takes 61.2 and 163.2 ms, MobileNetV2 (300 million) 61.9 and 147.4 ms. onnxruntime is slower than ncnn by
  1.25 (PicoDet-S) to 1.44 (YOLOX-Nano), as visionanalysis.org measured on a Pi 5 ("ncnn FP32 vs ONNX FP32").
- Pi 5 (Cortex-A76, 2.4 GHz): the same page with onnxruntime: YOLOX-Nano (540 million) 21.3 and YOLOX-Tiny (3.2 thousand
  million) 9.4 pictures a second.
- One core has 1 / 2.7 of the rate of four, two have 1.7 / 2.7 (ncnn's MobileNet on a Snapdragon 820, 96.6 and 36.1 ms).

A network's own efficiency is measured on this machine: its time for one multiply-accumulate, over that of the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Stage = Literal["detect", "pad", "embed"]

SPEEDUP = {1: 1.0, 2: 1.7, 3: 2.2, 4: 2.7}
"""Rate of so many cores over that of one."""
OVERHEAD = 1.1
"""Time of a frame over that of its models: the budget of the pipeline."""
LEAST, MOST = 0.5, 2.0
"""Limits of a network's efficiency. Beyond them this machine says nothing about a Pi."""


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
    """What one network does for a frame with one face. `here_ms`: its time on this machine."""

    name: str
    stage: Stage
    macs: float
    here_ms: float


@dataclass(frozen=True, slots=True)
class BoardEstimate:
    """An estimate, not a measurement: from the fast to the slow end of the published rates."""

    board: str
    threads: int
    frame_ms: tuple[float, float]
    decision_s: tuple[float, float]
    """From the first good frame to the decision."""


def estimated(costs: Sequence[NetworkCost], board: PiBoard, *, threads: int, frames: int, fps: float) -> BoardEstimate:
    """Return the time of a frame, and of a decision after `frames` frames of a camera with `fps` frames a second.

    `threads`: of each network, 1 to 4. PAD and embedders run side by side, so they have half of the cores each.
    """
    fast, slow = (_frame_s(costs, rate, threads) for rate in (board.fast, board.slow))
    decisions = [(frames - 1) * max(1 / fps, frame_s) + frame_s for frame_s in (fast, slow)]
    return BoardEstimate(board.name, threads, (fast * 1e3, slow * 1e3), (decisions[0], decisions[1]))


def _frame_s(costs: Sequence[NetworkCost], rate: float, threads: int) -> float:
    """Return the seconds of one frame at a rate of four cores."""
    stage_s = dict.fromkeys(("detect", "pad", "embed"), 0.0)
    for cost, efficiency in zip(costs, efficiencies(costs), strict=True):
        used = threads if cost.stage == "detect" else min(threads, 2)
        stage_s[cost.stage] += cost.macs / efficiency / (rate * SPEEDUP[used] / SPEEDUP[4])
    return OVERHEAD * (stage_s["detect"] + max(stage_s["pad"], stage_s["embed"]))


def efficiencies(costs: Sequence[NetworkCost]) -> list[float]:
    """Return the rate of each network on this machine over that of the whole set, within `LEAST` to `MOST`."""
    whole = sum(cost.macs for cost in costs) / sum(cost.here_ms for cost in costs)
    return [min(MOST, max(LEAST, cost.macs / cost.here_ms / whole)) for cost in costs]
