"""Completes or undoes an interrupted rekeying.

Completes it if the database has the new keys; otherwise deletes the new files. `Store.open` uses it.
"""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gated.atomic_files import sync_folder
from gated.errors import StateError
from gated.storage.process_lock import FileLock

NEW, NUMBER, LOCK = "rekey.new", "number", "rekey.lock"


def complete_rekey(folder: Path) -> None:
    """Complete or undo an interrupted rekeying, before the office is opened.

    Raises `BusyError` while another process does so, and `StateError`.
    """
    new = folder / NEW
    if not new.exists():
        return
    with closing(FileLock(folder / LOCK, "`gated office rekey`")):
        try:
            if _number_of(new) == _newest(folder / "office.db"):
                _move(new, folder)
            shutil.rmtree(new)
            sync_folder(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(
                f"{new}: the new keys cannot be moved into place ({error.strerror}); free some space and try again"
            ) from error


def _number_of(new: Path) -> int:
    with suppress(OSError, ValueError):
        return int((new / NUMBER).read_text("ascii"))
    return -1


def _newest(path: Path) -> int:
    """Return the number of the newest hand-over in the database; 0 for a database older than hand-overs."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as connection:
        return int(connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0])
    return 0


def _move(new: Path, folder: Path) -> None:
    """Move each file into place.

    Certificates of other processes are deleted; each process makes a new one at its next start.
    """
    for old in folder.glob("office-*.pem"):
        old.with_suffix(".key").unlink(missing_ok=True)
        old.unlink()
    for path in sorted(new.iterdir()):
        if path.name != NUMBER:
            path.replace(folder / path.name)
    sync_folder(folder)
