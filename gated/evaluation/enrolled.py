"""Enrols the people of an evaluation: pictures by the rules of enrolment, and nobody refused, so that N stays fixed.

The product refuses a face that is too similar to an enrolled one (`gated.gallery.enrolment`). Here these people are
counted and stay in the gallery. Without the most similar people, every rate would be better.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gated.composite import Composite
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.evaluation.confidence import Rate
from gated.evaluation.groups import Groups, all_of
from gated.face.pipeline import FacePipeline
from gated.frame import Frame
from gated.gallery.search import Index, Row
from gated.types import SubjectId


@dataclass(frozen=True, slots=True, eq=False)
class Applicant:
    """A person to enrol. `key`: their key in the evaluation. `embeddings`: one for each usable picture.

    `groups`: labels for the report.
    """

    key: str
    household: str
    embeddings: Sequence[Embedding]
    groups: Groups = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationGallery:
    """A gallery for an evaluation. `subjects` maps keys to the ids of the enrolled people."""

    rows: list[Row]
    subjects: dict[str, SubjectId]
    failed: Rate
    """People without a usable picture (FTE)."""
    alike: Rate
    """People whom the product would refuse: one of their pictures reaches the threshold with another person's."""
    composite: Composite | None = None
    """The parts of an embedding, with their centring."""
    failed_by_group: dict[str, Rate] = field(default_factory=dict)
    """FTE of the people with each label."""

    def index(self, dimension: int) -> Index:
        """Return the gallery as a search index."""
        return Index(self.rows, dimension, self.composite)


def portrait(pipeline: FacePipeline, frame: Frame) -> Embedding | None:
    """Return the embedding of the one person in a picture, by the rules of enrolment. None if it is not usable."""
    seen = pipeline.analyse_photo(frame, for_enrolment=True).observations
    people = [face for face in seen if face.problem != "background"]
    if len(people) != 1 or people[0].problem is not None or people[0].embedding is None:
        return None
    try:
        return check_embedding(np.frombuffer(people[0].embedding, "<f4"), pipeline.model_set.dimension)
    except EmbeddingError:
        return None


def enrol_all(
    applicants: Iterable[Applicant], dimension: int, threshold: float, composite: Composite | None = None
) -> EvaluationGallery:
    """Enrol every person with a usable picture. `threshold`: from this score on, two faces count as one person's.
    `composite`: see `Index`.
    """
    rows: list[Row] = []
    subjects: dict[str, SubjectId] = {}
    failed: list[tuple[bool, Groups]] = []
    for applicant in applicants:
        failed.append((not applicant.embeddings, applicant.groups))
        if applicant.embeddings:
            subject = subjects[applicant.key] = SubjectId(applicant.key)
            rows += [Row(subject, applicant.household, "active", vector) for vector in applicant.embeddings]
    alike = _alike(Index(rows, dimension, composite), rows, threshold)
    return EvaluationGallery(
        rows,
        subjects,
        Rate.among(has_failed for has_failed, _ in failed),
        Rate.among(subject in alike for subject in subjects.values()),
        composite,
        {
            group: Rate.among(has_failed for has_failed, groups in failed if group in groups)
            for group in all_of(groups for _, groups in failed)
        },
    )


def _alike(index: Index, rows: Sequence[Row], threshold: float) -> set[SubjectId]:
    """Return the subjects whose templates reach the threshold with another subject's."""
    found: set[SubjectId] = set()
    for row in rows:
        nearest = [candidate for candidate in index.search(row.vector, 2) if candidate.subject != row.subject]
        if nearest and nearest[0].score >= threshold:
            found |= {row.subject, nearest[0].subject}
    return found
