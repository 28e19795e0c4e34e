"""What a rekeying that was interrupted has left: ended where the database has the new keys, taken away where not."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gated.errors import StateError
from gated.runtime.files import sync_folder
from gated.runtime.lock import FileLock

NEW, NUMBER, LOCK = "rekey.new", "number", "rekey.lock"


def settle(folder: Path) -> None:
    """See to it before the office is opened. Raises `BusyError` while somebody is at it, and `StateError`."""
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
            raise StateError(f"{new}: the new keys cannot be put in place ({error.strerror}); make room") from error


def _number_of(new: Path) -> int:
    with suppress(OSError, ValueError):
        return int((new / NUMBER).read_text("ascii"))
    return -1


def _newest(path: Path) -> int:
    """Of the hand-overs in the database; 0 for one from before there were any."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as connection:
        return int(connection.execute("SELECT ifnull(max(number), 0) FROM handovers").fetchone()[0])
    return 0


def _move(new: Path, folder: Path) -> None:
    """Each file in its place; the certificates of further processes are made anew at their next start."""
    for old in folder.glob("office-*.pem"):
        old.with_suffix(".key").unlink(missing_ok=True)
        old.unlink()
    for path in sorted(new.iterdir()):
        if path.name != NUMBER:
            path.replace(folder / path.name)
    sync_folder(folder)
