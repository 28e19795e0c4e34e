"""Use photos instead of the live camera: enrol a person from several photos, or report how the gate judges
one photo.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.access.face_policy import (
    NOBODYS,
    FaceDecision,
    FaceReason,
    FaceRules,
    Recognition,
    decide_visit,
    judge_look,
)
from gated.access.pad_evidence import TRUNCATED_AFTER
from gated.access.photo_face import ALL_COVERED, PhotoFace, embedding_of, photo_face
from gated.access.visits import COMPARED_CANDIDATES
from gated.camera.decoding import decoded_photo
from gated.camera.pictures import frame_of
from gated.errors import EmbeddingError, EnrolmentError, PictureError
from gated.face.pipeline import FacePipeline
from gated.face.vision_messages import Observation
from gated.gallery.enrolment import enrol, enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.search import Candidate
from gated.types import SubjectId


class RejectedPhoto(msgspec.Struct, frozen=True):
    """A photo that gave no template, and the reason."""

    photo: str
    reason: str


class PhotoEnrolment(msgspec.Struct, frozen=True):
    """The result of an enrolment from photos. `subject` is None if nobody was enrolled."""

    subject: str | None
    templates: int
    rejected: list[RejectedPhoto]
    covered: list[str] = msgspec.field(default_factory=list)
    """The enrolled photos in which mouth and nose seem covered."""


@dataclass(frozen=True, slots=True)
class EnrolmentApplicant:
    """A person to enrol, and the consent for it."""

    name: str
    household: str
    consent: str
    notice: str
    purposes: tuple[str, ...] = ()
    """The additional purposes that the person agreed to, besides recognition."""


class SimilarPerson(msgspec.Struct, frozen=True):
    """A similar enrolled person, and the similarity score."""

    subject: str
    score: float


class PhotoIdentification(msgspec.Struct, frozen=True):
    """The gate's result for the largest face in a picture."""

    outcome: str
    """One of "grant", "deny", "no_face", "poor_quality" and "attack"."""
    reason: str
    subject: str | None
    score: float | None
    threshold: float
    gallery_size: int
    candidates: list[SimilarPerson]
    pad_score: float | None
    faces: int
    timing_ms: dict[str, float]


def enrol_photos(
    pipeline: FacePipeline,
    gallery: Gallery,
    photos: Sequence[Path],
    applicant: EnrolmentApplicant,
    rules: FaceRules,
    *,
    is_paper: bool = False,
) -> PhotoEnrolment:
    """Enrol a person with one template for each usable photo. Return the result. `is_paper`: see `photo_face`.

    Each unusable photo is listed with its reason. If no photo is usable, or mouth and nose seem covered in every photo,
    no person is enrolled and `subject` is None. Raises `EnrolmentError` if consent or a name is missing, the photos
    show different people, or the face is enrolled already.
    """
    faces, rejected = _usable(pipeline, photos, rules, is_paper=is_paper)
    if not faces:
        return PhotoEnrolment(None, 0, rejected)
    done = enrol(
        gallery, applicant.name, applicant.household, [face.embedding for face in faces.values()],
        consent=applicant.consent, notice=applicant.notice, threshold=rules.threshold, at=datetime.now(UTC),
        purposes=applicant.purposes, pictures=list(faces),
    )  # fmt: skip
    return PhotoEnrolment(done.subject, done.templates, rejected, _covered(faces))


def enrol_photos_again(
    pipeline: FacePipeline,
    gallery: Gallery,
    photos: Sequence[Path],
    subject: SubjectId,
    rules: FaceRules,
    *,
    is_paper: bool = False,
) -> PhotoEnrolment:
    """Give a known person a face by the present model set. The result and `is_paper` are those of `enrol_photos`.

    Raises `EnrolmentError` for a person without consent, and for a person with a face by this model set. Raises it also
    if the photos show different people or another enrolled person.
    """

    def refuse_second() -> None:
        """Raise `EnrolmentError` if the person has a face by this model set."""
        if gallery.has_face(subject):
            raise EnrolmentError(f"{subject}: has a face by this model set already; nothing was changed")

    refuse_second()
    faces, rejected = _usable(pipeline, photos, rules, is_paper=is_paper)
    if not faces:
        return PhotoEnrolment(None, 0, rejected)
    done = enrol_known(
        gallery, subject, [face.embedding for face in faces.values()], threshold=rules.threshold,
        at=datetime.now(UTC), before=refuse_second, is_counted=True, pictures=list(faces),
    )  # fmt: skip
    return PhotoEnrolment(done.subject, done.templates, rejected, _covered(faces))


def _usable(
    pipeline: FacePipeline, photos: Sequence[Path], rules: FaceRules, *, is_paper: bool
) -> tuple[dict[str, PhotoFace], list[RejectedPhoto]]:
    """Return the faces of the usable photos, and the other photos with the reason.

    No photo is usable if mouth and nose seem covered in every one: such a face matches others too easily.
    """
    faces: dict[str, PhotoFace] = {}
    rejected: list[RejectedPhoto] = []
    for photo in photos:
        try:
            faces[str(photo)] = photo_face(pipeline, photo, rules, is_paper=is_paper)
        except (PictureError, EmbeddingError) as error:
            rejected.append(RejectedPhoto(str(photo), str(error).removeprefix(f"{photo}: ")))
    covered = _covered(faces)
    if len(covered) == len(faces):
        return {}, [*rejected, *(RejectedPhoto(photo, ALL_COVERED) for photo in covered)]
    return faces, rejected


def _covered(faces: Mapping[str, PhotoFace]) -> list[str]:
    return [photo for photo, face in faces.items() if face.is_covered]


def identify_photo(
    pipeline: FacePipeline,
    gallery: Gallery,
    photo: Path,
    rules: FaceRules,
    own: Mapping[SubjectId, float] = NOBODYS,
) -> PhotoIdentification:
    """Return the gate's result for the largest face in a picture, as if every frame were this picture. `own`: people
    with a higher threshold of their own. The result has the threshold for the most similar person.

    Raises `PictureError` if the file is not a picture.
    """
    frame = frame_of(decoded_photo(photo), 0.0, 0)
    analysis = pipeline.analyse_photo(frame)
    timing = dict(analysis.timing_ms)
    largest = analysis.observations[0] if analysis.observations else None
    began = time.perf_counter()
    near: tuple[Candidate, ...] = ()
    if largest is not None and largest.embedding is not None:
        near = gallery.search(embedding_of(largest, pipeline), COMPARED_CANDIDATES)
    timing["search"] = (time.perf_counter() - began) * 1e3
    decision = None
    if largest is not None and largest.problem is None:
        verdict = judge_look(near, largest.pad_score, rules, own=own)
        looks = [verdict] * (TRUNCATED_AFTER * rules.frames)
        decision = decide_visit(looks, 0.0, True, rules, recognition=Recognition(verdict, looks))
    outcome, reason = outcome_of(largest, decision)
    return PhotoIdentification(
        outcome=outcome,
        reason=reason,
        subject=decision.subject if decision is not None and decision.grant else None,
        score=near[0].score if near else None,
        threshold=round(max(rules.threshold, own.get(near[0].subject, 0.0) if near else 0.0), 4),
        gallery_size=gallery.size,
        candidates=[SimilarPerson(c.subject, round(c.score, 4)) for c in near],
        pad_score=None if largest is None else largest.pad_score,
        faces=len(analysis.observations),
        timing_ms={stage: round(ms, 3) for stage, ms in timing.items()},
    )


def outcome_of(face: Observation | None, decision: FaceDecision | None) -> tuple[str, str]:
    """Return the outcome of an identification and its reason."""
    if face is None:
        return "no_face", "no_face"
    if decision is None:
        return "poor_quality", face.problem or "poor_quality"
    if decision.reason is FaceReason.ATTACK:
        return "attack", decision.reason
    return "grant" if decision.grant else "deny", decision.reason
