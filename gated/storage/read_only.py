"""Opens databases for reading only. Nothing on the disk changes."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path

from gated.errors import StateError
from gated.storage.migrations import is_current, migrate
from gated.storage.sql import as_text
from gated.storage.sqlite_errors import SQL_ERRORS, state_error

_read_only = ContextVar("read_only", default=False)


@contextmanager
def read_only_mode() -> Iterator[None]:
    """Open databases read-only within this context: create, migrate and leave no file.

    Used by commands that any user may run, even root: a file that root creates would block the gate's own user.
    """
    token = _read_only.set(True)
    try:
        yield
    finally:
        _read_only.reset(token)


def is_read_only_mode() -> bool:
    """Return whether databases are opened read-only now."""
    return _read_only.get()


def connect_read_only(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database for reading, with the schema of this version. Nothing on the disk changes.

    A missing database is empty. An older one is migrated in memory. Raises `StateError`.
    """
    try:
        if not path.exists():
            if not next(each for each in path.parents if each.exists()).is_dir():
                raise NotADirectoryError("its folder is a file")
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        else:
            connection = open_unchanged(path)
            if not is_current(connection, migrations):
                connection = in_memory(connection)
        connection.row_factory, connection.text_factory = sqlite3.Row, as_text
        migrate(connection, migrations)
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error}); run this as the gate's user, or as root") from error
    except SQL_ERRORS as error:
        raise state_error(error, path) from error
    return connection


def open_unchanged(path: Path) -> sqlite3.Connection:
    """Open the file without creating another file beside it. SQLite would create an index of the write-ahead log.

    Three cases: Another process has it open: log and index exist already. There is no log: the file holds everything
    ("immutable"). There is a log without an index: a crash left it, and a copy is read.
    """
    log, index = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and not index.exists():
        with tempfile.TemporaryDirectory(prefix="gated-", dir=_memory_disk()) as folder:
            for each in (path, log):
                shutil.copyfile(each, Path(folder) / each.name)
            return in_memory(sqlite3.connect(Path(folder) / path.name))
    mode = "mode=ro" if index.exists() else "immutable=1"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, check_same_thread=False
    )


def _memory_disk() -> str | None:
    """Return a folder in memory, so that no copy of personal data is written to a card.

    Return None if there is none.
    """
    return next((folder for folder in ("/dev/shm", "/run") if os.access(folder, os.W_OK)), None)  # noqa: S108


def in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """Copy a database into memory, and close the original."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with closing(source):
        source.backup(memory)
    return memory
