"""Writes a small file completely or not at all, and syncs it to disk before it returns."""

import os
from contextlib import suppress
from pathlib import Path


def atomic_write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Create or replace a file with permission bits `mode`. By default only its owner may read it.

    Raises `OSError`; the old file then stays.
    """
    _replace(path, data, None, mode)


def atomic_rewrite(path: Path, data: bytes) -> None:
    """Replace an existing file. Keeps its owner, group and permission bits.

    Raises `OSError`; the old file then stays.
    """
    _replace(path, data, path.stat())


def create_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a new file with permission bits `mode`, and sync it to disk. Never overwrites and follows no link.

    Raises `OSError`.
    """
    _write_new(path, data, mode)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's list of files to disk. Raises `OSError`."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _replace(path: Path, data: bytes, like: os.stat_result | None, mode: int = 0o600) -> None:
    aside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        os.unlink(aside)  # noqa: PTH108 - it may be a link, or a hard link to another user's file
    _write_new(aside, data, mode, like)
    os.replace(aside, path)  # noqa: PTH105 - the tests of a power cut replace `os`
    sync_folder(path.parent)


def _write_new(path: Path, data: bytes, mode: int, like: os.stat_result | None = None) -> None:
    """Write and sync a new file. `like`: the file whose owner, group and permission bits it gets."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        if like is not None:
            os.fchown(number, like.st_uid, like.st_gid)
            os.fchmod(number, like.st_mode)
        while data:
            data = data[os.write(number, data) :]
        os.fsync(number)
    finally:
        os.close(number)
