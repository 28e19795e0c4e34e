"""Files that the caller of a command names: root opens none with its own rights where another user can write.

Each is opened by the one whose place it is, also while the command itself acts as somebody else (see `runtime.owner`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated.bounded import read_given
from gated.runtime.files import sync_folder, write_whole
from gated.runtime.owner import acting_as, as_holder_of, being_oneself, whose_folder

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where files are, among devices


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Until the end of the block we are whoever may open a file or folder that the caller has named.

    Raises `StateError` where others may write a folder of root's on the way.
    """
    with being_oneself(), as_holder_of(path):
        yield


def read_named(path: Path, most: int) -> bytes:
    """What is in a file, or comes out of a pipe, up to `most` bytes. Raises `OSError` and `StateError`."""
    with reading(path):
        return read_given(path, most)


def write_named(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put this into a file: whole or not at all, in the place of a file or link that is there.

    Raises `OSError` and `StateError`.
    """
    with replacing(path):
        if _is_stream(path):
            path.write_bytes(data)
        else:
            write_whole(path, data, mode)


def make_named(path: Path, data: bytes) -> None:
    """Put this into a new file, its owner's alone; nothing that is there is written. Raises `OSError`, `StateError`."""
    with replacing(path):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)


def remove_named(path: Path) -> None:
    """Take away a file, if there is one. Raises `OSError` and `StateError`."""
    with replacing(path):
        path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above that are missing, each by whose place it then is. Raises `OSError`, `StateError`.

    Whoever writes into it asks anew whose it is: another may have made it first.
    """
    for each in reversed((folder, *folder.parents)):
        with being_oneself():
            is_there = each.exists()
        if not is_there:
            with reading(each):
                each.mkdir(exist_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Until the end of the block we are whoever may put a file there, in the place of whatever is there."""
    with being_oneself(), acting_as(whose_folder(path)):
        yield


def _is_stream(path: Path) -> bool:
    """Whether it is the kernel's, such as /dev/stdout: nothing is put in its place."""
    place = path.absolute()
    return any(place.is_relative_to(each) for each in ("/dev", "/proc")) and not place.is_relative_to(SHARED_MEMORY)
