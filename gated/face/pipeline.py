"""The path of a frame: motion, detect, track, quality, align, PAD and embed. No names of people are known here.

The vision process runs it on camera frames. Enrolment, the bench and the doctor run it on single pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from msgspec.structs import replace

from gated.config import FaceSettings, ModelSettings
from gated.face.colour import colour_of
from gated.face.covered import CoverCheck
from gated.face.detect import Detector, Face
from gated.face.embed import Embedder
from gated.face.framing import is_cut_off, is_too_near
from gated.face.lanes import MOST, Lanes, available_cores, lanes_for, threads_for
from gated.face.manifest import ModelSet, folder_of, load_set
from gated.face.motion import MotionGate
from gated.face.onnx import Model
from gated.face.pad import PadNet, joined_score
from gated.face.plane_motion import PlaneMotion
from gated.face.quality import measure, problems_of
from gated.face.sample import Planes
from gated.face.track import Tracker
from gated.face.vision_messages import Observation, Problem, TrackEnded, VisionReady, ready_with
from gated.frame import Frame, luma
from gated.types import TrackId

STAGES = ("motion", "detect", "quality", "pad", "embed")
"""The stages that are timed. "quality" covers alignment and the measures on the crop. "embed" is the wait for the
embedders, and "pad" the wait for PAD after it, since both run in parallel.
"""


class Stopwatch:
    """Milliseconds by stage of the last frame."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Reset all stages and start the clock."""
        self.ms = dict.fromkeys(STAGES, 0.0)
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last call to a stage."""
        now = perf_counter()
        self.ms[stage] += (now - self._last) * 1e3
        self._last = now


@dataclass(frozen=True, slots=True)
class PhotoAnalysis:
    """The analysis of one picture: its faces, largest first, and the milliseconds by stage."""

    observations: list[Observation]
    timing_ms: dict[str, float]


class FacePipeline:
    """One model set, ready to run. For one thread only: crops and tensors are reused."""

    def __init__(self, model_set: ModelSet, models: dict[str, Model], settings: FaceSettings, lanes: int = 1) -> None:
        """`models`: the verified models of the set, by file name. `lanes`: networks of a face that run at a time."""
        self.model_set, self.models, self._settings = model_set, models, settings
        detector = model_set.detector
        self.detector = Detector(models[detector.file], detector, settings.detection_score, settings.max_faces)
        by_cost = sorted(model_set.pad, key=lambda entry: -(entry.macs or 0))  # a long one that begins last is a wait
        self.pad_nets = [PadNet(models[entry.file], entry) for entry in by_cost]
        self.embedders = [Embedder(models[entry.file], entry) for entry in model_set.embedders]
        self.composite = model_set.composite
        self._lanes = Lanes(lanes)
        self._tracker = Tracker(model_set.threshold, self.composite.centring.score)
        self.motion, self.watch = MotionGate(), Stopwatch()
        self._plane, self._cover = PlaneMotion(), CoverCheck()
        self.has_detected = False
        """Whether faces were detected in the last frame. False when the motion gate skipped it."""

    def ready(self) -> VisionReady:
        """Return the facts about the models that the brain needs."""
        return ready_with(self.model_set)

    def observe(self, frame: Frame) -> list[Observation | TrackEnded]:
        """Return the observations of one frame, and the tracks that ended since the frame before.

        Raises `ModelError` or `EmbeddingError` when a model fails or gives numbers that are not finite.
        """
        self.watch.start()
        self.has_detected = self.motion.wants(luma(frame.lores), frame.at, self._tracker.alive)
        self.watch.lap("motion")
        if not self.has_detected:
            return []
        faces = self.detect(frame)
        tracks, ended = self._tracker.follow([face.box for face in faces], frame.at)
        for end in ended:
            self._plane.end(TrackId(end.track))
        seen: list[Observation | TrackEnded] = list(ended)
        for observation in self._analyse_all(frame, faces, tracks):
            plane = self._plane.follow(TrackId(observation.track), observation.box, frame)
            self.watch.lap("pad")
            seen += self._on_its_track(replace(observation, plane_log_odds=plane), frame.at)
        return seen

    def analyse_photo(self, frame: Frame, for_enrolment: bool = False) -> PhotoAnalysis:
        """Analyse one picture, without motion and tracks: track 0 is its largest face. Raises as `observe` does."""
        self.watch.start()
        faces = self.detect(frame)
        tracks = [TrackId(i) for i in range(len(faces))]
        return PhotoAnalysis(list(self._analyse_all(frame, faces, tracks, for_enrolment)), self.watch.ms)

    def detect(self, frame: Frame) -> list[Face]:
        """Return the faces in a frame, largest first."""
        faces = self.detector.detect(frame)
        self.watch.lap("detect")
        return faces

    def analyse(
        self, frame: Frame, face: Face, track: TrackId, relative_size: float = 1.0, for_enrolment: bool = False
    ) -> Observation:
        """Return the observation of one face. PAD and embedding run only if the quality is good enough.

        `relative_size`: its size over that of the largest face in view. In an enrolment picture the PAD score is None
        if no PAD net can judge the face. In other pictures such a face is too near.
        """
        seen = Observation(track, frame.number, frame.at, face.box, face.score)
        crop = self.embedders[0].align(frame.main, face.landmarks)
        if crop is None:
            return replace(seen, problem="turned_away")
        quality = replace(measure(face.landmarks, crop), colour=colour_of(frame, face.box))
        is_near = (is_cut_off if for_enrolment else is_too_near)(face.box, frame.main.shape[1::-1])
        problems = problems_of(quality, relative_size, self._settings, for_enrolment, is_near=is_near)
        self.watch.lap("quality")
        if problems:
            return replace(seen, quality=quality, problem=problems[0])
        voting = [net for net in self.pad_nets if net.votes(frame.main, face.box)]
        if not voting and not for_enrolment:
            return replace(seen, quality=quality, problem="too_near")
        return self._scored(replace(seen, quality=quality), frame, face, crop, voting)

    def _scored(
        self, seen: Observation, frame: Frame, face: Face, crop: Planes, voting: Sequence[PadNet]
    ) -> Observation:
        """Return the observation with its embedding and PAD score. The networks run side by side, embedders first."""
        first, *others = self.embedders
        try:
            waits = [self._lanes.start(partial(first.embed, crop))]
            waits += [self._lanes.start(partial(each.part, frame.main, face.landmarks)) for each in others]
            votes = [self._lanes.start(partial(net.score, frame.main, face.box)) for net in voting]
            is_covered = self._cover.is_covered(frame.main, face.landmarks)
            embedding = self.composite.join([part() for part in waits])
            self.watch.lap("embed")
            pad = joined_score(voting, [vote() for vote in votes])
        finally:
            self._lanes.finish()
        self.watch.lap("pad")
        found = embedding.astype("<f4").tobytes()
        return replace(seen, pad_score=pad, embedding=found, is_covered=is_covered)

    def photo_problems(self, face: Observation, frame: Frame) -> tuple[Problem, ...]:
        """Return all problems of the largest face in an enrolment picture, the most helpful advice first."""
        if face.quality is None:
            return () if face.problem is None else (face.problem,)
        is_near = is_cut_off(face.box, frame.main.shape[1::-1])
        return problems_of(face.quality, 1.0, self._settings, for_enrolment=True, is_near=is_near)

    def _analyse_all(
        self, frame: Frame, faces: list[Face], tracks: list[TrackId], for_enrolment: bool = False
    ) -> Iterator[Observation]:
        """Yield the observation of every face of a frame. Relative sizes refer to the largest."""
        for face, track in zip(faces, tracks, strict=True):
            yield self.analyse(frame, face, track, face.size / faces[0].size, for_enrolment)

    def _on_its_track(self, seen: Observation, now: float) -> list[Observation | TrackEnded]:
        """Assign an observation to the track of its embedding. The end of a replaced track comes first."""
        if seen.embedding is None:
            return [seen]
        track, ended = self._tracker.confirm(TrackId(seen.track), np.frombuffer(seen.embedding, "<f4"), now)
        if ended is None:
            return [seen]
        self._plane.renumber(TrackId(seen.track), track)
        return [ended, replace(seen, track=track, plane_log_odds=None)]


def load_pipeline(
    models: ModelSettings, face: FaceSettings, cores: int | None = None, *, plain_layout: bool = False
) -> FacePipeline:
    """Load the pipeline of the model set in the settings. Raises `ModelError` when a model cannot be verified.

    The detector runs alone, so it has a thread for each core. `cores`: None for those of this machine. `plain_layout`:
    as in `Model.load`.
    """
    model_set = load_set(models)
    folder, cores = folder_of(models, model_set), cores or available_cores()
    for_each = face.threads or threads_for(cores)
    threads = {each.file: for_each for each in model_set.models}
    threads[model_set.detector.file] = face.threads or min(cores, MOST)
    proved = {
        each.file: Model.load(each, folder, threads[each.file], plain_layout=plain_layout) for each in model_set.models
    }
    return FacePipeline(model_set, proved, face, lanes_for(for_each, cores))
