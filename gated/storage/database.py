"""Opens SQLite databases with the right options: acknowledged data is on disk, and erased data cannot be restored. All
databases use this module.

`connect` opens a database. A store keeps the connection in a `Guard`. The guard turns errors of SQLite into errors of
gated that name the file.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

from gated.storage.migrations import migrate
from gated.storage.read_only import connect_read_only, is_read_only_mode
from gated.storage.sql import as_text, prepare, transaction
from gated.storage.sqlite_errors import SQL_ERRORS, gated_error, state_error


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a database, readable only by its owner, and apply the missing migrations.

    Raises `DiskError` if the folder or the file cannot be written, `TornError` if the file is damaged, and `StateError`
    if a newer gated wrote it.
    """
    if is_read_only_mode():
        return connect_read_only(path, migrations)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory, connection.text_factory = sqlite3.Row, as_text
            prepare(connection)
            migrate(connection, migrations)
        except SQL_ERRORS:
            connection.close()
            raise
    except (OSError, *SQL_ERRORS) as error:
        raise state_error(error, path) from error
    return connection


class Guard:
    """Gives one connection inside a context, and turns errors of SQLite into errors that name `file`.

    Raises `BusyError` and `StateError`, or what `error` makes of an error of SQLite. `lock` is held inside the context.
    One object serves every `with` statement, also nested ones: this is cheaper than a generator for each.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: Path,
        lock: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - has no state
        error: Callable[[sqlite3.Error | UnicodeDecodeError, Path], Exception] = gated_error,
    ) -> None:
        self._connection, self._file, self._lock, self._error = connection, file, lock, error

    def __enter__(self) -> sqlite3.Connection:
        self._lock.__enter__()
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.__exit__(None, None, None)
        if isinstance(error, SQL_ERRORS):
            raise self._error(error, self._file) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one exclusive transaction."""
        with self, transaction(self._connection) as connection:
            yield connection
