"""Installs the files of a model set, downloaded from the manifest's addresses or copied from a folder.

A file gets its final name only if its SHA-256 is the manifest's. The owner accepts the licence and the training data
of each model first, see `licences`. `model_sources` brings the files.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path

import msgspec

from gated.atomic_files import sync_folder
from gated.config import ModelSettings
from gated.config.model_limits import find_manifest
from gated.errors import ModelError
from gated.face import licences
from gated.face.download import Progress
from gated.face.manifest import ModelSet, folder_of, load_manifest
from gated.face.model_entry import ModelEntry
from gated.face.model_sources import Supply, bring, is_right, part_of
from gated.storage.process_lock import FileLock

LOCK = ".pull.lock"


class Pulled(msgspec.Struct, frozen=True):
    """One verified file of the set. `origin`: "here" (was there before), "copied" or "fetched"."""

    file: str
    sha256: str
    licence: str
    origin: str


def unaccepted(settings: ModelSettings, name: str) -> list[ModelEntry]:
    """Return the missing models of a set that the owner has not accepted yet. Raises `ModelError`."""
    chosen = load_manifest(settings).model_set(name)
    folder = folder_of(settings, chosen)
    return licences.not_accepted(_missing(chosen, folder), licences.accepted(folder))


def pull_set(
    settings: ModelSettings,
    name: str,
    *,
    source: Path | None = None,
    mirror: str | None = None,
    progress: Progress = lambda file, done, total: None,
    accept: bool,
    reading: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[Pulled]:
    """Install every file of a set in its folder: copied from `source`, or else downloaded, from `mirror` if given.

    `accept`: the caller accepts licence and training data of the missing files. `reading`: a context that is entered to
    open the manifest, or a file of `source`, for a caller that writes as another user.

    One failing file does not stop the others. Raises one `ModelError` with every file that failed, and what to do, or
    when a model is not accepted. Raises `BusyError` while another pull runs.
    """
    with reading(find_manifest(settings)):
        manifest = load_manifest(settings)
    chosen = manifest.model_set(name)
    folder = folder_of(settings, chosen)
    absent = _missing(chosen, folder)
    if not absent:
        return [_pulled(entry, "here") for entry in chosen.models]
    problems: list[str] = []
    with _writing(folder, absent), closing(FileLock(folder / LOCK, "a pull of models into this folder")):
        if asked := licences.not_accepted(absent, licences.accepted(folder)):
            if not accept:
                raise licences.refusal(manifest, name, asked)
            licences.accept(folder, asked)
        for entry in absent:
            try:
                _install(entry, folder, Supply(source, mirror, reading), progress)
            except ModelError as error:
                problems.append(str(error))
    if problems:
        raise ModelError(*problems)
    origin = "copied" if source is not None else "fetched"
    return [_pulled(entry, origin if entry in absent else "here") for entry in chosen.models]


def _missing(chosen: ModelSet, folder: Path) -> list[ModelEntry]:
    return [entry for entry in chosen.models if not is_right(folder / entry.file, entry)]


def _install(entry: ModelEntry, folder: Path, supply: Supply, progress: Progress) -> None:
    """Install one file, and delete its sources. Raises `ModelError`."""
    part = bring(entry, folder, supply, progress)
    with part.open("rb") as file:
        os.fchmod(file.fileno(), 0o644)  # vision runs as another user than the installer
        os.fsync(file.fileno())
    part.replace(folder / entry.file)
    for source in entry.origins:
        part_of(folder, source).unlink(missing_ok=True)
    sync_folder(folder)


def _delete_if_foreign(path: Path) -> None:
    """Delete a file of another user, which we could not write. An earlier pull as root can leave one."""
    with suppress(FileNotFoundError):
        if path.lstat().st_uid != os.geteuid():
            path.unlink()


def _pulled(entry: ModelEntry, origin: str) -> Pulled:
    return Pulled(entry.file, entry.sha256, entry.licence, origin)


@contextmanager
def _writing(folder: Path, entries: list[ModelEntry]) -> Iterator[None]:
    """Create the folder and clear stale files. Raises `ModelError` for every error of the disk."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        _delete_if_foreign(folder / LOCK)
        for entry in entries:
            _delete_if_foreign(part_of(folder, entry))
            for source in entry.origins:
                _delete_if_foreign(part_of(folder, source))
        yield
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror or error}); free some space, or choose --dir"
        ) from error
