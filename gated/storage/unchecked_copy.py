"""Copies a database into memory with its write-ahead log, block by block, also from a failing disk."""

import errno
import os
import sqlite3
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from gated.storage.sqlite_errors import SQL_ERRORS

BLOCK_BYTES = 4096
"""The unit of reading, in bytes. A block that the disk cannot read becomes zeros."""
TRIES = 3
"""The number of attempts to copy, while another process writes."""
PARTS = ("", "-wal", "-shm")
"""Suffixes of a database's files (sqlite.org/walformat.html)."""


def copy_unchecked(path: Path) -> sqlite3.Connection:
    """Return the database with its write-ahead log, in memory. Raises `OSError` and `sqlite3.Error` if that fails.

    A log without its database gives the pages that were not written back.
    """
    for _ in range(TRIES):
        before = _stamps(path)
        memory = _read(path)
        if _stamps(path) == before:
            break
        memory.close()  # another process writes: the two files may differ in time
        time.sleep(0.05)
    else:
        memory = _read(path)
    return memory


def _stamps(path: Path) -> list[tuple[int, int]]:
    stamps = []
    for part in PARTS[:2]:
        with suppress(OSError):
            stat = path.with_name(path.name + part).stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
    return stamps


def _read(path: Path) -> sqlite3.Connection:
    with ExitStack() as made:
        copy = Path(made.enter_context(_folder_in_memory())) / "copy.db"
        log_file = path.with_name(f"{path.name}-wal")
        has_log = log_file.exists()
        if path.exists() and path.stat().st_size:
            _copy(path, copy)
        elif not has_log:
            raise FileNotFoundError(errno.ENOENT, "is not there, or empty", str(path))
        if has_log:
            _copy(log_file, copy.with_name("copy.db-wal"))
        if has_log and not copy.exists():
            copy.write_bytes(_first_page(log_file.read_bytes()))  # SQLite deletes the log of an empty database
        source = made.enter_context(closing(sqlite3.connect(copy)))
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            source.backup(memory)
        except SQL_ERRORS:
            memory.close()
            raise
    return memory


def _folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a private folder, in memory if possible. Its content is deleted within a second."""
    wanted = [os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0], "/dev/shm", tempfile.gettempdir()]  # noqa: S108
    for folder in filter(None, wanted):
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix="gated-", dir=folder, ignore_cleanup_errors=True)
    raise OSError("there is too little memory for a copy")


def _copy(source: Path, target: Path) -> None:
    """Copy a file block by block. A block that cannot be read becomes zeros. Raises `OSError`."""
    number = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(number).st_size
        with target.open("wb") as copy:
            for at in range(0, size, BLOCK_BYTES):
                copy.write(_block(number, at, min(BLOCK_BYTES, size - at)))
    finally:
        os.close(number)


def _first_page(log_file: bytes) -> bytes:
    """Return the newest first page in a write-ahead log, or an empty value. The log's header has 32 bytes, the header
    of each frame 24 bytes (sqlite.org/fileformat2, section 4.1).
    """
    size, found = int.from_bytes(log_file[8:12]), b""
    if 512 <= size <= 65536:
        for at in range(32, len(log_file) - 24 - size + 1, 24 + size):
            if int.from_bytes(log_file[at : at + 4]) == 1:
                found = log_file[at + 24 : at + 24 + size]
    return found


def _block(number: int, at: int, length: int) -> bytes:
    try:
        return os.pread(number, length, at)
    except OSError:
        return bytes(length)
