"""Enrols the people of an evaluation as an operator would: the product's own rules refuse, and the refused are FTE."""

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, EnrolmentError
from gated.evaluation.bounds import Rate
from gated.face.messages import VisionReady
from gated.face.pipeline import FacePipeline
from gated.frame import Frame
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.gallery.search import Index, Row
from gated.types import SubjectId


@dataclass(frozen=True, slots=True, eq=False)
class Applicant:
    """Somebody to enrol: `key` is who they are to the evaluation; one embedding for each picture that will do."""

    key: str
    household: str
    embeddings: Sequence[Embedding]


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """A gallery for an evaluation. `subjects` leads from keys to the ids of those who could be enrolled."""

    rows: list[Row]
    subjects: dict[str, SubjectId]
    failure_to_enrol: Rate

    def index(self, dimension: int) -> Index:
        """The gallery, ready to be searched."""
        return Index(self.rows, dimension)


def portrait(pipeline: FacePipeline, frame: Frame) -> Embedding | None:
    """The embedding of the one person in a picture, by the rules of enrolment; None where the picture will not do."""
    seen = pipeline.analyse_photo(frame, for_enrolment=True).observations
    people = [face for face in seen if face.problem != "background"]
    if len(people) != 1 or people[0].problem is not None or people[0].embedding is None:
        return None
    try:
        return check_embedding(np.frombuffer(people[0].embedding, "<f4"), pipeline.model_set.embedder.dimension)
    except EmbeddingError:
        return None


def enrol_all(applicants: Iterable[Applicant], ready: VisionReady, threshold: float) -> Enrolled:
    """Enrol one after the other in a gallery of their own, which is gone when this returns.

    `threshold`: the score from which two faces are one person's. Whom `enrol` refuses (no picture will do, the pictures
    do not agree, the face is somebody's already) is counted.
    """
    rows: list[Row] = []
    subjects: dict[str, SubjectId] = {}
    refused: list[bool] = []
    with (
        tempfile.TemporaryDirectory(prefix="gated-evaluate-") as folder,
        closing(Gallery.open(Path(folder), "evaluation", ready.embedder_sha256, ready.dimension)) as gallery,
    ):
        for applicant in applicants:
            subject = _enrol(gallery, applicant, threshold)
            refused.append(subject is None)
            if subject is not None:
                subjects[applicant.key] = subject
                rows += [Row(subject, applicant.household, "active", vector) for vector in applicant.embeddings]
    return Enrolled(rows, subjects, Rate.among(refused))


def _enrol(gallery: Gallery, applicant: Applicant, threshold: float) -> SubjectId | None:
    """The new id, or None where the product refuses. The texts are what it asks for, and end with the gallery."""
    try:
        return enrol(
            gallery, "somebody", applicant.household, applicant.embeddings,
            consent="evaluation", notice="evaluation", threshold=threshold, at=datetime.now(UTC),
        ).subject  # fmt: skip
    except EnrolmentError:
        return None
