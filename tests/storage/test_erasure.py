import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gated.storage import database, erasure, sql

MIGRATIONS = (f"CREATE TABLE notes (text TEXT) STRICT; {erasure.SCHEMA}",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = database.connect(path, MIGRATIONS)
    connection.execute("PRAGMA busy_timeout = 20")
    yield connection
    connection.close()


def owed(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM erasures").fetchone()[0])


def erase(connection: sqlite3.Connection) -> None:
    with sql.transaction(connection):
        connection.execute("DELETE FROM notes")
        erasure.record_erasure(connection)


def traces(path: Path) -> bool:
    return any(b"secret" in file.read_bytes() for file in path.parent.iterdir())


def test_nothing_owed_writes_nothing(path: Path, connection: sqlite3.Connection) -> None:
    second = database.connect(path, MIGRATIONS)
    before = sql.version(second), connection.total_changes
    assert erasure.finish_erasures(connection)
    assert (sql.version(second), connection.total_changes) == before
    second.close()


def test_a_settled_erasure_leaves_no_trace_and_no_debt(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes VALUES ('secret')")
    erase(connection)
    assert erasure.finish_erasures(connection)
    assert not traces(path)
    assert owed(connection) == 0


def test_an_erasure_that_a_reader_blocks_is_still_owed_after_a_restart(
    path: Path, connection: sqlite3.Connection
) -> None:
    connection.execute("INSERT INTO notes VALUES ('secret')")
    reader = database.connect(path, MIGRATIONS)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM notes").fetchall()
    erase(connection)
    assert not erasure.finish_erasures(connection)
    assert owed(connection) == 1
    connection.close()
    reader.close()
    later = database.connect(path, MIGRATIONS)
    assert erasure.finish_erasures(later)
    assert not traces(path)
    assert owed(later) == 0
    later.close()


def test_an_erasure_that_is_rolled_back_is_not_owed(connection: sqlite3.Connection) -> None:
    def fails() -> None:
        with sql.transaction(connection):
            erasure.record_erasure(connection)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert owed(connection) == 0


def test_a_debt_made_while_another_is_settled_stays(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = database.connect(path, MIGRATIONS)
    forget = sql.forget

    def slowly(mine: sqlite3.Connection) -> bool:
        done = forget(mine)
        erase(second)
        return done

    erase(connection)
    monkeypatch.setattr(sql, "forget", slowly)
    assert erasure.finish_erasures(connection)
    assert owed(connection) == 1
    second.close()


def test_numbers_of_debts_are_never_used_again(connection: sqlite3.Connection) -> None:
    numbers = []
    for _ in range(3):
        erase(connection)
        numbers.append(connection.execute("SELECT max(id) FROM erasures").fetchone()[0])
        assert erasure.finish_erasures(connection)
    assert numbers == [1, 2, 3]
