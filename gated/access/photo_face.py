"""The one usable face of an enrolment photo, or the reasons against it. Used by `photos`.

A photo is enrolled upright or not at all. A photo that PAD classifies as a picture of a picture is refused, unless the
registrar scans paper photos.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gated.access.face_policy import FaceRules
from gated.camera.decoding import decoded_photo
from gated.camera.pictures import frame_of
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, PictureError
from gated.face.pipeline import FacePipeline
from gated.face.upright import TURNS, upright_turn
from gated.face.vision_messages import Observation
from gated.frame import Frame, Pixels

PHOTO_ADVICE = {
    "too_small": "the face is too small; go closer, or use a larger picture",
    "too_near": "the face is cut off or fills the picture; take the photo from further away",
    "blurred": "the face is blurred; hold still, and wipe the lens",
    "too_dark": "the face is too dark; find more light",
    "too_bright": "the face is too bright; find softer light",
    "uneven_light": "one side of the face is much darker; turn towards the light",
    "turned_away": "the face is turned away; take the photo from the front",
    "no_colour": "the picture has no colour; take a photo in colour",
    "background": "the face is in the background; take a photo of one person alone",
}
"""Advice for each value of `Observation.problem`."""
NOT_UPRIGHT = (
    "the upright direction of the face is unclear; turn the picture upright and save it, or take another photo"
)
PRINT = "the picture seems to show a print or a screen; take a photo of the person, or use --paper for a scan"
ALL_COVERED = "mouth and nose are covered in every photo; add a photo without a mask"
COVERED = "mouth and nose seem covered; the photo was enrolled, and one without a mask is better"
NO_SURROUNDINGS = (
    "the face fills the picture, so PAD cannot distinguish a print from a person; take the photo from further away. "
    "If it is a passport photo that you trust, use --paper"
)


@dataclass(frozen=True, slots=True)
class PhotoFace:
    """The embedding of a photo's face, and whether mouth and nose seem covered."""

    embedding: Embedding
    is_covered: bool


def photo_face(pipeline: FacePipeline, photo: Path, rules: FaceRules, *, is_paper: bool = False) -> PhotoFace:
    """Return the only face in a photo, turned upright.

    `is_paper`: the registrar answers for a scan or a photo of a paper photo, so PAD does not judge it.
    Raises `PictureError` with advice if there is no such face, and `EmbeddingError`.
    """
    frame = upright(pipeline, decoded_photo(photo))
    if frame is None:
        raise PictureError(f"{photo}: {NOT_UPRIGHT}")
    seen = pipeline.analyse_photo(frame, for_enrolment=True).observations
    people = [face for face in seen if face.problem != "background"]
    if not people:
        raise PictureError(f"{photo}: no face was found; take a photo of the face from the front")
    if len(people) > 1:
        raise PictureError(f"{photo}: {len(people)} faces; take a photo of one person alone")
    if people[0].problem is not None:
        raise PictureError(f"{photo}: {advice(pipeline.photo_problems(people[0], frame))}")
    problem = None if is_paper else pad_problem(people[0].pad_score, rules.pad_threshold)
    if problem is not None:
        raise PictureError(f"{photo}: {problem}")
    return PhotoFace(embedding_of(people[0], pipeline), people[0].is_covered)


def upright(pipeline: FacePipeline, rgb: Pixels) -> Frame | None:
    """Return the picture as a frame with its faces upright. None if the upright direction is unclear."""
    first = frame_of(rgb, 0.0, 0)
    turned = [first, *(frame_of(np.rot90(first.main, turn), 0.0, 0) for turn in range(1, TURNS))]
    turn = upright_turn(pipeline.detector, turned)
    return None if turn is None else turned[turn]


def advice(problems: tuple[str, ...]) -> str:
    """Return the advice for all problems of a photo, the most helpful first."""
    first, *more = [PHOTO_ADVICE.get(problem, "the face cannot be used") for problem in problems or ("",)]
    return f"{first}. Also, {'; also, '.join(more)}" if more else first


def pad_problem(pad_score: float | None, pad_threshold: float) -> str | None:
    """Return why PAD refuses a photo, or None. A score that is no number is an attack."""
    if pad_score is None:
        return NO_SURROUNDINGS
    return None if pad_score >= pad_threshold else PRINT


def embedding_of(face: Observation, pipeline: FacePipeline) -> Embedding:
    """Return the checked embedding of an observation. Raises `EmbeddingError`."""
    if face.embedding is None:
        raise EmbeddingError("the face has no embedding")
    return check_embedding(np.frombuffer(face.embedding, "<f4"), pipeline.model_set.dimension)
