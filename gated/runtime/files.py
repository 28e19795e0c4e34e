"""Small files that are written whole or not at all, and are on disk when that is said; and how root writes where others
may write too: never through a link or into a file that was laid there, and best as the one whose place it is.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gated.errors import StateError

LINKS = 40
"""So many links on one way, as the kernel follows (path_resolution(7))."""


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file, or make it; as `mode` is, its owner alone may read it. Raises `OSError`, and then the old one
    stands.
    """
    _replace(path, data, None, mode)


def rewrite(path: Path, data: bytes) -> None:
    """Replace a file that is there; whose it is and who may read it stays. Raises `OSError`, and then the old one
    stands.
    """
    _replace(path, data, path.stat())


def _replace(path: Path, data: bytes, like: os.stat_result | None, mode: int = 0o600) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)  # what lies there may be a link, or another name of somebody's file
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        if like is not None:
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), like.st_mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put on disk which files a folder has. Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def open_own(path: Path, mode: int = 0o600) -> int:
    """A file to read and to write, made where there is none: a plain one, no link, and of that one name alone.

    Gives its number. Raises `OSError`, and `StateError` where something else lies there.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return number
    os.close(number)
    raise StateError(f"{path}: is no plain file of its own name alone; see who laid it there, and take it away")


def holder(path: Path) -> tuple[int, int] | None:
    """Whose place a path is: user and group of the first folder, file or link on the way to it that is not root's.

    From there on what root would write is theirs to turn elsewhere. None: all of the way is root's. Raises `OSError`.
    """
    return next(((found.st_uid, found.st_gid) for _, found in way_to(path) if found.st_uid), None)


def way_to(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every folder, file and link on the way to a path, through its links, as far as there is any. Raises `OSError`."""
    left, way = list(path.absolute().parts[1:]), Path("/")
    links = 0
    while left:
        part = left.pop(0)
        way = way.parent if part == ".." else way / part
        try:
            found = way.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        yield way, found
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > LINKS:
                raise OSError(f"{path}: has too many links on its way")
            target = way.readlink()
            way, left = (Path("/") if target.is_absolute() else way.parent), [*_parts(target), *left]


def own_folder(folder: Path, uid: int, gid: int) -> None:
    """Make a folder somebody's, and closed to others; a link to one is refused. Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(number, uid, gid)
        os.fchmod(number, 0o700)
    finally:
        os.close(number)


def hand_over(folder: Path, uid: int, gid: int) -> None:
    """Make a folder and all in it somebody's, and closed to others.

    Links are left as they are, and nothing is given that has a second name, for that may be in another's folder.
    Raises `OSError`, and `StateError` for such a file.
    """
    own_folder(folder, uid, gid)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for where, folders, files, number in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in (*folders, *files):
                _give(name, number, folder / where / name, (uid, gid))
    finally:
        os.close(top)


def _give(name: str, place: int, path: Path, owner: tuple[int, int]) -> None:
    number = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        found = os.fstat(number)
        if (found.st_uid, found.st_gid) == owner or stat.S_ISLNK(found.st_mode):
            return
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            raise StateError(f"{path}: has another name elsewhere; take it away, or copy it to a file of its own")
        os.chown(f"/proc/self/fd/{number}", *owner)  # what was looked at, whatever has its name by now
    finally:
        os.close(number)


def _parts(path: Path) -> tuple[str, ...]:
    return path.parts[1:] if path.is_absolute() else path.parts
