"""Opens, writes and removes files that the caller of a command names.

Root uses root's rights only where no other user can write. In all other places it acts as the owner of the place, even
while the command acts as another user (see `storage.owner`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated.atomic_files import atomic_write, create_file
from gated.bounded import read_given
from gated.storage.owner import acting_as, acting_as_oneself, as_holder_of, owner_of_folder

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where files are, among devices
"""A folder of ordinary files under /dev."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Act, until the end of the block, as the user who may open a file or folder that the caller names.

    Raises `StateError` if another user may write to one of root's folders on the path.
    """
    with acting_as_oneself(), as_holder_of(path):
        yield


def read_named(path: Path, most: int) -> bytes:
    """Return the contents of a file or pipe, up to `most` bytes. Raises `OSError` and `StateError`."""
    with reading(path):
        return read_given(path, most)


def write_named(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all. Replaces an existing file or link. `mode`: permission bits of the file.

    Raises `OSError` and `StateError`.
    """
    with replacing(path):
        if _is_stream(path):
            path.write_bytes(data)
        else:
            atomic_write(path, data, mode)


def make_named(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read. Never overwrites. Raises `OSError` and `StateError`."""
    with replacing(path):
        create_file(path, data)


def remove_named(path: Path) -> None:
    """Remove a file if it exists. Raises `OSError` and `StateError`."""
    with replacing(path):
        path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each as the user who owns that place. Raises `OSError` and `StateError`.

    Another user may make the folder first, so a caller that writes into it must check the owner again.
    """
    for each in reversed((folder, *folder.parents)):
        with acting_as_oneself():
            exists = each.exists()
        if not exists:
            with reading(each):
                each.mkdir(exist_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Act, until the end of the block, as the user who may create or replace an entry at a path."""
    with acting_as_oneself(), acting_as(owner_of_folder(path)):
        yield


def _is_stream(path: Path) -> bool:
    """Return whether the path is the kernel's, such as /dev/stdout. Such a path is written to and never replaced."""
    place = path.absolute()
    return any(place.is_relative_to(each) for each in ("/dev", "/proc")) and not place.is_relative_to(SHARED_MEMORY)
