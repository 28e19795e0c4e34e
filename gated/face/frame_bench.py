"""Measures what a frame costs here, and our share of it: the pipeline beside the bare models, on the same frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, thread_time

import numpy as np
from numpy.typing import NDArray

from gated.errors import ModelError
from gated.face.board_estimate import BOARDS, BoardEstimate, NetworkCost, Stage, estimated
from gated.face.detect import Face
from gated.face.model_entry import ModelEntry
from gated.face.onnx import Model
from gated.face.pipeline import STAGES, FacePipeline
from gated.frame import Frame, i420_from_rgb, luma
from gated.types import TrackId


@dataclass(frozen=True, slots=True)
class FrameBench:
    """Medians over the rounds, in ms. `ratio` is the total over the bare models, for a frame with `faces` faces.

    The bare models run one after the other in the same sessions. The pipeline may run independent models side by side.
    """

    stages_ms: dict[str, float]
    total_ms: float
    bare_ms: float
    ratio: float
    rounds: int
    faces: int
    synthetic: bool
    """True if a face was assumed, because no usable one was given. Then only the times mean anything."""


def bench(pipeline: FacePipeline, frame: Frame | None = None, rounds: int = 100) -> FrameBench:
    """Time the pipeline and its bare models in turn on one frame. Noise of the machine then affects both alike.

    Without a frame a synthetic one is used. Raises `ModelError` as the pipeline does.
    """
    shown = frame or synthetic_frame()
    found = [face for face in pipeline.detect(shown) if _passes(pipeline, shown, face)] if frame else []
    faces = found or [assumed_face(pipeline, shown)]
    _once(pipeline, shown, faces), _bare(pipeline, len(faces))  # warm
    laps = [(*_once(pipeline, shown, faces), _bare(pipeline, len(faces))) for _ in range(rounds)]
    total, bare = median(lap[1] for lap in laps), median(lap[2] for lap in laps)
    stages = {stage: median(lap[0][stage] for lap in laps) for stage in STAGES}
    ratio = median(lap[1] / lap[2] for lap in laps)
    return FrameBench(stages, total, bare, ratio, rounds, len(faces), not found)


def _passes(pipeline: FacePipeline, frame: Frame, face: Face) -> bool:
    """Return whether a face gets as far as an embedding."""
    return pipeline.analyse(frame, face, TrackId(0)).embedding is not None


def _once(pipeline: FacePipeline, frame: Frame, faces: list[Face]) -> tuple[dict[str, float], float]:
    """Return the milliseconds by stage, and in all, of one frame with these faces."""
    start = perf_counter()
    pipeline.watch.start()
    pipeline.motion.wants(luma(frame.lores), start, tracking=True)
    pipeline.watch.lap("motion")
    pipeline.detect(frame)
    for face in faces:
        pipeline.analyse(frame, face, TrackId(0))
    return pipeline.watch.ms, (perf_counter() - start) * 1e3


def _bare(pipeline: FacePipeline, faces: int) -> float:
    """Return the milliseconds of the bare models: the same sessions and inputs, run as often as on the last frame."""
    detector = pipeline.detector
    first, *second = [(detector.model, tensor) for tensor in detector.tensors]
    nets = [
        *((net.model, net.tensor) for net in pipeline.pad_nets),
        *((embedder.model, embedder.tensor) for embedder in pipeline.embedders),
    ]
    chosen = [first, *second * detector.second_looks, *nets * faces]
    runs = [(model.session.run, {model.input_name: tensor.array}) for model, tensor in chosen]
    start = perf_counter()
    for run, inputs in runs:
        run(None, inputs)
    return (perf_counter() - start) * 1e3


def network_costs(pipeline: FacePipeline, rounds: int = 20) -> list[NetworkCost]:
    """Time each network alone. Return its work for a frame with one face, in the order of the pipeline.

    The time is the processor's, the shortest of all rounds: other programs only make it longer. The networks take
    turns. Load the pipeline with one thread and the plain layout for this. Raises `ModelError` if the manifest has no
    `macs` for a network.
    """
    bench(pipeline, rounds=1)  # fills the inputs
    detector = pipeline.detector
    runs: list[tuple[Stage, Model, NDArray[np.float32]]] = [
        *(("detect", detector.model, tensor.array) for tensor in detector.tensors),
        *(("embed", each.model, each.tensor.array) for each in pipeline.embedders),
        *(("pad", net.model, net.tensor.array) for net in pipeline.pad_nets),
    ]
    macs = [_macs(model.entry, array) for _, model, array in runs]
    laps = [[_processor_ms(model, array) for _, model, array in runs] for _ in range(rounds)]
    return [
        NetworkCost(model.entry.file, stage, count, min(times))
        for (stage, model, _), count, times in zip(runs, macs, zip(*laps, strict=True), strict=True)
    ]


def _processor_ms(model: Model, array: NDArray[np.float32]) -> float:
    """Return the milliseconds that the processor works on one run."""
    start = thread_time()
    model.session.run(None, {model.input_name: array})
    return (thread_time() - start) * 1e3


def _macs(entry: ModelEntry, array: NDArray[np.float32]) -> float:
    """Return the multiply-accumulates for this input. A network may have inputs of several sizes."""
    if entry.macs is None:
        raise ModelError(f"{entry.file}: the manifest has no macs for it, so its time on a Pi cannot be estimated")
    (rows, columns), (width, height) = array.shape[2:], entry.input.size
    return float(entry.macs * rows * columns / (width * height))


def estimates(costs: Sequence[NetworkCost], frames: int, fps: float) -> list[BoardEstimate]:
    """Return the estimate for each board: with all four cores for vision, and with two."""
    return [estimated(costs, board, cores=cores, frames=frames, fps=fps) for board in BOARDS for cores in (4, 2)]


def synthetic_frame() -> Frame:
    """Return a frame of 1280 x 960 px with waves, noise and colours."""
    row, column = np.arange(960)[:, None, None], np.arange(1280)[None, :, None]
    grain = np.random.default_rng(2).integers(0, 40, (960, 1280, 3))
    colours = np.array([25.0, 0.0, -25.0]) * np.sin(column / 211)
    main = (108 + 50 * np.sin(row / 31 + column / 53) + grain + colours).astype(np.uint8)
    return Frame(main, i420_from_rgb(main[::4, ::4]), at=0.0, number=0)


def assumed_face(pipeline: FacePipeline, frame: Frame) -> Face:
    """Return a frontal face in the middle of the frame, with 70 px between the eyes."""
    template = np.array(pipeline.model_set.embedders[0].landmarks, np.float32)
    scale = 70 / float(np.hypot(*(template[1] - template[0])))
    middle = np.array([frame.main.shape[1] / 2, frame.main.shape[0] / 2], np.float32)
    landmarks = (template - template.mean(axis=0)) * np.float32(scale) + middle
    return Face((float(middle[0]) - 80, float(middle[1]) - 110, 160.0, 210.0), landmarks, 1.0)
