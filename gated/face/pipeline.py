"""The way of a frame, in one page: motion, detect, track, quality, align, PAD and embed. No name is known here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from msgspec.structs import replace

from gated.config import FaceSettings, ModelSettings
from gated.face.align import aligned, similarity
from gated.face.detect import Detector, Face
from gated.face.embed import Embedder
from gated.face.manifest import ModelSet, folder_of, load_set
from gated.face.messages import Observation, TrackEnded, VisionReady
from gated.face.motion import MotionGate
from gated.face.onnx import Model
from gated.face.pad import PadNet, pad_score
from gated.face.quality import measure, problem_of
from gated.face.sample import Sampler
from gated.face.track import Tracker
from gated.frame import Frame, luma
from gated.types import TrackId

STAGES = ("motion", "detect", "quality", "pad", "embed")
"""What the time of a frame is told by; "quality" is alignment and the measures on the crop, "pad" the wait that is left
after "embed", beside which it runs."""


class Stopwatch:
    """Milliseconds by stage of the frame that was looked at last."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new frame begins."""
        self.ms = dict.fromkeys(STAGES, 0.0)
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """A stage has ended."""
        now = perf_counter()
        self.ms[stage] += (now - self._last) * 1e3
        self._last = now


@dataclass(frozen=True, slots=True)
class PhotoAnalysis:
    """What one picture showed: its faces, largest first, and the milliseconds by stage."""

    observations: list[Observation]
    timing_ms: dict[str, float]


class FacePipeline:
    """One model set, ready to work. For one thread: the crops and tensors are used again and again."""

    def __init__(self, model_set: ModelSet, models: dict[str, Model], settings: FaceSettings) -> None:
        """`models`: by file name, those of the set, proved."""
        self.model_set, self.models, self._settings = model_set, models, settings
        detector, embedder = model_set.detector, model_set.embedder
        self.detector = Detector(models[detector.file], detector, settings.detection_score, settings.max_faces)
        self.pad_nets = [PadNet(models[entry.file], entry) for entry in model_set.pad]
        self.embedder = Embedder(models[embedder.file], embedder)
        self._aligner = Sampler(embedder.input.size)
        self._beside = ThreadPoolExecutor(1, "pad")
        self._tracker = Tracker(embedder.threshold)
        self.motion, self.watch = MotionGate(), Stopwatch()
        self.has_looked = False
        """Whether the last frame was worth a look; a street where nothing moves mostly is not."""

    def ready(self) -> VisionReady:
        """What the brain must know of the models."""
        chosen = self.model_set
        return VisionReady(
            model_set=chosen.name,
            grade=chosen.grade,
            embedder=chosen.embedder_name,
            embedder_sha256=chosen.embedder.sha256,
            dimension=chosen.embedder.dimension,
            threshold=chosen.embedder.threshold,
            pad_threshold=chosen.pad_threshold,
        )

    def observe(self, frame: Frame) -> list[Observation | TrackEnded]:
        """What is new since the frame before: faces that are seen, and tracks that have ended.

        Raises `ModelError` or `EmbeddingError` where a model does not give what it proved that it gives.
        """
        self.watch.start()
        self.has_looked = self.motion.wants(luma(frame.lores), frame.at, self._tracker.alive)
        self.watch.lap("motion")
        if not self.has_looked:
            return []
        faces = self.detect(frame)
        tracks, ended = self._tracker.follow([face.box for face in faces], frame.at)
        seen: list[Observation | TrackEnded] = list(ended)
        for observation in self._analyse_all(frame, faces, tracks):
            seen += self._recognised(observation, frame.at)
        return seen

    def analyse_photo(self, frame: Frame, for_enrolment: bool = False) -> PhotoAnalysis:
        """One picture by itself, without motion and tracks: track 0 is its largest face. Raises as `observe` does."""
        self.watch.start()
        faces = self.detect(frame)
        tracks = [TrackId(i) for i in range(len(faces))]
        return PhotoAnalysis(list(self._analyse_all(frame, faces, tracks, for_enrolment)), self.watch.ms)

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, largest first."""
        faces = self.detector.detect(frame)
        self.watch.lap("detect")
        return faces

    def analyse(
        self, frame: Frame, face: Face, track: TrackId, relative_size: float = 1.0, for_enrolment: bool = False
    ) -> Observation:
        """All that is to be known of one face; PAD and embedding only where its quality is good enough.

        `relative_size`: its size over that of the largest face in view.
        """
        seen = Observation(track, frame.number, frame.at, face.box, face.score)
        upright = similarity(face.landmarks, self.model_set.embedder.landmarks)
        if upright is None:
            return replace(seen, problem="turned_away")
        crop = aligned(frame.main, upright, self._aligner)
        quality = measure(face.landmarks, crop)
        problem = problem_of(quality, relative_size, self._settings, for_enrolment)
        self.watch.lap("quality")
        if problem:
            return replace(seen, quality=quality, problem=problem)
        # Nets this small gain nothing from a second thread each, and a third of their time from running side by side.
        scoring = self._beside.submit(pad_score, self.pad_nets, frame.main, face.box)
        try:
            embedding = self.embedder.embed(crop)
            self.watch.lap("embed")
        finally:
            genuine = scoring.result()
        self.watch.lap("pad")
        return replace(seen, quality=quality, pad_score=genuine, embedding=embedding.astype("<f4").tobytes())

    def _analyse_all(
        self, frame: Frame, faces: list[Face], tracks: list[TrackId], for_enrolment: bool = False
    ) -> Iterator[Observation]:
        """Every face of a frame, each beside the largest."""
        for face, track in zip(faces, tracks, strict=True):
            yield self.analyse(frame, face, track, face.size / faces[0].size, for_enrolment)

    def _recognised(self, seen: Observation, now: float) -> list[Observation | TrackEnded]:
        """An observation on the track that its embedding belongs to, after the end of the one it does not belong to."""
        if seen.embedding is None:
            return [seen]
        track, ended = self._tracker.recognise(TrackId(seen.track), np.frombuffer(seen.embedding, "<f4"), now)
        return [ended, replace(seen, track=track)] if ended else [seen]


def load_pipeline(models: ModelSettings, face: FaceSettings) -> FacePipeline:
    """The pipeline of the model set that the settings name. Raises `ModelError` where a model does not prove itself."""
    model_set = load_set(models)
    folder = folder_of(models, model_set)
    proved = {entry.file: Model.load(entry, folder, face.threads) for entry in model_set.models}
    return FacePipeline(model_set, proved, face)
