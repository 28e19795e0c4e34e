"""Enrols the people of an evaluation: pictures by the rules of enrolment, and everybody in, so that N stays what it is.

The product refuses those whose face is somebody's already (`gated.gallery.enrolment`). Here they are counted, and stay,
because a gallery without the people who are hardest to tell apart would flatter every rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.evaluation.bounds import Rate
from gated.face.pipeline import FacePipeline
from gated.frame import Frame
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
    failed: Rate
    """People of whom no picture will do (FTE)."""
    alike: Rate
    """People whom the product would refuse: one of their pictures reaches the threshold with somebody else's."""

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


def enrol_all(applicants: Iterable[Applicant], dimension: int, threshold: float) -> Enrolled:
    """Enrol everybody who has a picture that will do. `threshold`: from which two faces are one person's."""
    rows: list[Row] = []
    subjects: dict[str, SubjectId] = {}
    failed: list[bool] = []
    for applicant in applicants:
        failed.append(not applicant.embeddings)
        if applicant.embeddings:
            subject = subjects[applicant.key] = SubjectId(applicant.key)
            rows += [Row(subject, applicant.household, "active", vector) for vector in applicant.embeddings]
    alike = _alike(Index(rows, dimension), rows, threshold)
    return Enrolled(rows, subjects, Rate.among(failed), Rate.among(subject in alike for subject in subjects.values()))


def _alike(index: Index, rows: Sequence[Row], threshold: float) -> set[SubjectId]:
    """Whose templates reach the threshold with somebody else's."""
    found: set[SubjectId] = set()
    for row in rows:
        nearest = [candidate for candidate in index.search(row.vector, 2) if candidate.subject != row.subject]
        if nearest and nearest[0].score >= threshold:
            found |= {row.subject, nearest[0].subject}
    return found
