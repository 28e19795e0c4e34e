"""Small files that are written whole or not at all, and are on disk when that is said."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file, or make it; its owner alone may read it. Raises `OSError`, and then the old one stands."""
    _replace(path, data, None)


def rewrite(path: Path, data: bytes) -> None:
    """Replace a file that is there; whose it is and who may read it stays. Raises `OSError`, and then the old one
    stands.
    """
    _replace(path, data, path.stat())


def _replace(path: Path, data: bytes, like: os.stat_result | None) -> None:
    aside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
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
