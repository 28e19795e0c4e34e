"""Reads `models/manifest.toml`: the models (`model_entry`) and the sets that name them.

The manifest is also for people: licence, origin and measured results stand beside the digest.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta

from gated import names, wording
from gated.config import ModelSettings, Settings
from gated.config.handwritten import HandwritingError, read_toml
from gated.config.model_limits import GRADES, find_manifest, shipped_manifest  # noqa: F401 - others import both from here
from gated.errors import ModelError
from gated.face.embedder_parts import composite_sha256, decoded_mean, shares
from gated.face.model_entry import (
    PLAIN,
    DetectorEntry,
    EmbedderEntry,
    Grade,
    Line,
    ManifestData,
    ModelEntry,
    Name,
    PadEntry,
    Positive,
    Threshold,
)
from gated.threshold_table import ThresholdTable

if TYPE_CHECKING:  # numpy is loaded on use: commands without faces read the manifest too
    from gated.composite import Composite

E = TypeVar("E", DetectorEntry, PadEntry, EmbedderEntry)


class SetEntry(ManifestData, frozen=True):
    """Models that work together, by name."""

    grade: Grade
    about: Line
    detector: str
    pad: Annotated[tuple[str, ...], Meta(min_length=1)]
    embedder: str | Annotated[tuple[str, ...], Meta(min_length=1, max_length=4)]
    """One name, or several: then one embedding holds a part by each embedder."""
    pad_threshold: Threshold
    weights: tuple[Positive, ...] = ()
    """Weight of each embedder in the score, in proportion. Empty: equal weights."""
    centred: bool = False
    """Whether embeddings are compared after the mean of the gallery is subtracted (`gated.composite`). Each embedder
    then needs its `mean`.
    """
    threshold: Threshold | None = None
    """Threshold of the set. None: the threshold of its only embedder."""
    thresholds: tuple[tuple[Annotated[int, Meta(ge=1)], Threshold], ...] = ()
    """Number of enrolled people and threshold for FPIR 0.3 %. With them the gate calibrates on its own gallery
    (`gated calibrate`); `threshold` is then for enrolment and tracking alone.
    """
    floor: Threshold = 0.3
    """The calibration never gives a threshold below it."""
    ceiling: Threshold = 0.7
    """The greatest threshold: beyond it, too many residents are refused."""
    folder: Annotated[str, Meta(pattern=rf"^\Z|{PLAIN}", description="a folder's name, without others")] = ""
    """Folder of the files, relative to the manifest, for a set that ships with it. Empty: the files are in
    `models.dir`.
    """

    @property
    def table(self) -> ThresholdTable | None:
        """The table for the calibration; None for a set with one threshold."""
        return ThresholdTable(self.floor, self.ceiling, self.thresholds) if self.thresholds else None

    def __post_init__(self) -> None:
        """Raise `ValueError` for a table whose thresholds do not rise."""
        if self.table is not None:
            self.table.check()


class ModelSet(ManifestData, frozen=True):
    """A set with its models in place of their names."""

    name: str
    grade: Grade
    detector: DetectorEntry
    pad: tuple[PadEntry, ...]
    embedder_names: tuple[str, ...]
    embedders: tuple[EmbedderEntry, ...]
    weights: tuple[float, ...]
    """Weight of each embedder in the score. The sum is 1."""
    threshold: float
    pad_threshold: float
    is_centred: bool = False
    folder: str = ""
    table: ThresholdTable | None = None
    """Thresholds by the number of people, for the calibration; None: `threshold` alone."""

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """All models, in the order in which a frame passes them."""
        return (self.detector, *self.pad, *self.embedders)

    @property
    def embedder_name(self) -> str:
        """The names of the embedders, joined by "+"."""
        return "+".join(self.embedder_names)

    @property
    def embedder_sha256(self) -> str:
        """The origin of the embeddings: the SHA-256 of the only embedder, or one over all embedders and weights."""
        return composite_sha256([model.sha256 for model in self.embedders], self.weights)

    @property
    def dimension(self) -> int:
        """The length of an embedding: the sum over the embedders."""
        return sum(model.dimension for model in self.embedders)

    @property
    def composite(self) -> "Composite":
        """The parts of an embedding, for its centring."""
        from gated.composite import Composite

        means = [decoded_mean(model.mean, model.dimension) for model in self.embedders] if self.is_centred else None
        return Composite.of([model.dimension for model in self.embedders], self.weights, means)

    def check_grade(self, pins: str) -> None:
        """Raise `ModelError` if this set may not drive a lock on these pins: a demo set never drives a real lock."""
        if self.grade == "demo" and pins == "gpio":
            raise ModelError(
                f"{self.name!r} is for demonstration and never drives a real lock; "
                'choose another set, or set [door] pins = "mock"'
            )


class Manifest(ManifestData, frozen=True):
    """The whole file."""

    sets: dict[Name, SetEntry]
    models: dict[Name, DetectorEntry | PadEntry | EmbedderEntry]

    def model_set(self, name: str) -> ModelSet:
        """Return the set of that name. Raises `ModelError` when it is unknown, or its parts do not fit together."""
        if name not in self.sets:
            raise ModelError(f"models.set: unknown set {name!r}{_did_you_mean(name, self.sets)}")
        entry = self.sets[name]
        embedder_names = (entry.embedder,) if isinstance(entry.embedder, str) else entry.embedder
        embedders = tuple(self._model(name, each, EmbedderEntry) for each in embedder_names)
        _check_parts(name, entry, embedders)
        found = ModelSet(
            name=name,
            grade=entry.grade,
            detector=self._model(name, entry.detector, DetectorEntry),
            pad=tuple(self._model(name, pad, PadEntry) for pad in entry.pad),
            embedder_names=embedder_names,
            embedders=embedders,
            weights=shares(entry.weights, len(embedders)),
            threshold=entry.threshold or embedders[0].threshold,
            pad_threshold=entry.pad_threshold,
            is_centred=entry.centred,
            folder=entry.folder,
            table=entry.table,
        )
        for model in found.models:
            if GRADES.index(model.grade) < GRADES.index(entry.grade):
                raise ModelError(
                    f"the manifest's set {name!r} is of grade {entry.grade!r}, {model.file} only {model.grade!r}"
                )
        _check_weights(name, found.pad)
        return found

    def _model(self, of_set: str, name: str, kind: type[E]) -> E:
        """Return one model of a set. Raises `ModelError` when it is unknown, or of another role."""
        model = self.models.get(name)
        if not isinstance(model, kind):
            raise ModelError(
                f"the manifest's set {of_set!r} names {name!r} as its {kind.__struct_config__.tag}: "
                f"that model is {'of another role' if model else 'not in it'}"
            )
        return model


def _check_weights(of_set: str, nets: tuple[PadEntry, ...]) -> None:
    """Raise `ModelError` if two PAD nets of one group have different weights."""
    weights: dict[str, float] = {}
    for net in nets:
        if weights.setdefault(net.group, net.weight) != net.weight:
            raise ModelError(
                f"the manifest's set {of_set!r} has PAD nets of the group {net.group!r} with different weights; "
                "give them the same weight, or different groups"
            )


def load_manifest(models: ModelSettings) -> Manifest:
    """Find and read the manifest. Raises `ModelError` when it is missing or damaged."""
    path = find_manifest(models)
    try:
        return msgspec.convert(read_toml(path, "check models.manifest"), Manifest, str_keys=True)
    except HandwritingError as error:
        raise ModelError(
            f"{path}: the manifest of models {error}; or restore it from the same release of gated"
        ) from error
    except (msgspec.ValidationError, ValueError) as error:
        why, advice = wording.cause(error, Manifest), "restore it from the same release of gated"
        raise ModelError(f"{path}: the manifest of models is damaged: {why}; {advice}") from error


def load_set(models: ModelSettings) -> ModelSet:
    """Return the set in the settings. Raises `ModelError` as `load_manifest` and `Manifest.model_set` do."""
    try:
        return load_manifest(models).model_set(models.set)
    except ModelError as error:
        beside = Path(models.dir) / "manifest.toml"
        if models.manifest or not beside.exists():
            raise
        raise ModelError(f"{error}; {beside} is not read: name it in models.manifest if it is yours") from error


def lawful_set(settings: Settings) -> ModelSet:
    """Return the set in the settings. Raises `ModelError` when it is unknown, or may not drive this gate's lock."""
    models = load_set(settings.models)
    models.check_grade(settings.door.pins)
    return models


def folder_of(models: ModelSettings, chosen: ModelSet) -> Path:
    """Return the folder of a set's files: beside its manifest if they ship with it, otherwise `models.dir`."""
    return find_manifest(models).parent / chosen.folder if chosen.folder else Path(models.dir)


def _check_parts(name: str, entry: SetEntry, embedders: tuple[EmbedderEntry, ...]) -> None:
    """Raise `ModelError` unless the embedders of a set fit together, with weights, means and a threshold."""
    problem = None
    if len({model.sha256 for model in embedders}) < len(embedders):
        problem = "names one embedder twice"
    elif entry.weights and len(entry.weights) != len(embedders):
        problem = f"has {len(entry.weights)} weights for {len(embedders)} embedders"
    elif entry.centred and not all(model.mean for model in embedders):
        problem = "is centred: each of its embedders needs a mean"
    elif entry.threshold is None and (entry.centred or len(embedders) > 1):
        problem = "is centred or has several embedders: it needs a threshold of its own"
    if problem is not None:
        raise ModelError(f"the manifest's set {name!r} {problem}")


def _did_you_mean(name: str, known: dict[str, SetEntry]) -> str:
    """Return a hint for a misspelt set."""
    near = names.closest(name, known, 0.5)
    return f"; known here: {', '.join(sorted(known))}" if near is None else f"; did you mean {near!r}?"
