"""Records the licences and the training data that the owner has accepted, in `licences.json` beside the models.

An owner accepts each model once: this file, its licence, and the pictures that it was trained on. If one of them
changes, the owner is asked again. `model_files` and the commands use it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_write
from gated.bounded import MOST_TEXT, read
from gated.errors import ModelError
from gated.face.manifest import Manifest
from gated.face.model_entry import ModelEntry
from gated.wording import UNDECODABLE

LICENCES = "licences.json"


class Accepted(msgspec.Struct, frozen=True):
    """The acceptance of one file by the owner. `at`: UTC."""

    file: str
    sha256: str
    licence: str
    at: datetime
    training_data: str = ""

    def covers(self, entry: ModelEntry) -> bool:
        """Return whether the owner accepted this model as the manifest describes it now."""
        accepted = (self.file, self.sha256, self.licence, self.training_data)
        return accepted == (entry.file, entry.sha256, entry.licence, entry.training_data)


def accepted(folder: Path) -> list[Accepted]:
    """Return the acceptances for the files of a folder. Empty if the record is missing or damaged."""
    try:
        return msgspec.json.decode(read(folder / LICENCES, MOST_TEXT), type=list[Accepted])
    except (OSError, *UNDECODABLE):
        return []


def accepted_at(entry: ModelEntry, record: Iterable[Accepted]) -> datetime | None:
    """Return when the owner accepted a model; None if never."""
    return next((each.at for each in record if each.covers(entry)), None)


def not_accepted(entries: Iterable[ModelEntry], record: Iterable[Accepted]) -> list[ModelEntry]:
    """Return the models that the owner has not accepted yet."""
    known = list(record)
    return [entry for entry in entries if accepted_at(entry, known) is None]


def accept(folder: Path, entries: Iterable[ModelEntry]) -> None:
    """Record that the owner accepts these models now. Raises `OSError`."""
    now = datetime.now(UTC).replace(microsecond=0)
    fresh = [Accepted(entry.file, entry.sha256, entry.licence, now, entry.training_data) for entry in entries]
    record = msgspec.json.encode([*accepted(folder), *fresh])
    atomic_write(folder / LICENCES, msgspec.json.format(record, indent=2) + b"\n")


def described(entry: ModelEntry) -> str:
    """Return a model's licence and training data in one line, to read before accepting."""
    data = f"; trained on: {entry.training_data}" if entry.training_data else ""
    return f"{entry.file}: {entry.licence}{data}"


def refusal(manifest: Manifest, name: str, entries: Iterable[ModelEntry]) -> ModelError:
    """Return the error for models of set `name` that were not accepted, with the sets that do without each."""
    lines = []
    for entry in entries:
        others = _without(manifest, name, entry)
        instead = f" (the set without it: {' or '.join(others)})" if others else ""
        lines.append(f"  {described(entry)}{instead}")
    return ModelError(
        "these licences and training data are not accepted yet; read them, then add --accept-licence", *lines
    )


def _without(manifest: Manifest, name: str, entry: ModelEntry) -> list[str]:
    """Return the other sets of the same grade without such a model."""
    grade = manifest.sets[name].grade
    others = [manifest.model_set(other) for other, each in manifest.sets.items() if each.grade == grade]
    return [other.name for other in others if all(model.file != entry.file for model in other.models)]
