"""Where another version comes from: a bundle (a tar file or a folder), or one wheel, with the SHA-256 of each file.

The digests are in a file `SHA256SUMS` as sha256sum(1) writes it. They prove that what was copied is what was packed.
The signature over them (`gated.update.signature`) proves who packed it. All is copied to where only root can change it,
and proved there: what was proved is what is used.
"""

import hashlib
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

from gated.errors import UpdateError
from gated.update.release import order
from gated.update.signature import KEYS, LONGEST, SIGNATURE, Key, check, read_keys
from gated.update.trust import check_roots

log = logging.getLogger(__name__)

SUMS = "SHA256SUMS"
MOST_SUMS_BYTES = 1_000_000
TOLD = {SUMS: MOST_SUMS_BYTES, SIGNATURE: LONGEST, KEYS: LONGEST}
"""What tells about the rest, and how long each may be."""


class Source:
    """Something to install from. Everything raises `UpdateError` where it is not what it should be."""

    def __init__(self, path: Path) -> None:
        self.path, self.is_wheel = path, path.suffix == ".whl"
        if not path.exists():
            raise UpdateError(f"{path}: is not there; name a bundle, a folder with wheels, or a wheel")

    @cached_property
    def version(self) -> str:
        """Of the one gated in it, as it was found first: what changes afterwards is told by `bring`."""
        ours = [name for name in map(_name, self._names()) if name.startswith("gated-") and name.endswith(".whl")]
        if len(ours) != 1:
            raise UpdateError(f"{self.path}: has {len(ours)} wheels of gated, and should have one; pack it anew")
        version = ours[0].split("-")[1]
        order(version)
        return version

    def bring(self, folder: Path, believed: Sequence[Key] = ()) -> Key | None:
        """Copy the wheels into a folder that is root's alone, and prove each copy; gives the key that signed it.

        `believed`: the keys of the gate; one of them must have signed. Where it believes none yet, the source's own
        counts, if there is one: it is what the gate would believe from then on.
        """
        version = self.version
        try:
            for name in TOLD:
                (folder / name).unlink(missing_ok=True)
            self._copy(folder, lambda name: name in TOLD)
            found = signer(folder, believed, self.path)
            if not (folder / SIGNATURE).exists():
                (folder / KEYS).unlink(missing_ok=True)  # a key that has signed nothing is not believed later either
            sums = _sums((folder / SUMS).read_text("utf-8"))
            self._copy(folder, lambda name: name.endswith(".whl"))
            for path in sorted(folder.iterdir()):
                if path.name not in (SUMS, SIGNATURE) and sums.get(path.name) != _sha256(path):
                    raise UpdateError(f"{self.path}: {path.name} is not what {SUMS} says; bring the file anew")
        except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
            raise UpdateError(f"{self.path}: cannot be read ({error}); bring it anew, with its {SUMS}") from error
        if len(list(folder.glob(f"gated-{version}-*.whl"))) != 1:
            raise UpdateError(f"{self.path}: has changed while it was read; bring it anew")
        return found

    def trouble(self, believed: Sequence[Key]) -> str:
        """Why a gate that believes these keys would not take it, as far as its signature tells; empty: it would."""
        with tempfile.TemporaryDirectory(prefix="gated-source-") as name:
            try:
                self._copy(Path(name), lambda each: each in TOLD)
                signer(Path(name), believed, self.path)
            except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError, UpdateError) as error:
                return str(error)
        return ""

    def _names(self) -> list[str]:
        """The files in it, with their folders."""
        try:
            if self.is_wheel:
                beside = [self.path.with_name(name) for name in TOLD]
                return [str(self.path), *(str(path) for path in beside if path.is_file())]
            if self.path.is_dir():
                return [str(path) for path in sorted(self.path.rglob("*")) if path.is_file()]
            with tarfile.open(self.path) as tar:
                return [member.name for member in tar.getmembers() if member.isfile()]
        except (OSError, tarfile.TarError, EOFError) as error:
            why = str(error).partition(":\n")[0]  # tarfile goes on with what each decompressor thinks of it
            raise UpdateError(f"{self.path}: cannot be read ({why}); bring the file anew") from error

    def _copy(self, folder: Path, is_wanted: Callable[[str], bool]) -> None:
        """What is wanted of it, by its name alone: nothing in an archive says where it goes."""
        wanted = [name for name in self._names() if is_wanted(_name(name))]
        if self.is_wheel or self.path.is_dir():
            for name in wanted:
                with Path(name).open("rb") as file:
                    _write(file, folder / _name(name))
            return
        with tarfile.open(self.path) as tar:
            for name in wanted:
                if (found := tar.extractfile(name)) is not None:
                    _write(found, folder / _name(name))


def signer(folder: Path, believed: Sequence[Key], where: object) -> Key | None:
    """Who signed the digests in a folder; None where nobody did and no key is believed yet.

    Where none is believed yet, the keys beside them count. Raises `UpdateError`, `OSError` and `UnicodeDecodeError`.
    """
    if not (folder / SIGNATURE).exists():
        if believed:
            raise UpdateError(f"{where}: is not signed, and this gate takes nothing else; sign it with `gated bundle "
                              f"--sign`, or its {SUMS} with ssh-keygen")  # fmt: skip
        return None
    keys = believed or (read_keys(folder / KEYS) if (folder / KEYS).exists() else ())
    if not keys:
        return None
    return check((folder / SUMS).read_bytes(), (folder / SIGNATURE).read_text("ascii"), keys, where)


def sources_in(place: Path) -> list[Source]:
    """What can be installed from a folder, oldest first; what cannot be read is told in the log and passed over.

    Raises `UpdateError` where the folder cannot be read, or anybody but root may change it or a file in it.
    """
    check_roots(place)
    try:
        paths = [path for path in place.iterdir() if path.suffix in {".whl", ".tar"} or (path / SUMS).is_file()]
    except OSError as error:
        raise UpdateError(f"{place}: cannot be read ({error.strerror}); mend --from") from error
    return sorted(_whole(map(Source, paths)), key=lambda source: order(source.version))


def _whole(sources: Iterable[Source]) -> Iterator[Source]:
    """Those that can be read: one that was not copied whole keeps no other away."""
    for source in sources:
        try:
            order(source.version)
        except UpdateError as error:
            log.warning("passed over: %s", error)
        else:
            yield source


def _write(file: IO[bytes], path: Path) -> None:
    """Copy an open file; of what only tells about others no more than it may have. Raises `UpdateError`."""
    most = TOLD.get(path.name)
    with path.open("wb") as copy:
        if most is None:
            shutil.copyfileobj(file, copy)
            return
        copy.write(text := file.read(most + 1))
    if len(text) > most:
        raise UpdateError(f"{path.name}: is longer than {most} bytes, and no such file; bring it anew")


def _name(path: str) -> str:
    return path.rpartition(os.sep)[2]


def _sums(text: str) -> dict[str, str]:
    """Digests by name; a line is the digest, a blank, a blank or a star, and the path."""
    lines = (line.partition(" ") for line in text.splitlines())
    return {_name(path.strip().removeprefix("*")): digest for digest, _, path in lines}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
