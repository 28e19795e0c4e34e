"""Folders of pictures as a source: enrolment pictures, and probes. A probe is a visit without motion."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gated.camera.pictures import frame_of, named_picture
from gated.errors import PictureError
from gated.evaluation.enrolled import Applicant, portrait
from gated.evaluation.groups import Groups
from gated.evaluation.visit_runs import Visit
from gated.face.pipeline import FacePipeline
from gated.frame import Frame
from gated.types import SubjectId

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
FRAME_S = 0.1

Identities = dict[str, list[Path]]
NO_GROUPS: Mapping[str, Groups] = {}


def identities(folder: Path) -> Identities:
    """Map each person to their pictures. A sub-folder is one person; otherwise the file name before the last "_" is.

    `folder/ann/1.jpg` and `folder/ann_1.jpg` both show "ann". Raises `PictureError` when no picture is found.
    """
    found: Identities = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            inside = path.relative_to(folder).parts
            name = inside[0] if len(inside) > 1 else path.stem.rsplit("_", 1)[0]
            found.setdefault(name, []).append(path)
    if not found:
        raise PictureError(f"{folder}: no pictures here; put NAME/1.jpg or NAME_1.jpg into it, one NAME a person")
    return found


def applicants(
    pipeline: FacePipeline, people: Identities, advance: Callable[[], None], groups: Mapping[str, Groups] = NO_GROUPS
) -> Iterator[Applicant]:
    """Yield each person with the embeddings of their pictures. Each person is a household of their own.

    `groups`: labels by name.
    """
    for name, photos in people.items():
        made = [portrait(pipeline, frame_of(named_picture(photo), 0.0, 0)) for photo in photos]
        usable = [embedding for embedding in made if embedding is not None]
        yield Applicant(name, name, usable, groups.get(name, frozenset()))
        advance()


def visits(
    probes: Identities,
    subjects: dict[str, SubjectId],
    enrolled: Identities,
    frames: int,
    groups: Mapping[str, Groups] = NO_GROUPS,
) -> Iterator[Visit]:
    """Yield one visit for each probe. A person without pictures in the gallery's folder is a stranger.

    A person who could not be enrolled has no visits, and counts as FTE. `frames`: frames of each visit; PAD wants up to
    `access.pad_evidence.TRUNCATED_AFTER` times the frames of a grant. `groups`: labels by name.
    """
    for name, photos in probes.items():
        if name in enrolled and name not in subjects:
            continue
        for photo in photos:
            yield Visit(subjects.get(name), groups.get(name, frozenset()), None, _held(photo, frames))


def _held(photo: Path, frames: int) -> Iterator[Frame]:
    """Yield the frames of a still picture. The picture is loaded with the first frame."""
    frame = frame_of(named_picture(photo), 0.0, 0)
    for number in range(frames):
        yield replace(frame, at=number * FRAME_S)
