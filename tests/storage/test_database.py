import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gated.errors import StateError
from gated.storage import database, migrations, sql

NOTES = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",)
NOTES_2 = (*NOTES, "ALTER TABLE notes ADD COLUMN author TEXT; CREATE INDEX notes_author ON notes (author)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "notes.db"


@pytest.fixture
def connection(path: Path):
    connection = database.connect(path, NOTES)
    yield connection
    connection.close()


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row["text"] for row in connection.execute("SELECT text FROM notes ORDER BY id").fetchall()]


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_the_files_are_their_owners_alone(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes (text) VALUES ('x')")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert len(files) == 3  # the database, its log and the log's index
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("busy_timeout", 5000)],
)
def test_a_commit_is_on_disk_and_deleted_content_is_zeroed(
    connection: sqlite3.Connection, pragma: str, value: object
) -> None:
    assert connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value


def test_a_database_of_the_previous_shape_is_brought_up_to_date_with_its_rows(path: Path) -> None:
    old = database.connect(path, NOTES)
    old.execute("INSERT INTO notes (text) VALUES ('kept')")
    old.close()
    new = database.connect(path, NOTES_2)
    assert tuple(new.execute("SELECT text, author FROM notes").fetchone()) == ("kept", None)
    assert migrations.applied(new) == 2
    new.close()


def test_a_migration_that_fails_changes_nothing_at_all(path: Path) -> None:
    database.connect(path, NOTES).close()
    broken = (*NOTES, "ALTER TABLE notes ADD COLUMN author TEXT; CREATE TABLE notes (id INTEGER)")
    with pytest.raises(StateError, match="already exists"):
        database.connect(path, broken)
    old = database.connect(path, NOTES)
    assert [column["name"] for column in old.execute("PRAGMA table_info(notes)")] == ["id", "text"]
    old.close()


def test_a_database_of_a_newer_gated_is_left_alone(path: Path) -> None:
    database.connect(path, NOTES_2).close()
    with pytest.raises(StateError, match="install the newer gated"):
        database.connect(path, NOTES)
    database.connect(path, NOTES_2).close()


BACK_2 = (*NOTES, f"{NOTES_2[1]}\n{migrations.BACK}DROP INDEX notes_author; ALTER TABLE notes DROP COLUMN author")


def test_a_gated_that_does_not_know_a_change_undoes_it_and_keeps_the_rows(path: Path) -> None:
    new = database.connect(path, BACK_2)
    new.execute("INSERT INTO notes (text, author) VALUES ('kept', 'x')")
    new.close()
    assert migrations.go_back(path, len(NOTES)) == 1
    assert migrations.go_back(path, len(NOTES)) == 0
    old = database.connect(path, NOTES)
    assert texts(old) == ["kept"]
    assert [column["name"] for column in old.execute("PRAGMA table_info(notes)")] == ["id", "text"]
    old.close()
    database.connect(path, BACK_2).close()  # and forward again


def test_without_a_way_back_nothing_is_undone(path: Path) -> None:
    database.connect(path, NOTES_2).close()
    with pytest.raises(StateError, match="has no undo script"):
        migrations.go_back(path, len(NOTES))
    database.connect(path, NOTES_2).close()


def test_all_the_ways_back_are_gone_or_none(path: Path) -> None:
    broken = (*BACK_2, f"CREATE TABLE more (a)\n{migrations.BACK}DROP TABLE more; DROP TABLE missing")
    database.connect(path, broken).close()
    with pytest.raises(StateError, match="cannot go back"):
        migrations.go_back(path, len(NOTES))
    still = database.connect(path, broken)
    assert migrations.applied(still) == 3
    still.close()


def test_a_file_that_is_no_database_is_named_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"notes\.db"):
        database.connect(path, NOTES)
    assert path.read_bytes() == b"no database" * 1000


def test_a_folder_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be used"):
        database.connect(tmp_path / "file" / "notes.db", NOTES)


def test_a_current_database_opens_while_another_connection_writes(path: Path, connection: sqlite3.Connection) -> None:
    with sql.transaction(connection):
        connection.execute("INSERT INTO notes (text) VALUES ('half done')")
        second = database.connect(path, NOTES)
        assert texts(second) == []
        second.close()


def test_a_transaction_is_all_or_nothing(connection: sqlite3.Connection) -> None:
    def two_rows() -> None:
        with sql.transaction(connection):
            connection.execute("INSERT INTO notes (text) VALUES ('one')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        two_rows()
    assert texts(connection) == []
    with sql.transaction(connection):
        connection.execute("INSERT INTO notes (text) VALUES ('two')")
    assert texts(connection) == ["two"]


def test_a_commit_that_fails_leaves_no_transaction_open(connection: sqlite3.Connection) -> None:
    connection.executescript(
        "CREATE TABLE replies (note INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED) STRICT"
    )

    def an_orphan() -> None:
        with sql.transaction(connection):
            connection.execute("INSERT INTO replies (note) VALUES (7)")  # SQLite finds this out only at the commit

    with pytest.raises(sqlite3.IntegrityError):
        an_orphan()
    assert not connection.in_transaction
    with sql.transaction(connection):
        connection.execute("INSERT INTO notes (text) VALUES ('goes on')")
    assert texts(connection) == ["goes on"]


def test_a_full_disk_is_reported_and_the_next_transaction_works(connection: sqlite3.Connection) -> None:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    def too_much() -> None:
        with sql.transaction(connection):
            connection.execute("INSERT INTO notes (text) VALUES (?)", ("x" * 100_000,))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        too_much()
    with sql.transaction(connection):
        connection.execute("INSERT INTO notes (text) VALUES ('small')")
    assert texts(connection) == ["small"]


def test_rows_that_are_read_at_once_are_those_that_are_read_with_care(connection: sqlite3.Connection) -> None:
    every = "SELECT * FROM notes ORDER BY id"
    connection.execute("INSERT INTO notes (text) VALUES ('x')")
    for text in ("'y'", "CAST(x'c328ff' AS TEXT)"):
        connection.execute(f"INSERT INTO notes (text) VALUES ({text})")
        assert sql.rows(connection, every) == connection.execute(every).fetchall()
        assert connection.text_factory is sql.as_text
    assert [row["id"] for row in sql.rows(connection, "SELECT id FROM notes WHERE text = ?", ("x",))] == [1]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        sql.rows(connection, "SELECT * FROM nowhere")
    assert connection.text_factory is sql.as_text


def test_deleted_rows_are_in_no_file(path: Path, connection: sqlite3.Connection) -> None:
    secret = "a name that must go"
    with sql.transaction(connection):
        connection.executemany("INSERT INTO notes (text) VALUES (?)", [(f"{secret} {i}",) for i in range(500)])
    connection.execute("INSERT INTO notes (text) VALUES ('stays')")
    assert secret.encode() in everything_in(path.parent)
    connection.execute("DELETE FROM notes WHERE text <> 'stays'")
    assert sql.forget(connection)
    assert secret.encode() not in everything_in(path.parent)
    assert texts(connection) == ["stays"]


def test_forgetting_says_so_when_a_reader_stands_in_the_way(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA busy_timeout = 20")
    connection.execute("INSERT INTO notes (text) VALUES ('secret')")
    reader = database.connect(path, NOTES)
    reader.execute("BEGIN")
    assert texts(reader) == ["secret"]
    connection.execute("DELETE FROM notes")
    assert not sql.forget(connection)
    assert texts(reader) == ["secret"]
    reader.execute("COMMIT")
    assert sql.forget(connection)
    assert b"secret" not in everything_in(path.parent)
    reader.close()


def test_forgetting_says_so_when_a_writer_stands_in_the_way(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA busy_timeout = 20")
    writer = database.connect(path, NOTES)
    with sql.transaction(writer):
        assert not sql.forget(connection)
    assert sql.forget(connection)
    writer.close()


def test_the_version_changes_when_another_connection_has_written_and_only_then(
    path: Path, connection: sqlite3.Connection
) -> None:
    second = database.connect(path, NOTES)
    before = sql.version(connection)
    assert texts(second) == []
    assert sql.version(connection) == before
    second.execute("INSERT INTO notes (text) VALUES ('x')")
    assert sql.version(connection) != before
    second.close()


FIRST_TOGETHER = """
import os, sys
from pathlib import Path
from gated.storage import database

migrations = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",)
children = []
start, go = os.pipe()
for number in range(8):
    if (child := os.fork()) == 0:
        os.close(go)
        os.read(start, 1)  # until the parent lets go, so that all begin at once
        try:
            connection = database.connect(Path(sys.argv[1]), migrations)
            connection.execute("INSERT INTO notes (text) VALUES ('here')")
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(go)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_processes_that_open_a_new_database_at_the_same_moment_all_succeed(tmp_path: Path) -> None:
    for round_ in range(5):
        path = tmp_path / str(round_) / "notes.db"
        done = subprocess.run(
            [sys.executable, "-c", FIRST_TOGETHER, str(path)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        connection = database.connect(path, NOTES)
        assert texts(connection) == ["here"] * 8
        connection.close()


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def from_before(path: Path, scripts: tuple[str, ...]) -> None:
    """Make a database as a gated did that did not use `user_version`."""
    connection = database.connect(path, scripts)
    connection.execute("PRAGMA user_version = 0")
    connection.execute("UPDATE _gated_back SET script = substr(script, 1, instr(script, 'PRAGMA') - 2)")
    connection.execute("INSERT INTO notes (text) VALUES ('kept')")
    connection.close()


def test_a_database_from_before_the_version_number_keeps_its_rows_and_gets_one(path: Path) -> None:
    from_before(path, BACK_2)
    connection = database.connect(path, BACK_2)
    assert (texts(connection), version_of(connection)) == (["kept"], 2)
    connection.close()


def test_an_older_gated_undoes_a_change_and_the_newer_one_makes_it_again(path: Path) -> None:
    """The older gated knows only the record of sqlite-utils. It runs the stored undo script."""
    from_before(path, BACK_2)
    database.connect(path, BACK_2).close()
    old = sqlite3.connect(path, isolation_level=None)
    with sql.transaction(old):
        for statement in migrations.statements(old.execute("SELECT script FROM _gated_back").fetchone()[0]):
            old.execute(statement)
        old.execute("DELETE FROM _gated_back")
        old.execute("DELETE FROM _sqlite_migrations WHERE name = '2'")
    assert version_of(old) == 1
    old.close()
    new = database.connect(path, BACK_2)
    assert tuple(new.execute("SELECT text, author FROM notes").fetchone()) == ("kept", None)
    new.close()


def test_undoing_a_migration_lowers_the_version_number(path: Path) -> None:
    database.connect(path, BACK_2).close()
    migrations.go_back(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 1


def test_a_migration_loads_no_plugin_of_sqlite_utils(path: Path) -> None:
    """A plugin of another package would run in the brain. The search for plugins takes 40 ms."""
    code = f"""
import sys
from pathlib import Path
from gated.storage import database
database.connect(Path(sys.argv[1]), {NOTES_2!r}).close()
from sqlite_utils import plugins
assert not plugins._plugins_loaded
"""
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_a_current_database_opens_without_sqlite_utils(path: Path) -> None:
    database.connect(path, NOTES).close()
    script = f"""
import pathlib, sys
from gated.storage import database
database.connect(pathlib.Path({str(path)!r}), {NOTES!r}).close()
assert "sqlite_utils" not in sys.modules
"""
    subprocess.run([sys.executable, "-P", "-c", script], check=True)
