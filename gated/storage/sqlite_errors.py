"""Errors of SQLite and of the disk as errors of gated. Each error names the file of its database."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from gated.errors import BusyError, DiskError, StateError, TornError

DISK = (
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOLFS,
)  # fmt: skip
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary result codes (sqlite.org/rescode.html)."""

SQL_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""Exceptions of a statement. `UnicodeDecodeError` occurs if an error message of SQLite quotes a damaged name."""


def gated_error(error: sqlite3.Error | UnicodeDecodeError, file: Path) -> StateError | BusyError:
    """Return the error of gated for an error of SQLite; `BusyError` if another process holds the database."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return BusyError(f"{file}: another process is changing it; try again in a moment")
    return state_error(error, file)


def state_error(error: OSError | sqlite3.Error | UnicodeDecodeError, file: Path) -> StateError:
    """Return the error of gated for an error of the disk or of SQLite. It names `file`."""
    code = getattr(error, "sqlite_errorcode", None)  # errors that sqlite3 itself raises have no code
    if isinstance(error, UnicodeDecodeError) or (code is not None and code & 0xFF in DAMAGED):
        return TornError(f"{file}: is damaged ({error}); restart the gate: it keeps the readable rows")
    if isinstance(error, OSError) or (code is not None and code & 0xFF in DISK):
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if is_mounted_read_only(file):
            reason = "the disk is read-only"
        return DiskError(
            f"{file}: cannot be used ({reason}); check that the folder is writable and the disk is not full"
        )
    return StateError(f"{file}: cannot be used ({error}); check the disk, and the version of gated that wrote the file")


def is_mounted_read_only(path: Path) -> bool:
    """Return whether the file's disk is mounted read-only. SQLite has no separate error for this case."""
    with suppress(OSError):
        return path.is_absolute() and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return False
