"""Reads the source of another version: a bundle (tar file or folder) or one wheel, with the SHA-256 of each file.

The digests are in `SHA256SUMS`, in the format of sha256sum(1). They prove that the copy equals the packed file. The
signature over them (`gated.update.signature`) proves who packed it. Every file is first copied to a folder of root, and
verified there. Only the verified copy is used.
"""

import logging
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO

from gated.bounded import MOST_KEYS, TooLongError, copy_file, open_plain, read, sha256
from gated.errors import UpdateError
from gated.update.archive import members_of
from gated.update.listing import MOST_ALL, MOST_FILES, MOST_SUMS, SUMS, listed, name_of
from gated.update.release import version_order
from gated.update.root_only import check_roots
from gated.update.signature import KEYS, SIGNATURE, Key, check, read_keys

log = logging.getLogger(__name__)

DESCRIBING = {SUMS: MOST_SUMS, SIGNATURE: MOST_KEYS, KEYS: MOST_KEYS}
"""Files that describe the other files, and the largest size of each in bytes."""
UNREADABLE = (OSError, tarfile.TarError, EOFError, UnicodeDecodeError)
"""Errors of a source that cannot be read."""


class ReleaseSource:
    """One source to install from. Its methods raise `UpdateError` if the source is not valid."""

    def __init__(self, path: Path) -> None:
        self.path, self.is_wheel = path, path.suffix == ".whl"
        if not path.exists():
            raise UpdateError(f"{path}: does not exist; name a bundle, a folder with wheels, or a wheel")

    @cached_property
    def version(self) -> str:
        """Return the version of the one gated wheel in the source, as first read. `bring` detects a later change."""
        wheels = [name for name in map(name_of, self._names()) if name.startswith("gated-") and name.endswith(".whl")]
        if len(wheels) != 1:
            raise UpdateError(f"{self.path}: has {len(wheels)} wheels of gated instead of one; pack it again")
        version = wheels[0].split("-")[1]
        version_order(version)
        return version

    def bring(self, folder: Path, believed: Sequence[Key] = ()) -> Key | None:
        """Copy the wheels into a folder that only root can change, and verify each. Return the key that signed them.

        `believed`: the gate's release keys; one of them must have signed. If the gate trusts no key yet, the key in the
        source counts: the gate trusts it from the installation on.
        """
        version = self.version
        try:
            found = self._signed(folder, believed)
            self._bring_wheels(folder)
        except TooLongError as error:
            raise UpdateError(f"{self.path}: {name_of(error.filename)} {error.strerror}; copy it again") from error
        except UNREADABLE as error:
            raise UpdateError(f"{self.path}: cannot be read ({error}); copy it again, with its {SUMS}") from error
        if len(list(folder.glob(f"gated-{version}-*.whl"))) != 1:
            raise UpdateError(f"{self.path}: changed while it was read; copy it again")
        return found

    def trouble(self, believed: Sequence[Key]) -> str:
        """Return why a gate with these keys would refuse the source; empty if it would not.

        Checks the signature only.
        """
        with tempfile.TemporaryDirectory(prefix="gated-source-") as name:
            try:
                self._signed(Path(name), believed)
            except (*UNREADABLE, UpdateError) as error:
                return str(error)
        return ""

    def is_the_origin_of(self, wheels: Path) -> bool:
        """Return whether a folder of wheels was brought from this very list of digests. False if one is not read."""
        with tempfile.TemporaryDirectory(prefix="gated-source-") as name:
            try:
                self._copy(Path(name), {SUMS: MOST_SUMS})
                return read(Path(name) / SUMS, MOST_SUMS) == read(wheels / SUMS, MOST_SUMS)
            except (*UNREADABLE, UpdateError):
                return False

    def _signed(self, folder: Path, believed: Sequence[Key]) -> Key | None:
        """Copy only the files in `DESCRIBING` and return the key that signed them."""
        for name in DESCRIBING:
            (folder / name).unlink(missing_ok=True)
        self._copy(folder, DESCRIBING)
        found = signer(folder, believed, self.path)
        if not (folder / SIGNATURE).exists():
            (folder / KEYS).unlink(missing_ok=True)  # never trust a key that signed nothing, not even later
        return found

    def _bring_wheels(self, folder: Path) -> None:
        """Copy each wheel in the list, up to its listed size, and verify its digest."""
        sums = listed(read(folder / SUMS, MOST_SUMS).decode(), self.path)
        wheels = [name for name in map(name_of, self._names()) if name.endswith(".whl")]
        digests = {KEYS: sha256(folder / KEYS, MOST_KEYS)} if (folder / KEYS).exists() else {}
        for name in (*wheels, *digests):
            if name not in sums:
                raise UpdateError(f"{self.path}: {name} does not match {SUMS}; copy the file again")
        digests |= self._copy(folder, {name: sums[name].most for name in wheels})
        for name, digest in digests.items():
            if digest != sums[name].digest:
                (folder / name).unlink()
                raise UpdateError(f"{self.path}: {name} does not match {SUMS}; copy the file again")

    def _names(self) -> list[str]:
        """Return the files in the source, with their folders."""
        try:
            if self.is_wheel:
                beside = [self.path.with_name(name) for name in DESCRIBING]
                return [str(self.path), *(str(path) for path in beside if path.is_file())]
            if self.path.is_dir():
                return [str(path) for path in sorted(_few(self.path)) if path.is_file()]
            with members_of(self.path) as members:
                return [name for name, _ in members]
        except (OSError, tarfile.TarError, EOFError) as error:
            why = str(error).partition(":\n")[0]  # drop the messages that tarfile adds for each decompressor
            raise UpdateError(f"{self.path}: cannot be read ({why}); copy the file again") from error

    def _copy(self, folder: Path, most: Mapping[str, int]) -> dict[str, str]:
        """Copy the files of these names, up to `most` bytes each, from any folder in the source. Return the digest of
        each.

        Paths in an archive never decide where a file goes.
        """
        digests: dict[str, str] = {}
        remaining_bytes = MOST_ALL
        with self._opened() as files:
            for name, file in files:
                if name in digests:
                    raise UpdateError(f"{self.path}: contains {name} twice; pack it again")
                if name in most:
                    digests[name] = copy_file(file, folder / name, min(most[name], remaining_bytes), 0o644)
                    remaining_bytes -= (folder / name).stat().st_size
        return digests

    @contextmanager
    def _opened(self) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
        """Yield the name without folders and the open file of each file in the source, one after another."""
        if self.is_wheel or self.path.is_dir():
            yield ((name_of(name), file) for name in self._names() for file in _open(Path(name)))
            return
        with members_of(self.path) as members:
            yield ((name_of(name), file) for name, file in members)


def signer(folder: Path, believed: Sequence[Key], origin: object) -> Key | None:
    """Return the key that signed the digests in a folder; None if they are unsigned and `believed` is empty.

    If `believed` is empty, uses the keys beside the digests. Raises `UpdateError`, `OSError` and `UnicodeDecodeError`.
    """
    if not (folder / SIGNATURE).exists():
        if believed:
            raise UpdateError(f"{origin}: is not signed, and this gate requires a signature; sign it with `gated "
                              f"bundle --sign`, or its {SUMS} with ssh-keygen")  # fmt: skip
        return None
    keys = believed or (read_keys(folder / KEYS) if (folder / KEYS).exists() else ())
    if not keys:
        return None
    return check(read(folder / SUMS, MOST_SUMS), read(folder / SIGNATURE, MOST_KEYS).decode("ascii"), keys, origin)


def sources_in(place: Path) -> list[ReleaseSource]:
    """Return the sources in a folder, oldest first. Logs and skips a source that cannot be read.

    Raises `UpdateError` if the folder cannot be read, or if anyone but root may change the folder or a file in it.
    """
    check_roots(place)
    try:
        paths = [path for path in place.iterdir() if path.suffix in {".whl", ".tar"} or (path / SUMS).is_file()]
    except OSError as error:
        raise UpdateError(f"{place}: cannot be read ({error.strerror}); correct --from") from error
    return sorted(_whole(map(ReleaseSource, paths)), key=lambda source: version_order(source.version))


def _whole(sources: Iterable[ReleaseSource]) -> Iterator[ReleaseSource]:
    """Yield the sources that can be read. An incompletely copied source does not block the others."""
    for source in sources:
        try:
            version_order(source.version)
        except UpdateError as error:
            log.warning("skipped: %s", error)
        else:
            yield source


def _open(path: Path) -> Iterator[IO[bytes]]:
    with open_plain(path) as file:
        yield file


def _few(folder: Path) -> list[Path]:
    """Return all files in a folder and its subfolders. Raises `UpdateError` for more than `MOST_FILES`."""
    found = list(islice(folder.rglob("*"), MOST_FILES + 1))
    if len(found) > MOST_FILES:
        raise UpdateError(f"{folder}: has more than {MOST_FILES} files; name the folder of one bundle")
    return found
