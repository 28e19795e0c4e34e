"""Brings one model: downloads or copies its sources, verifies them, and converts them.

`model_files` uses it. The result is `FILE.part` in the models' folder, with the digest of the manifest. Each source is
`SOURCE.part` there until the model is installed. So an interrupted pull continues with the received files.

`--from FOLDER` needs no network. The folder, or its subfolder `sources`, holds the finished model or the sources.
`--mirror BASE` replaces the addresses: each source is at `BASE/SOURCE`, under its name in the manifest. A mirror is
such a folder behind HTTPS.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from gated.bounded import TooLongError, UnplainError, copy_file, open_plain, sha256
from gated.errors import ModelError
from gated.face.convert.confined import convert_confined
from gated.face.download import Download, Progress
from gated.face.model_entry import MOST_BYTES, ModelEntry, Source

FOLDERS = ("", "sources")
"""Places on a stick, relative to its folder."""


@dataclass(frozen=True, slots=True)
class Supply:
    """The place that the files come from. `folder`: copy from there; None: download, from `mirror` if it is given.

    `reading`: a context that is entered to open a file of `folder`, for a caller that writes as another user.
    """

    folder: Path | None = None
    mirror: str | None = None
    reading: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext()

    def address(self, source: Source) -> str:
        """Return the address to download a source from."""
        return source.url if self.mirror is None else f"{self.mirror.rstrip('/')}/{source.file}"

    def open(self, name: str) -> BufferedReader | None:
        """Open a file of the folder. Return None if no place has it. Raises `ModelError` and `OSError`."""
        for path in _places(self.folder or Path(), name):
            try:
                with self.reading(path):
                    return open_plain(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except UnplainError as error:
                raise ModelError(f"{path}: {error.strerror}; find the one that the manifest names") from error
        return None


def bring(entry: ModelEntry, folder: Path, supply: Supply, progress: Progress) -> Path:
    """Make `FILE.part` in the models' folder. Return its path. Raises `ModelError`, and `OSError` of the disk."""
    ready = part_of(folder, entry)
    if supply.folder is not None and _copy(entry, folder, supply, progress):
        return ready
    if not entry.origins:
        raise ModelError(_nowhere(entry, supply))
    for source in entry.origins:
        if supply.folder is None:
            _download(source, folder, supply, progress)
        elif not _copy(source, folder, supply, progress):
            raise ModelError(_nowhere(entry, supply))
    parts = [part_of(folder, source) for source in entry.origins]
    if entry.convert == "copy":
        parts[0].replace(ready)
    else:
        _convert(entry, parts, ready)
    return ready


def part_of(folder: Path, wanted: ModelEntry | Source) -> Path:
    """Return the place of a file that is not complete, or not yet verified."""
    return folder / f"{wanted.file}.part"


def is_right(path: Path, wanted: ModelEntry | Source) -> bool:
    """Return whether that file exists with the digest of the manifest."""
    try:
        return sha256(path, wanted.most_bytes) == wanted.sha256
    except OSError:
        return False


def find(folder: Path, wanted: ModelEntry | Source) -> Path | None:
    """Return the file of a stick with the digest of the manifest. None if it has no such file."""
    return next((path for path in _places(folder, wanted.file) if is_right(path, wanted)), None)


def lacking(folder: Path, entry: ModelEntry) -> list[str]:
    """Return the names of the files that a stick lacks for a model. Empty: it has the model, or all sources."""
    if find(folder, entry) is not None:
        return []
    sources = [source for source in entry.origins if find(folder, source) is None]
    return [source.file for source in sources] if entry.origins else [entry.file]


def _places(folder: Path, name: str) -> Iterator[Path]:
    return (folder / below / name for below in FOLDERS)


def _nowhere(entry: ModelEntry, supply: Supply) -> str:
    """Return the next step for a model without a reachable source."""
    if supply.folder is None:
        return f"{entry.file}: the manifest has no address for it; copy it with --from, or put it into the folder"
    names = [source.file for source in entry.origins if source.file != entry.file]
    sources = f", nor all of its sources ({', '.join(names)})" if names else ""
    return f"{supply.folder / entry.file}: file not found{sources}; copy it there, or omit --from to download it"


def _download(source: Source, folder: Path, supply: Supply, progress: Progress) -> None:
    """Complete the part of one source. A wrong file from an old `.part` is fetched again, once. Raises `ModelError`."""
    part, address = part_of(folder, source), supply.address(source)
    was_begun = part.exists()
    if was_begun and is_right(part, source):
        return
    found = Download(address, part, source.size_bytes, progress).fetch()
    if found != source.sha256 and was_begun:
        part.unlink()
        found = Download(address, part, source.size_bytes, progress).fetch()
    _check(source, part, found, address)


def _copy(wanted: ModelEntry | Source, folder: Path, supply: Supply, progress: Progress) -> bool:
    """Copy a plain file from the folder, up to the size in the manifest. Return whether it is there."""
    part, source = part_of(folder, wanted), supply.open(wanted.file)
    if source is None:
        return False
    try:
        with source:
            found = copy_file(source, part, wanted.most_bytes)
    except TooLongError as error:
        origin = (supply.folder or folder) / wanted.file
        raise ModelError(f"{origin}: {error.strerror}; find the one that the manifest names") from error
    size = part.stat().st_size
    progress(wanted.file, size, size)
    _check(wanted, part, found, str(supply.folder))
    return True


def _check(wanted: ModelEntry | Source, part: Path, found: str, origin: str) -> None:
    """Delete a file with another digest. Raises `ModelError` then."""
    if found != wanted.sha256:
        part.unlink()
        raise ModelError(
            f"{wanted.file}: the one from {origin} is another file (SHA-256 {found[:16]}..., not "
            f"{wanted.sha256[:16]}...) and was deleted; find the one that the manifest names"
        )


def _convert(entry: ModelEntry, parts: list[Path], ready: Path) -> None:
    """Convert verified sources, and check the digest of the model. Raises `ModelError`.

    The converter writes to a file without a name. Its copy is verified: a process that the converter left behind cannot
    change that copy later.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(open_plain(part)) for part in parts]
        made = stack.enter_context(tempfile.TemporaryFile(dir=ready.parent))
        try:
            convert_confined(entry.convert, sources, made)
        except ModelError as error:
            names = " and ".join(source.file for source in entry.origins)
            raise ModelError(f"{names}: cannot be converted: {error}") from error
        made.seek(0)
        found = copy_file(made, ready, MOST_BYTES)
    if found != entry.sha256:
        ready.unlink()
        raise ModelError(
            f"{entry.file}: the converted file is not the one in the manifest; report this bug of gated, and copy the "
            "finished file with --from"
        )
