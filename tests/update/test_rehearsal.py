"""Migrates a gate's own rows forward and back: first on copies, then in the real databases."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from gated.errors import StateError, UpdateError
from gated.events import Stopped
from gated.journal.journal import Journal
from gated.storage import database
from gated.update import rehearsal
from gated.update.rehearsal import COPIES, SCHEMAS, go_back, rehearse, shape_of

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    """Return a state folder with every database, and rows in two of them."""
    for name, migrations in SCHEMAS.items():
        database.connect(tmp_path / name, migrations).close()
    add_person(tmp_path, "subject-1")
    with closing(Journal.open(tmp_path, "s", "g")) as journal:
        journal.append(Stopped("asked"), NOW)
    return tmp_path


def add_person(state, subject):
    with closing(sqlite3.connect(state / "people.db", isolation_level=None)) as connection:
        row = (subject, "Wang Fang", "12", "active", NOW.isoformat())
        connection.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at) VALUES (?, ?, ?, ?, ?)", row
        )


def subjects(path):
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT subject FROM people ORDER BY subject")]


def newer(name, script):
    return {name: [*SCHEMAS[name], script]}


def migrate(state, schemas, folder=""):
    """Migrate as a newer version does, at its start or on the copies."""
    for name, migrations in schemas.items():
        database.connect(state / folder / name, migrations).close()


def everything(state):
    return {name: (state / name).read_bytes() for name in SCHEMAS}


COLUMN = "ALTER TABLE people ADD COLUMN note TEXT\n-- back\nALTER TABLE people DROP COLUMN note"


def test_every_database_goes_a_step_forward_and_back_and_is_what_it_was(state):
    step = "CREATE TABLE later (a TEXT) STRICT; INSERT INTO later VALUES ('x')\n-- back\nDROP TABLE later"
    before = {name: shape_of(state / name) for name in SCHEMAS}
    migrate(state, {name: [*migrations, step] for name, migrations in SCHEMAS.items()})
    assert all("later" in shape_of(state / name) for name in SCHEMAS)
    assert go_back(state) == list(SCHEMAS)
    assert {name: shape_of(state / name) for name in SCHEMAS} == before
    migrate(state, SCHEMAS)  # this version opens all databases


def test_rows_of_the_newer_version_are_kept(state):
    migrate(state, newer("people.db", COLUMN))
    add_person(state, "subject-2")
    assert go_back(state) == ["people.db"]
    assert subjects(state / "people.db") == ["subject-1", "subject-2"]


def test_several_steps_go_back_newest_first(state):
    second = "UPDATE people SET note = 'x'; CREATE TABLE b (a)\n-- back\nDROP TABLE b; UPDATE people SET note = NULL"
    migrate(state, {"people.db": [*SCHEMAS["people.db"], COLUMN, second]})
    go_back(state)
    assert subjects(state / "people.db") == ["subject-1"]
    assert go_back(state) == []


def test_the_journal_still_proves_itself_after_the_way_back(state):
    index = "CREATE INDEX by_kind ON event (kind)\n-- back\nDROP INDEX by_kind"
    migrate(state, newer("journal.db", index))
    go_back(state)
    with closing(Journal.open(state, "s", "g")) as journal:
        assert journal.verify() is None
        assert [entry.event for entry in journal.last(5)] == [Stopped("asked")]


def test_a_way_back_that_fails_half_way_changes_nothing(state):
    broken = "CREATE TABLE a1 (a); CREATE TABLE a2 (a)\n-- back\nDROP TABLE a1; DROP TABLE never_there"
    migrate(state, newer("people.db", broken))
    with pytest.raises(StateError, match="cannot go back"):
        go_back(state)
    assert {"a1", "a2"} <= shape_of(state / "people.db").keys()


def test_a_schema_without_a_way_back_is_reported(state):
    migrate(state, newer("people.db", "CREATE TABLE a1 (a)"))
    with pytest.raises(StateError, match="has no undo script"):
        go_back(state)


def test_a_way_back_may_not_leave_rows_that_name_nothing(state):
    cruel = "UPDATE people SET name = 'x'\n-- back\nDELETE FROM people"
    with closing(sqlite3.connect(state / "people.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO consents VALUES ('subject-1', 'recognise', 'paper-1', 'n', 'now')")
    migrate(state, newer("people.db", cruel))
    with pytest.raises(StateError, match="refer to missing rows"):
        go_back(state)
    assert subjects(state / "people.db") == ["subject-1"]


def test_a_rehearsal_leaves_the_databases_alone_and_no_copy(state):
    before = everything(state)
    seen = []

    def other():
        seen.append(subjects(state / COPIES / "people.db"))
        migrate(state, newer("people.db", COLUMN), COPIES)

    rehearse(state, None, other)
    assert seen == [["subject-1"]]
    assert everything(state) == before
    assert not (state / COPIES).exists()


def test_the_copies_are_their_owners_alone(state):
    modes = []
    rehearse(state, None, lambda: modes.append((state / COPIES).stat().st_mode & 0o777))
    assert modes == [0o700]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("CREATE TABLE a1 (a)", "going back would fail"),
        ("CREATE TABLE a1 (a)\n-- back\nDROP TABLE a2", "going back would fail"),
        ("CREATE TABLE a1 (a)\n-- back\nSELECT 1", "changed after migrating"),
        ("CREATE TABLE a1 (a)\n-- back\nDROP TABLE a1; DELETE FROM people", "changed after migrating"),
    ],
)
def test_a_version_with_a_bad_way_back_is_found_out_before_it_runs(state, script, why):
    with pytest.raises(UpdateError, match=why):
        rehearse(state, None, lambda: migrate(state, newer("people.db", script), COPIES))
    assert not (state / COPIES).exists()


def test_a_version_that_cannot_migrate_is_found_out_and_its_copies_are_gone(state):
    def other():
        raise UpdateError("ended with 1")

    with pytest.raises(UpdateError, match="ended with 1"):
        rehearse(state, None, other)
    assert not (state / COPIES).exists()


def test_without_room_for_copies_there_is_no_update(state, monkeypatch):
    monkeypatch.setattr(rehearsal, "SPARE_BYTES", 10**18)
    with pytest.raises(StateError, match="free some space"):
        rehearse(state, None, lambda: None)
    assert not (state / COPIES).exists()


def test_a_copy_is_of_one_moment_also_while_somebody_writes(state):
    writer = sqlite3.connect(state / "people.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM people")
    seen = []
    rehearse(state, None, lambda: seen.append(subjects(state / COPIES / "people.db")))
    writer.execute("ROLLBACK")
    writer.close()
    assert seen == [["subject-1"]]
