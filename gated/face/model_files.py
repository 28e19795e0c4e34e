"""Installs the files of a model set, downloaded from the manifest's addresses or copied from a folder.

A file gets its final name only if its SHA-256 is the manifest's. The operator accepts each licence first.
`licences.json` beside the models records which licence was accepted, for which file, and when.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from gated.atomic_files import atomic_write, sync_folder
from gated.bounded import MOST_TEXT, TooLongError, UnplainError, copy_file, open_plain, read, sha256
from gated.config import ModelSettings
from gated.config.model_limits import find_manifest
from gated.errors import ModelError
from gated.face.download import Download, Progress
from gated.face.manifest import ModelEntry, ModelSet, folder_of, load_manifest
from gated.storage.process_lock import FileLock
from gated.wording import UNDECODABLE

LICENCES, LOCK = "licences.json", ".pull.lock"


class Pulled(msgspec.Struct, frozen=True):
    """One verified file of the set. `origin`: "here" (was there before), "copied" or "fetched"."""

    file: str
    sha256: str
    licence: str
    origin: str


class FileSource(NamedTuple):
    """The folder to copy from. None: download. `reading`: as in `pull_set`."""

    folder: Path | None
    reading: Callable[[Path], AbstractContextManager[None]]


class Accepted(msgspec.Struct, frozen=True):
    """An accepted licence, for this file alone. `at`: UTC."""

    file: str
    sha256: str
    licence: str
    at: datetime


def unaccepted(settings: ModelSettings, name: str) -> list[ModelEntry]:
    """Return the missing models of a set whose licence was not accepted yet. Raises `ModelError`."""
    chosen = load_manifest(settings).model_set(name)
    folder = folder_of(settings, chosen)
    return _unaccepted(_missing(chosen, folder), accepted(folder))


def pull_set(
    settings: ModelSettings,
    name: str,
    *,
    source: Path | None = None,
    progress: Progress = lambda file, done, total: None,
    accept: bool,
    reading: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> list[Pulled]:
    """Install every file of a set in its folder: copied from `source`, or else downloaded.

    `accept`: the caller accepts the licences of the missing files. `reading`: a context that is entered to open the
    manifest, or a file of `source`, for a caller that writes as another user.

    One failing file does not stop the others. Raises one `ModelError` with every file that failed, and what to do, or
    when a licence is not accepted. Raises `BusyError` while another pull runs.
    """
    with reading(find_manifest(settings)):
        chosen = load_manifest(settings).model_set(name)
    folder = folder_of(settings, chosen)
    absent = _missing(chosen, folder)
    if not absent:
        return [_pulled(entry, "here") for entry in chosen.models]
    problems: list[str] = []
    with _writing(folder, absent), closing(FileLock(folder / LOCK, "a pull of models into this folder")):
        _accept(folder, absent, accept=accept)
        for entry in absent:
            try:
                _install(entry, folder, FileSource(source, reading), progress)
            except ModelError as error:
                problems.append(str(error))
    if problems:
        raise ModelError(*problems)
    origin = "copied" if source is not None else "fetched"
    return [_pulled(entry, origin if entry in absent else "here") for entry in chosen.models]


def accepted(folder: Path) -> list[Accepted]:
    """Return the licences accepted for the files of a folder. Empty if the record is missing or damaged."""
    try:
        return msgspec.json.decode(read(folder / LICENCES, MOST_TEXT), type=list[Accepted])
    except (OSError, *UNDECODABLE):
        return []


def _missing(chosen: ModelSet, folder: Path) -> list[ModelEntry]:
    return [entry for entry in chosen.models if not is_right(folder / entry.file, entry)]


def _unaccepted(entries: list[ModelEntry], before: list[Accepted]) -> list[ModelEntry]:
    known = {(each.file, each.sha256, each.licence) for each in before}
    return [entry for entry in entries if (entry.file, entry.sha256, entry.licence) not in known]


def _accept(folder: Path, entries: list[ModelEntry], *, accept: bool) -> None:
    """Record the licences accepted now. Raises `ModelError` when one is not accepted, now or before."""
    before = accepted(folder)
    asked = _unaccepted(entries, before)
    if asked and not accept:
        licences = [f"  {entry.file}: {entry.licence}" for entry in asked]
        raise ModelError("these licences are not accepted yet; read them, then add --accept-licence", *licences)
    if asked:
        now = datetime.now(UTC).replace(microsecond=0)
        fresh = [Accepted(entry.file, entry.sha256, entry.licence, now) for entry in asked]
        atomic_write(folder / LICENCES, msgspec.json.format(msgspec.json.encode([*before, *fresh]), indent=2) + b"\n")


def _install(entry: ModelEntry, folder: Path, source: FileSource, progress: Progress) -> None:
    """Install one file, if its digest is right. Raises `ModelError`."""
    part = folder / f"{entry.file}.part"
    sha256 = _fetch(entry, part, progress) if source.folder is None else _copy(source, entry, part, progress)
    if sha256 != entry.sha256:
        part.unlink()
        where = source.folder or entry.url
        raise ModelError(
            f"{entry.file}: the one from {where} is another file (SHA-256 {sha256[:16]}..., not "
            f"{entry.sha256[:16]}...) and was deleted; find the one that the manifest names"
        )
    with part.open("rb") as file:
        os.fchmod(file.fileno(), 0o644)  # vision runs as another user than the installer
        os.fsync(file.fileno())
    part.replace(folder / entry.file)
    sync_folder(folder)


def _fetch(entry: ModelEntry, part: Path, progress: Progress) -> str:
    """Return the SHA-256 of the downloaded file. A wrong file from an old `.part` is fetched again, once."""
    if entry.url is None:
        raise ModelError(
            f"{entry.file}: the manifest has no address for it; copy it with --from, or put it into the folder"
        )
    was_begun = part.exists()
    if was_begun and is_right(part, entry):
        return entry.sha256
    sha256 = Download(entry.url, part, entry.size_bytes, progress).fetch()
    if sha256 != entry.sha256 and was_begun:
        part.unlink()
        sha256 = Download(entry.url, part, entry.size_bytes, progress).fetch()
    return sha256


def _copy(source: FileSource, entry: ModelEntry, part: Path, progress: Progress) -> str:
    """Copy a plain file, and no more of it than the manifest says. Returns its SHA-256."""
    path = (source.folder or part.parent) / entry.file
    try:
        with source.reading(path):
            theirs = open_plain(path)
        with theirs:
            sha256 = copy_file(theirs, part, entry.most_bytes)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: file not found; copy it there, or omit --from to download it") from error
    except (TooLongError, UnplainError) as error:
        raise ModelError(f"{path}: {error.strerror}; find the one that the manifest names") from error
    size = part.stat().st_size
    progress(part.stem, size, size)
    return sha256


def _delete_if_foreign(path: Path) -> None:
    """Delete a file of another user, which we could not write. An earlier pull as root can leave one."""
    with suppress(FileNotFoundError):
        if path.lstat().st_uid != os.geteuid():
            path.unlink()


def is_right(path: Path, entry: ModelEntry) -> bool:
    """Return whether that file exists with the digest of the manifest."""
    try:
        return sha256(path, entry.most_bytes) == entry.sha256
    except OSError:
        return False


def _pulled(entry: ModelEntry, origin: str) -> Pulled:
    return Pulled(entry.file, entry.sha256, entry.licence, origin)


@contextmanager
def _writing(folder: Path, entries: list[ModelEntry]) -> Iterator[None]:
    """Create the folder and clear stale files. Raises `ModelError` for every error of the disk."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in (LOCK, *(f"{entry.file}.part" for entry in entries)):
            _delete_if_foreign(folder / name)
        yield
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror or error}); free some space, or choose --dir"
        ) from error
