"""Rescue reads all that is readable from a read-only or damaged database, and changes nothing on the disk."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from gated.errors import DiskError, TornError
from gated.storage import database, rescue, salvage, sql, unchecked_copy

NOTES = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (length(text) > 3)) STRICT",)
MANY = 400


def texts(connection):
    return [row[0] for row in connection.execute("SELECT text FROM notes ORDER BY id").fetchall()]


def note(connection, *said):
    connection.executemany("INSERT INTO notes (text) VALUES (?)", [(text,) for text in said])


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def path(disk):
    return disk.folder / "notes.db"


@pytest.fixture
def filled(path):
    """Return a database of several pages that was closed correctly."""
    with closing(database.connect(path, NOTES)) as connection:
        note(connection, *(f"note {number} {'x' * 80}" for number in range(MANY)))
    return path


def crashed(path, *said):
    """Return a database whose writer was killed. The rows are in the write-ahead log only."""
    code = (
        "import sys, os; from pathlib import Path; from gated.storage import database\n"
        "connection = database.connect(Path(sys.argv[1]), (sys.argv[2],))\n"
        "connection.executemany('INSERT INTO notes (text) VALUES (?)', [(text,) for text in sys.argv[3:]])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path, *NOTES, *said], check=True)


def damage(path, *pages, by=b"\0"):
    with path.open("r+b") as file:
        for page in pages:
            file.seek(4096 * page)
            file.write(by * 4096)


def test_on_a_read_only_disk_everything_is_read_also_what_lies_in_the_log_alone(filled, disk):
    crashed(filled, "revoked")
    (filled.parent / "notes.db-shm").unlink()
    before = digests(disk.folder)
    disk.freeze()
    best = rescue.open_best(filled, NOTES)
    assert texts(best.connection)[-1] == "revoked"
    assert len(texts(best.connection)) == MANY + 1
    assert "notes.db" in best.why
    assert digests(disk.folder) == before
    best.connection.close()


def test_a_copy_takes_no_write(filled, disk):
    disk.freeze()
    best = rescue.open_best(filled, NOTES)
    with pytest.raises(sqlite3.OperationalError, match="readonly"), sql.transaction(best.connection):
        note(best.connection, "more")
    best.connection.close()


def test_a_database_that_was_never_made_is_an_empty_copy_on_a_disk_that_takes_none(path, disk):
    disk.freeze()
    best = rescue.open_best(path, NOTES)
    assert texts(best.connection) == []
    assert best.why
    disk.thaw()
    assert not path.exists()
    best.connection.close()


def test_a_disk_that_can_be_written_gives_the_database_itself(filled):
    best = rescue.open_best(filled, NOTES)
    note(best.connection, "more")
    assert (best.why, best.torn) == ("", frozenset())
    best.connection.close()


@pytest.mark.parametrize("left", ["nothing", "no bytes"])
def test_the_log_without_its_database_gives_what_was_never_written_back(path, left):
    crashed(path, "first", "second")
    assert (path.parent / "notes.db-wal").stat().st_size
    path.unlink()
    (path.parent / "notes.db-shm").unlink()
    if left == "no bytes":
        path.touch()
    before = digests(path.parent)
    with closing(unchecked_copy.copy_unchecked(path)) as copy:
        assert texts(copy) == ["first", "second"]
    assert digests(path.parent) == before


def test_of_a_damaged_database_every_row_is_taken_that_can_be_read(filled):
    damage(filled, 5, by=b"\xa5")
    fresh, torn = salvage.readable_copy(filled, NOTES, lambda *_: None)
    found = texts(fresh)
    assert torn == {"notes"}
    assert MANY / 2 < len(found) < MANY
    assert found[0].startswith("note 0 ")
    assert found[-1].startswith(f"note {MANY - 1} "), "also what lies behind the damage"
    fresh.close()


def test_a_row_that_is_not_what_its_table_wants_is_left_out(filled):
    content = filled.read_bytes()
    filled.write_bytes(content.replace(b"note 7 " + b"x" * 80, b"note 7 " + b"\xff" * 80))
    fresh, torn = salvage.readable_copy(filled, NOTES, lambda *_: None)
    assert len(texts(fresh)) == MANY, "odd bytes are odd characters, and cost no row"
    assert torn == frozenset()
    fresh.close()


def test_a_careful_caller_learns_of_losses_before_reading(filled):
    damage(filled, 4, 5, 6)
    told = []
    fresh, _ = salvage.readable_copy(
        filled, NOTES, lambda connection, torn, _: told.append((len(texts(connection)), set(torn)))
    )
    assert told == [(len(texts(fresh)), {"notes"})]
    fresh.close()


@pytest.mark.parametrize(
    "ruin",
    [
        lambda path: path.write_bytes(b"no database at all" * 300),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: os.truncate(path, 5000),
        lambda path: damage(path, 0),
        lambda path: damage(path, 1, 2, 3, 4, 5),
    ],
    ids=["nonsense", "empty", "100 bytes", "cut in a page", "no header", "pages of zeros"],
)
def test_no_damage_of_a_file_is_worse_than_a_loss(filled, ruin):
    ruin(filled)
    fresh, _ = salvage.readable_copy(filled, NOTES, lambda *_: None)
    assert len(texts(fresh)) <= MANY
    fresh.close()


def test_a_damaged_database_on_a_read_only_disk_is_reported_as_damaged(filled, disk):
    damage(filled, 5, by=b"\xa5")
    disk.freeze()
    with pytest.raises(TornError, match="damaged"):
        rescue.open_best(filled, NOTES)
    best = rescue.open_best(filled, NOTES, why="it is damaged")
    assert len(texts(best.connection)) > MANY / 2
    best.connection.close()


def test_setting_aside_deletes_nothing_and_makes_room(filled):
    crashed(filled, "last")
    before = digests(filled.parent)
    kept = rescue.set_aside(filled)
    after = digests(filled.parent)
    assert sorted(after.values()) == sorted(before.values())
    assert rescue.aside(filled) == [kept]
    assert not filled.exists()
    with closing(unchecked_copy.copy_unchecked(kept)) as copy:
        assert texts(copy)[-1] == "last", "its log goes with it"


def test_a_replacement_is_complete_or_the_damaged_file_stays(filled, disk):
    fresh, _ = salvage.readable_copy(filled, NOTES, lambda *_: None)
    before = digests(disk.folder)
    disk.fill()
    if disk.is_its_own:
        before["ballast"] = digests(disk.folder)["ballast"]
    with pytest.raises(DiskError):
        rescue.replace_database(fresh, filled)
    assert {name: digest for name, digest in digests(disk.folder).items() if not name.endswith(".new")} == before
    disk.make_room()
    kept = rescue.replace_database(fresh, filled)
    assert digests(disk.folder)[kept.name] == before["notes.db"]
    with closing(database.connect(filled, NOTES)) as connection:
        assert len(texts(connection)) == MANY
    fresh.close()


def test_a_block_that_the_disk_does_not_give_back_is_zeros_and_the_rest_is_read(filled, monkeypatch):
    pread = os.pread

    def fails_once(number, length, at):
        if at == 5 * 4096:
            raise OSError(5, "Input/output error")
        return pread(number, length, at)

    monkeypatch.setattr(unchecked_copy.os, "pread", fails_once)
    fresh, torn = salvage.readable_copy(filled, NOTES, lambda *_: None)
    assert torn == {"notes"}
    assert len(texts(fresh)) > MANY / 2
    fresh.close()


def test_a_database_that_can_be_done_without_is_begun_anew(filled):
    damage(filled, 3)
    best, is_new = rescue.open_or_replace(filled, NOTES)
    assert (is_new, texts(best.connection)) == (True, [])
    best.connection.close()
    best, is_new = rescue.open_or_replace(filled, NOTES)
    assert not is_new
    best.connection.close()
