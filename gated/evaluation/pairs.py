"""Pairs of pictures as a source: do two pictures show one person? Comparisons only: no gallery, no fusion, no door."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gated.camera.pictures import frame_of, named_picture
from gated.embedding import Embedding, check_embedding
from gated.errors import ConfigError, EmbeddingError
from gated.evaluation.confidence import Rate
from gated.evaluation.groups import Groups, all_of, labels, read_rows
from gated.evaluation.rates import Scores, accepted
from gated.evaluation.stage_times import Lap
from gated.face.pipeline import FacePipeline

ANSWERS = {"same": True, "different": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures. `is_mated`: whether they show one person. `groups`: labels for the report."""

    first: Path
    second: Path
    is_mated: bool
    groups: Groups = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """The scores of the pairs with two usable faces, and the rate of pictures without one."""

    mated: Scores
    non_mated: Scores
    failure_to_acquire: Rate
    groups: Mapping[str, "Compared"] = field(default_factory=dict)
    """The same for the pairs with each label."""
    laps: Sequence[Lap] = ()
    """Milliseconds by stage, for each picture with a usable face."""

    def not_separated(self, threshold: float) -> Rate:
        """Return the rate of pairs on the wrong side of the threshold."""
        n = self.mated.size + self.non_mated.size
        missed = self.mated.size - accepted(self.mated, threshold)
        return Rate.of(missed + accepted(self.non_mated, threshold), n)


def read_pairs(path: Path) -> list[Pair]:
    """Read the pairs of a CSV file: two paths relative to its folder, and "same" or "different". A header is optional.

    A fourth cell may hold groups, separated by ";". Raises `ConfigError` with every wrong line.
    """
    problems, pairs = [], []
    for number, cells in enumerate(read_rows(path), 1):
        if len(cells) in {3, 4} and cells[2].lower() in ANSWERS:
            first, second, answer, *group = cells
            is_mated = ANSWERS[answer.lower()]
            pairs.append(Pair(path.parent / first, path.parent / second, is_mated, labels(*group or [""])))
        elif any(cells) and number > 1:
            problems.append(f'line {number}: expected two paths, "same" or "different", and optionally groups')
    problems += [f"{picture}: no such file" for picture in dict.fromkeys(_pictures(pairs)) if not picture.is_file()]
    if problems or not pairs:
        raise ConfigError(str(path), problems or ['has no pair: each line is FIRST,SECOND,"same" or "different"'])
    return pairs


def compare(pipeline: FacePipeline, pairs: Sequence[Pair], advance: Callable[[], None]) -> Compared:
    """Analyse each picture once, and compare the pairs. Raises `PictureError` when a file is no picture.

    A centred set uses the mean of its manifest, because there is no gallery.
    """
    faces: dict[Path, Embedding | None] = {}
    laps: list[Lap] = []
    for picture in dict.fromkeys(_pictures(pairs)):
        faces[picture], lap = _face(pipeline, picture)
        laps += [lap] if faces[picture] is not None else []
        advance()
    of_groups = {
        group: _compared([pair for pair in pairs if group in pair.groups], faces, pipeline)
        for group in all_of(pair.groups for pair in pairs)
    }
    return replace(_compared(pairs, faces, pipeline), groups=of_groups, laps=laps)


def _compared(pairs: Sequence[Pair], faces: Mapping[Path, Embedding | None], pipeline: FacePipeline) -> Compared:
    score = pipeline.composite.centring.score
    scores: dict[bool, list[float]] = {True: [], False: []}
    for pair in pairs:
        first, second = faces[pair.first], faces[pair.second]
        if first is not None and second is not None:
            scores[pair.is_mated].append(score(first, second))
    failed = Rate.among(faces[picture] is None for picture in dict.fromkeys(_pictures(pairs)))
    return Compared(np.array(scores[True]), np.array(scores[False]), failed)


def _pictures(pairs: Sequence[Pair]) -> list[Path]:
    return [picture for pair in pairs for picture in (pair.first, pair.second)]


def _face(pipeline: FacePipeline, path: Path) -> tuple[Embedding | None, Lap]:
    """Return the embedding of the largest face, and the times. None if no face is good enough to be searched for."""
    analysis = pipeline.analyse_photo(frame_of(named_picture(path), 0.0, 0))
    seen, lap = analysis.observations, dict(analysis.timing_ms)
    if not seen or seen[0].embedding is None:
        return None, lap
    try:
        return check_embedding(np.frombuffer(seen[0].embedding, "<f4"), pipeline.model_set.dimension), lap
    except EmbeddingError:
        return None, lap
