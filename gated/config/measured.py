"""What the manifest of models says of a set that the office may not fall below: its grade, and where it says "alike".

Only that; `face.manifest` reads the whole of it.
"""

from pathlib import Path

import msgspec

import gated
from gated.config.handwritten import HandwritingError, read_toml
from gated.config.tables import ModelSettings

GRADES = ("demo", "evaluation", "site")
"""From the least to the most that may be done with it."""


class Measured(msgspec.Struct, frozen=True):
    """One set's. Thresholds are cosine similarity, and a share of 1."""

    grade: str
    threshold: float
    pad_threshold: float


class _Set(msgspec.Struct, frozen=True):
    grade: str
    embedder: str
    pad_threshold: float


class _Model(msgspec.Struct, frozen=True):
    threshold: float | None = None


class _Manifest(msgspec.Struct, frozen=True):
    sets: dict[str, _Set]
    models: dict[str, _Model]


def measured(models: ModelSettings, name: str) -> Measured | None:
    """What is said of the set of that name; None where nothing can be read of it, and then nothing opens by it."""
    try:
        manifest = msgspec.convert(read_toml(find_manifest(models)), _Manifest)
        chosen = manifest.sets[name]
        threshold = manifest.models[chosen.embedder].threshold
    except (HandwritingError, msgspec.ValidationError, KeyError):
        return None
    return None if threshold is None else Measured(chosen.grade, threshold, chosen.pad_threshold)


def find_manifest(models: ModelSettings) -> Path:
    """The manifest that the settings name, else the one that came with gated.

    One that lies beside the models counts for nothing: whoever may write there would say which models are right.
    """
    return Path(models.manifest) if models.manifest else shipped_manifest()


def shipped_manifest() -> Path:
    """The manifest that came with gated: inside an installed package, beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_models" / "manifest.toml"
    return installed if installed.exists() else package.parent / "models" / "manifest.toml"
