"""Read the limits of a model set that the office may not fall below: its grade, its thresholds and its PAD models. The
source is the manifest of models. `face.manifest` reads the whole manifest.
"""

from pathlib import Path

import msgspec

import gated
from gated.config.handwritten import HandwritingError, read_toml
from gated.config.tables import ModelSettings

GRADES = ("demo", "evaluation", "site")
"""The grades, lowest first. A higher grade allows more uses."""


class Measured(msgspec.Struct, frozen=True):
    """The grade, the thresholds and the PAD models of one model set. `threshold` is a cosine similarity;
    `pad_threshold` is from 0 to 1.
    """

    grade: str
    threshold: float
    pad_threshold: float
    ceiling: float | None = None
    """The greatest threshold of a set that the gate calibrates on its gallery; None for a set with one threshold."""
    pad: frozenset[str] = frozenset()
    """The names of the PAD models."""


class _Set(msgspec.Struct, frozen=True):
    grade: str
    embedder: str | list[str]
    pad_threshold: float
    threshold: float | None = None
    thresholds: list[tuple[int, float]] = []
    ceiling: float = 0.7
    pad: frozenset[str] = frozenset()


class _Model(msgspec.Struct, frozen=True):
    threshold: float | None = None


class _Manifest(msgspec.Struct, frozen=True):
    sets: dict[str, _Set]
    models: dict[str, _Model]


def measured(models: ModelSettings, name: str) -> Measured | None:
    """Return the grade and thresholds of the named set. Return None if the manifest cannot be read; then no face opens
    the door.
    """
    try:
        manifest = msgspec.convert(read_toml(find_manifest(models)), _Manifest)
        chosen = manifest.sets[name]
        threshold = chosen.threshold
        if threshold is None and isinstance(chosen.embedder, str):
            threshold = manifest.models[chosen.embedder].threshold
    except (HandwritingError, msgspec.ValidationError, KeyError):
        return None
    if threshold is None:
        return None
    ceiling = chosen.ceiling if chosen.thresholds else None
    return Measured(chosen.grade, threshold, chosen.pad_threshold, ceiling, chosen.pad)


def find_manifest(models: ModelSettings) -> Path:
    """Return the manifest of the settings, or the manifest that comes with gated.

    A manifest in the models' folder is ignored: a user who can write there could otherwise declare any model valid.
    """
    return Path(models.manifest) if models.manifest else shipped_manifest()


def shipped_manifest() -> Path:
    """Return the manifest that comes with gated: inside an installed package, or beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_models" / "manifest.toml"
    return installed if installed.exists() else package.parent / "models" / "manifest.toml"
