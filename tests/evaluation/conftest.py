"""A scripted vision, and people with exact scores."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gated.access.face_policy import FaceReason, FaceRules
from gated.composite import Composite
from gated.evaluation.visit_runs import Judge, Visit, VisitOutcome
from gated.face.pipeline import PhotoAnalysis
from gated.face.vision_messages import Observation, TrackEnded, VisionReady
from gated.frame import Frame
from gated.gallery.search import Index, Row

DIMENSION = 64
LORES = np.zeros((6, 4), np.uint8)
GOOD = 0.9


@dataclass(frozen=True)
class Look:
    """The content of one frame."""

    vector: np.ndarray | None
    pad_score: float | None = GOOD
    problem: str | None = None


class Film:
    """A scripted pipeline: one face at a time, on a new track after a second out of view."""

    def __init__(self) -> None:
        self.looks: list[Look | None] = []
        self.track, self.seen_at, self.frames_seen = 0, -math.inf, []

    def frames(self, *looks: Look | None):
        """Frames that show these, 0.1 s apart; None is an empty view."""
        first = len(self.looks)
        self.looks += looks
        codes = range(first, len(self.looks))
        return [Frame(np.array([[[c // 256, c % 256, 0]]], np.uint8), LORES, i / 10, i) for i, c in enumerate(codes)]

    def observe(self, frame: Frame):
        self.frames_seen.append(frame)
        look = self.looks[int(frame.main[0, 0, 0]) * 256 + int(frame.main[0, 0, 1])]
        seen: list[Observation | TrackEnded] = []
        if self.track and frame.at - self.seen_at > 1.0:
            seen.append(TrackEnded(self.track, frame.at))
            self.seen_at = -math.inf
        if look is None:
            return seen
        if self.seen_at == -math.inf:
            self.track += 1
        self.seen_at = frame.at
        data = None if look.vector is None else np.asarray(look.vector, "<f4").tobytes()
        box = (0.0, 0.0, 10.0, 10.0)
        return [
            *seen,
            Observation(self.track, frame.number, frame.at, box, 0.9, None, look.problem, look.pad_score, data),
        ]


def axis(number: int) -> np.ndarray:
    return np.eye(DIMENSION, dtype=np.float32)[number]


PEOPLE = {"ann": 0, "bob": 1, "cid": 2}
"""Each person has an axis and a household of their own."""


@pytest.fixture
def film():
    return Film()


@pytest.fixture
def look():
    """`look(0.8, "ann")` has exactly that cosine with Ann's template. The rest is orthogonal to every template."""

    def make(score=0.9, who="ann", pad_score=GOOD, problem=None):
        rest = math.sqrt(max(0.0, 1 - score * score))
        return Look((score * axis(PEOPLE[who]) + rest * axis(40)).astype(np.float32), pad_score, problem)

    return make


@pytest.fixture
def unseen():
    """A face that is not good enough to be searched for."""
    return Look(None, None, "blurred")


@pytest.fixture
def odd_look():
    def make(vector, pad_score=GOOD):
        return Look(np.asarray(vector), pad_score)

    return make


@pytest.fixture
def rules():
    return FaceRules(threshold=0.5, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)


@pytest.fixture
def index():
    return Index([Row(name, name, "active", axis(place)) for name, place in PEOPLE.items()], DIMENSION)


@pytest.fixture
def visit():
    def make(frames, subject=None, attack=None, groups=()):
        return Visit(subject, frozenset(groups), attack, frames)

    return make


BLANK = VisitOutcome(None, frozenset(), None, FaceReason.UNKNOWN, None, True, True, -math.inf, -math.inf)


@pytest.fixture
def outcome():
    """A function that makes an outcome. Default: a stranger who was denied."""

    def make(**parts):
        groups = frozenset(parts.pop("groups", ()))
        return replace(BLANK, groups=groups, **parts)

    return make


@pytest.fixture
def ready():
    return VisionReady("tiny", "demo", "axes", "ab" * 32, DIMENSION, 0.5, 0.5)


class Colours:
    """A pipeline that identifies people by the colour of a picture. Black has no face, a wide picture has two."""

    model_set = SimpleNamespace(dimension=DIMENSION)
    composite = Composite.single(DIMENSION)

    def __init__(self) -> None:
        self.photos, self.seen_at = 0, -math.inf

    def analyse_photo(self, frame: Frame, for_enrolment: bool = False) -> PhotoAnalysis:
        self.photos += 1
        return PhotoAnalysis(self._faces(frame, 0), {})

    def observe(self, frame: Frame):
        return self._faces(frame, round(frame.at // 5))

    def _faces(self, frame: Frame, track: int) -> list[Observation]:
        colour = frame.main.reshape(-1, 3).mean(0)
        if colour.max() < 20:
            return []
        vector = np.concatenate([colour, np.zeros(DIMENSION - 3)])
        data = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
        box = (0.0, 0.0, 10.0, 10.0)
        faces = [Observation(track, frame.number, frame.at, box, 0.9, None, None, GOOD, data)]
        if frame.main.shape[1] > 100:
            faces.append(Observation(track + 1, frame.number, frame.at, box, 0.9, None, None, GOOD, data))
        return faces


@pytest.fixture
def colours():
    return Colours()


@pytest.fixture
def paint(tmp_path):
    """A function that writes a picture of one colour and returns its path."""

    def make(name: str, colour: tuple[int, int, int], width: int = 40) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, 40), colour).save(path)
        return path

    return make


def evaluate_visits(pipeline, index, rules, visits):
    """Return the outcome of each visit, in order."""
    judge = Judge(pipeline, index, rules)
    return [judge.outcome(visit) for visit in visits]
