"""Which models there are, what each one eats, and how it proves that it is what it says: `models/manifest.toml`, read.

The manifest is data for people as well: licence, origin and what was measured stand beside the digest.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

import gated
from gated.config import ModelSettings
from gated.errors import ModelError

Grade = Literal["demo", "evaluation", "site"]
GRADES: tuple[Grade, ...] = ("demo", "evaluation", "site")
"""From the least to the most that may be done with it."""

Side = Annotated[int, Meta(ge=16, le=2048)]
Point = tuple[float, float]
Triple = tuple[float, float, float]
Positive = Annotated[float, Meta(gt=0)]
Threshold = Annotated[float, Meta(gt=0, lt=1)]


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest is made of: a key that is not known is a mistake."""


class InputLayout(_Data, frozen=True):
    """How pixels become the input: float32 (1, 3, height, width), value = (pixel x scale - mean) / std per channel.

    `mean` and `std` are in the channel order of the model. `name`: the input's, where the model's has to be that one.
    """

    size: tuple[Side, Side]
    """Width and height in px."""
    order: Literal["rgb", "bgr"]
    scale: Positive = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    name: str | None = None


class KnownAnswer(_Data, frozen=True):
    """A few numbers that the model must give for the pattern of `onnx.known_input`, each within `tolerance`."""

    values: Annotated[tuple[tuple[str, Annotated[int, Meta(ge=0)], float], ...], Meta(min_length=1)]
    """Name of an output, place in it (flat), and the number there."""
    tolerance: Positive


class ModelEntry(_Data, frozen=True, tag_field="role"):
    """What every model has."""

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="a file name without folders")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 small hex digits")]
    licence: str
    grade: Grade
    input: InputLayout
    measured: str = ""
    """What is known of it, for people."""
    url: Annotated[str, Meta(pattern=r"^https://\S+$", description="https://...")] | None = None
    size_bytes: Annotated[int, Meta(ge=1)] | None = None
    known_answer: KnownAnswer | None = None
    """Without one the model is refused."""


class DetectorEntry(ModelEntry, frozen=True, tag="detector"):
    """Finds faces, with YuNet's outputs."""

    second_look: Annotated[int, Meta(ge=32, le=640, multiple_of=32)] | None = None
    """Side in px of its input for one face alone; None where the input is of one size only."""


class PadEntry(ModelEntry, frozen=True, tag="pad", kw_only=True):
    """Tells a face from a picture of one, on a crop of the box scaled by `crop_scale`."""

    crop_scale: Annotated[float, Meta(ge=1, le=10)]
    bona_fide: Annotated[int, Meta(ge=0)]
    """Where in the output the share of "bona fide" stands."""


class EmbedderEntry(ModelEntry, frozen=True, tag="embedder", kw_only=True):
    """Makes the embedding of an aligned face."""

    landmarks: tuple[Point, Point, Point, Point, Point]
    """Where the five landmarks lie in its input, in px."""
    dimension: Annotated[int, Meta(ge=16, le=2048)]
    threshold: Threshold
    """Cosine similarity at which two are taken for one person, where a site has not measured its own."""


E = TypeVar("E", DetectorEntry, PadEntry, EmbedderEntry)


class SetEntry(_Data, frozen=True):
    """Models that work together, by name."""

    grade: Grade
    about: str
    detector: str
    pad: Annotated[tuple[str, ...], Meta(min_length=1)]
    embedder: str
    pad_threshold: Threshold
    folder: str = ""
    """Where the files of a set that ships with the manifest lie, from its own folder; else they are in `models.dir`."""


class ModelSet(_Data, frozen=True):
    """A set with its models in place of their names."""

    name: str
    grade: Grade
    detector: DetectorEntry
    pad: tuple[PadEntry, ...]
    embedder_name: str
    embedder: EmbedderEntry
    pad_threshold: float
    folder: str = ""

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """All of them, in the order of a frame's way."""
        return (self.detector, *self.pad, self.embedder)


class Manifest(_Data, frozen=True):
    """The whole file."""

    sets: dict[str, SetEntry]
    models: dict[str, DetectorEntry | PadEntry | EmbedderEntry]

    def model_set(self, name: str) -> ModelSet:
        """The set of that name. Raises `ModelError` where there is none, or where its parts do not go together."""
        if name not in self.sets:
            raise ModelError(f"models.set: there is no set {name!r}{_did_you_mean(name, self.sets)}")
        entry = self.sets[name]
        found = ModelSet(
            name=name,
            grade=entry.grade,
            detector=self._model(name, entry.detector, DetectorEntry),
            pad=tuple(self._model(name, pad, PadEntry) for pad in entry.pad),
            embedder_name=entry.embedder,
            embedder=self._model(name, entry.embedder, EmbedderEntry),
            pad_threshold=entry.pad_threshold,
            folder=entry.folder,
        )
        for model in found.models:
            if GRADES.index(model.grade) < GRADES.index(entry.grade):
                raise ModelError(
                    f"the manifest's set {name!r} is of grade {entry.grade!r}, {model.file} only {model.grade!r}"
                )
        return found

    def _model(self, of_set: str, name: str, kind: type[E]) -> E:
        """One model of a set, of the role that it has there."""
        model = self.models.get(name)
        if not isinstance(model, kind):
            raise ModelError(
                f"the manifest's set {of_set!r} names {name!r} as its {kind.__struct_config__.tag}: "
                f"that model is {'of another role' if model else 'not in it'}"
            )
        return model


def load_manifest(models: ModelSettings) -> Manifest:
    """Find and read the manifest. Raises `ModelError` where there is none, or where it is damaged."""
    path = find_manifest(models)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ModelError(
            f"{path}: the manifest of models cannot be read ({error.strerror}); check models.manifest"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(
            f"{path}: the manifest of models is damaged: {error}; restore it from the same release of gated"
        ) from error


def load_set(models: ModelSettings) -> ModelSet:
    """The set that the settings name. Raises `ModelError` as `load_manifest` and `Manifest.model_set` do."""
    return load_manifest(models).model_set(models.set)


def folder_of(models: ModelSettings, chosen: ModelSet) -> Path:
    """Where the files of a set lie: beside its manifest where they ship with it, else where the settings say."""
    return find_manifest(models).parent / chosen.folder if chosen.folder else Path(models.dir)


def find_manifest(models: ModelSettings) -> Path:
    """The manifest that the settings name, else one beside the models, else the one that came with gated."""
    if models.manifest:
        return Path(models.manifest)
    beside = Path(models.dir) / "manifest.toml"
    return beside if beside.exists() else shipped_manifest()


def shipped_manifest() -> Path:
    """The manifest that came with gated: inside an installed package, beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_models" / "manifest.toml"
    return installed if installed.exists() else package.parent / "models" / "manifest.toml"


def _did_you_mean(name: str, known: dict[str, SetEntry]) -> str:
    """A hint for a misspelt set."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(sorted(known))}"
