"""Brings the files of a model set here, from the manifest's addresses or a folder, and lets only the right ones in.

A file has its final name once its SHA-256 is the manifest's, and never before. Each licence is accepted by somebody
first, and `licences.json` beside the models says which one, of which file, and when.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face.download import Download, Progress, sha256_of
from gated.face.manifest import ModelEntry, ModelSet, folder_of, load_manifest
from gated.runtime.files import sync_folder, write_whole
from gated.runtime.lock import FileLock

LICENCES = "licences.json"


class Pulled(msgspec.Struct, frozen=True):
    """One file of the set that is here now, and right. `origin`: "here" before already, "copied" or "fetched"."""

    file: str
    sha256: str
    licence: str
    origin: str


class Accepted(msgspec.Struct, frozen=True):
    """A licence that somebody accepted (UTC), for that file alone."""

    file: str
    sha256: str
    licence: str
    at: datetime


def unaccepted(settings: ModelSettings, name: str) -> list[ModelEntry]:
    """The models of a set that are not here and whose licence nobody has accepted here yet. Raises `ModelError`."""
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
) -> list[Pulled]:
    """Have every file of a set in its folder, copied from `source` or else fetched. `accept`: whoever asks accepts the
    licences of what is missing.

    What can be had is had, and the rest is told together: raises `ModelError` with every file that could not be, and
    what to do, or where a licence is not accepted; `BusyError` while somebody else does the same.
    """
    chosen = load_manifest(settings).model_set(name)
    folder = folder_of(settings, chosen)
    absent = _missing(chosen, folder)
    if not absent:
        return [_pulled(entry, "here") for entry in chosen.models]
    problems: list[str] = []
    with _writing(folder), closing(FileLock(folder / ".pull.lock", "a pull of models into this folder")):
        _accept(folder, absent, accept=accept)
        for entry in absent:
            try:
                _bring(entry, folder, source, progress)
            except ModelError as error:
                problems.append(str(error))
    if problems:
        raise ModelError("\n".join(problems))
    origin = "copied" if source is not None else "fetched"
    return [_pulled(entry, origin if entry in absent else "here") for entry in chosen.models]


def accepted(folder: Path) -> list[Accepted]:
    """The licences that were accepted for the files of a folder; none where that is not written down readably."""
    try:
        return msgspec.json.decode((folder / LICENCES).read_bytes(), type=list[Accepted])
    except (OSError, msgspec.MsgspecError):
        return []


def _missing(chosen: ModelSet, folder: Path) -> list[ModelEntry]:
    return [entry for entry in chosen.models if not _is_right(folder / entry.file, entry)]


def _unaccepted(entries: list[ModelEntry], before: list[Accepted]) -> list[ModelEntry]:
    known = {(each.file, each.sha256, each.licence) for each in before}
    return [entry for entry in entries if (entry.file, entry.sha256, entry.licence) not in known]


def _accept(folder: Path, entries: list[ModelEntry], *, accept: bool) -> None:
    """Write down the licences that are accepted now. Raises `ModelError` where one is not, and never was."""
    before = accepted(folder)
    asked = _unaccepted(entries, before)
    if asked and not accept:
        licences = "\n".join(f"  {entry.file}: {entry.licence}" for entry in asked)
        raise ModelError(f"nobody has accepted these licences yet; read them, and say --accept-licence\n{licences}")
    if asked:
        now = datetime.now(UTC).replace(microsecond=0)
        fresh = [Accepted(entry.file, entry.sha256, entry.licence, now) for entry in asked]
        write_whole(folder / LICENCES, msgspec.json.format(msgspec.json.encode([*before, *fresh]), indent=2) + b"\n")


def _bring(entry: ModelEntry, folder: Path, source: Path | None, progress: Progress) -> None:
    """Have one file here, and only the right one. Raises `ModelError`."""
    part = folder / f"{entry.file}.part"
    sha256 = _fetch(entry, part, progress) if source is None else _copy(source / entry.file, part, progress)
    if sha256 != entry.sha256:
        part.unlink()
        where = entry.url if source is None else source
        raise ModelError(
            f"{entry.file}: what {where} has is another file (SHA-256 {sha256[:16]}..., the manifest's with "
            f"{entry.sha256[:16]}...), and is thrown away; find the one that the manifest names"
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(folder / entry.file)
    sync_folder(folder)


def _fetch(entry: ModelEntry, part: Path, progress: Progress) -> str:
    """The SHA-256 of what came. A `.part` of before that turns out wrong is thrown away, once."""
    if entry.url is None:
        raise ModelError(
            f"{entry.file}: the manifest has no address for it; bring it with --from, or lay it into the folder"
        )
    was_begun = part.exists()
    if was_begun and sha256_of(part) == entry.sha256:
        return entry.sha256
    sha256 = Download(entry.url, part, entry.size_bytes, progress).fetch()
    if sha256 != entry.sha256 and was_begun:
        part.unlink()
        sha256 = Download(entry.url, part, entry.size_bytes, progress).fetch()
    return sha256


def _copy(path: Path, part: Path, progress: Progress) -> str:
    try:
        with path.open("rb") as theirs, part.open("wb") as ours:
            shutil.copyfileobj(theirs, ours)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: is not there; bring it, or leave --from away to fetch it") from error
    size = part.stat().st_size
    progress(part.stem, size, size)
    return sha256_of(part)


def _is_right(path: Path, entry: ModelEntry) -> bool:
    try:
        return sha256_of(path) == entry.sha256
    except OSError:
        return False


def _pulled(entry: ModelEntry, origin: str) -> Pulled:
    return Pulled(entry.file, entry.sha256, entry.licence, origin)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """A folder that there is. What the disk says against it is a `ModelError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror or error}); make room, or choose --dir"
        ) from error
