"""Where another version comes from: a bundle (a tar file or a folder), or one wheel, with the SHA-256 of each file.

The digests are in a file `SHA256SUMS` as sha256sum(1) writes it. They prove that what was copied is what was packed;
that it is ours is proved by who brings it: root alone may name a source.
"""

import hashlib
import os
import shutil
import stat
import tarfile
from pathlib import Path

from gated.errors import UpdateError
from gated.update.release import order

SUMS = "SHA256SUMS"
CONSTRAINTS = "constraints.txt"
"""What pip is held to, where a bundle says so."""


class Source:
    """Something to install from. Everything raises `UpdateError` where it is not what it should be."""

    def __init__(self, path: Path) -> None:
        self.path, self.is_wheel = path, path.suffix == ".whl"
        if not path.exists():
            raise UpdateError(f"{path}: is not there; name a bundle, a folder with wheels, or a wheel")

    @property
    def version(self) -> str:
        """Of the one gated in it."""
        ours = [name for name in map(_name, self._names()) if name.startswith("gated-") and name.endswith(".whl")]
        if len(ours) != 1:
            raise UpdateError(f"{self.path}: has {len(ours)} wheels of gated, and should have one; pack it anew")
        version = ours[0].split("-")[1]
        order(version)
        return version

    def bring(self, folder: Path) -> None:
        """Copy the wheels into a folder that is there, and prove each copy by its digest."""
        try:
            self._copy(folder)
            sums = _sums((folder / SUMS).read_text("utf-8"))
            for path in sorted(folder.iterdir()):
                if path.name != SUMS and sums.get(path.name) != _sha256(path):
                    raise UpdateError(f"{self.path}: {path.name} is not what {SUMS} says; bring the file anew")
        except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
            raise UpdateError(f"{self.path}: cannot be read ({error}); bring it anew, with its {SUMS}") from error

    def _names(self) -> list[str]:
        """The files in it, with their folders."""
        try:
            if self.is_wheel:
                return [str(self.path), str(self.path.with_name(SUMS))]
            if self.path.is_dir():
                return [str(path) for path in sorted(self.path.rglob("*")) if path.is_file()]
            with tarfile.open(self.path) as tar:
                return [member.name for member in tar.getmembers() if member.isfile()]
        except (OSError, tarfile.TarError, EOFError) as error:
            why = str(error).partition(":\n")[0]  # tarfile goes on with what each decompressor thinks of it
            raise UpdateError(f"{self.path}: cannot be read ({why}); bring the file anew") from error

    def _copy(self, folder: Path) -> None:
        """What is wanted of it, by its name alone: nothing in an archive says where it goes."""
        wanted = [name for name in self._names() if _name(name) in {SUMS, CONSTRAINTS} or name.endswith(".whl")]
        if self.is_wheel or self.path.is_dir():
            for name in wanted:
                shutil.copyfile(name, folder / _name(name))
            return
        with tarfile.open(self.path) as tar:
            for name in wanted:
                if (file := tar.extractfile(name)) is not None:
                    with (folder / _name(name)).open("wb") as copy:
                        shutil.copyfileobj(file, copy)


def sources_in(place: Path) -> list[Source]:
    """What can be installed from a folder, oldest first.

    Raises `UpdateError` where the folder cannot be read, or others than its owner may write it: what lies there runs.
    """
    try:
        if place.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UpdateError(f"{place}: others may write it, and what lies there would run; chmod go-w it")
        paths = [path for path in place.iterdir() if path.suffix in {".whl", ".tar"} or (path / SUMS).is_file()]
    except OSError as error:
        raise UpdateError(f"{place}: cannot be read ({error.strerror}); mend --from") from error
    return sorted(map(Source, paths), key=lambda source: order(source.version))


def _name(path: str) -> str:
    return path.rpartition(os.sep)[2]


def _sums(text: str) -> dict[str, str]:
    """Digests by name; a line is the digest, a blank, a blank or a star, and the path."""
    lines = (line.partition(" ") for line in text.splitlines())
    return {_name(path.strip().removeprefix("*")): digest for digest, _, path in lines}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
