"""Guards root against other users in shared folders: root follows no link and writes no file that another user laid
there. `holder` returns the user who owns a place, so that root can act as that user (see `storage.owner`).
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gated.errors import StateError

LINKS = 40
"""Limits the links on one path, as the kernel does (path_resolution(7))."""


def open_own(path: Path, mode: int = 0o600) -> int:
    """Open a file for reading and writing, and create it if it is missing. Return its descriptor.

    Accepts only a regular file with one name. Raises `OSError`, and `StateError` for a link or any other kind of file.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    found = os.fstat(number)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return number
    os.close(number)
    raise StateError(f"{path}: is a link or no plain file; find out its origin, and remove it")


def holder(path: Path) -> tuple[int, int] | None:
    """Return the user and group id of the first folder, file or link on the path that root does not own.

    That user can redirect all writes of root below that point. Returns None if root owns the whole path. Raises
    `OSError`.
    """
    return next(((found.st_uid, found.st_gid) for _, found in path_entries(path) if found.st_uid), None)


def path_entries(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every folder, file and link on a path with its `lstat`, through its links. Stops at the first missing part.

    Raises `OSError`, also for more than `LINKS` links.
    """
    remaining, place = list(path.absolute().parts[1:]), Path("/")
    links = 0
    while remaining:
        part = remaining.pop(0)
        place = place.parent if part == ".." else place / part
        try:
            found = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        yield place, found
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > LINKS:
                raise OSError(f"{path}: has too many links in its path")
            target = place.readlink()
            place, remaining = (Path("/") if target.is_absolute() else place.parent), [*_parts(target), *remaining]


def own_folder(folder: Path, uid: int, gid: int) -> None:
    """Give a folder to a user and group, with mode 0700. Refuses a link to a folder. Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(number, uid, gid)
        os.fchmod(number, 0o700)
    finally:
        os.close(number)


def hand_over(folder: Path, uid: int, gid: int) -> None:
    """Give a folder and its contents to a user and group, and set the folder's mode to 0700.

    Leaves links as they are. Refuses a file with a second name (hard link): it may belong to another folder. Raises
    `OSError`, and `StateError` for such a file.
    """
    own_folder(folder, uid, gid)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for parent, folders, files, number in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in (*folders, *files):
                _give(name, number, folder / parent / name, (uid, gid))
    finally:
        os.close(top)


def _give(name: str, place: int, path: Path, owner: tuple[int, int]) -> None:
    number = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    try:
        found = os.fstat(number)
        if (found.st_uid, found.st_gid) == owner or stat.S_ISLNK(found.st_mode):
            return
        if not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            raise StateError(f"{path}: has a second name (a hard link); remove that name, or copy the file")
        os.chown(f"/proc/self/fd/{number}", *owner)  # the inode just checked, even if the name was replaced
    finally:
        os.close(number)


def _parts(path: Path) -> tuple[str, ...]:
    return path.parts[1:] if path.is_absolute() else path.parts
