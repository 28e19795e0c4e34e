"""Pairs of pictures as a source: do two pictures show one person? Comparisons only: no gallery, no fusion, no door."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gated.camera.pictures import frame_of, named_picture
from gated.config.handwritten import HandwritingError, read_text
from gated.embedding import Embedding, check_embedding
from gated.errors import ConfigError, EmbeddingError
from gated.evaluation.confidence import Rate
from gated.evaluation.rates import Scores, accepted
from gated.face.pipeline import FacePipeline

ANSWERS = {"same": True, "different": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures. `is_mated`: whether they show one person."""

    first: Path
    second: Path
    is_mated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """The scores of the pairs with two usable faces, and the rate of pictures without one."""

    mated: Scores
    non_mated: Scores
    failure_to_acquire: Rate

    def not_separated(self, threshold: float) -> Rate:
        """Return the rate of pairs on the wrong side of the threshold."""
        n = self.mated.size + self.non_mated.size
        missed = self.mated.size - accepted(self.mated, threshold)
        return Rate.of(missed + accepted(self.non_mated, threshold), n)


def read_pairs(path: Path) -> list[Pair]:
    """Read the pairs of a CSV file: two paths relative to its folder, and "same" or "different". A header is optional.

    Raises `ConfigError` with every wrong line.
    """
    try:
        rows = list(csv.reader(read_text(path).splitlines()))
    except HandwritingError as error:
        raise ConfigError(str(path), [str(error)]) from error
    except csv.Error as error:
        raise ConfigError(str(path), [f"cannot be read as CSV ({error})"]) from error
    problems, pairs = [], []
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if len(cells) == 3 and cells[2].lower() in ANSWERS:
            pairs.append(Pair(path.parent / cells[0], path.parent / cells[1], ANSWERS[cells[2].lower()]))
        elif any(cells) and number > 1:
            problems.append(f'line {number}: expected two paths and "same" or "different"')
    problems += [f"{picture}: no such file" for picture in dict.fromkeys(_pictures(pairs)) if not picture.is_file()]
    if problems or not pairs:
        raise ConfigError(str(path), problems or ['has no pair: each line is FIRST,SECOND,"same" or "different"'])
    return pairs


def compare(pipeline: FacePipeline, pairs: Sequence[Pair], advance: Callable[[], None]) -> Compared:
    """Analyse each picture once, and compare the pairs. Raises `PictureError` when a file is no picture.

    A centred set uses the mean of its manifest, because there is no gallery.
    """
    score = pipeline.composite.centring.score
    faces: dict[Path, Embedding | None] = {}
    for picture in dict.fromkeys(_pictures(pairs)):
        faces[picture] = _face(pipeline, picture)
        advance()
    scores: dict[bool, list[float]] = {True: [], False: []}
    for pair in pairs:
        first, second = faces[pair.first], faces[pair.second]
        if first is not None and second is not None:
            scores[pair.is_mated].append(score(first, second))
    failed = Rate.among(face is None for face in faces.values())
    return Compared(np.array(scores[True]), np.array(scores[False]), failed)


def _pictures(pairs: Sequence[Pair]) -> list[Path]:
    return [picture for pair in pairs for picture in (pair.first, pair.second)]


def _face(pipeline: FacePipeline, path: Path) -> Embedding | None:
    """Return the embedding of the largest face. None if no face is good enough to be searched for."""
    seen = pipeline.analyse_photo(frame_of(named_picture(path), 0.0, 0)).observations
    if not seen or seen[0].embedding is None:
        return None
    try:
        return check_embedding(np.frombuffer(seen[0].embedding, "<f4"), pipeline.model_set.dimension)
    except EmbeddingError:
        return None
