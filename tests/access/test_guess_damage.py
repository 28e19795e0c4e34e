"""A damaged row in guesses.db allows no extra guess: not at the keypad, not for the household, not at the reader."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gated.access.guess_counts import GuessCounts
from gated.access.guess_store import GUESSES_DB, MIGRATIONS, GuessStore
from gated.config import ReaderSettings
from gated.pin.budget import DAY_S
from gated.storage import database, migrations

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import columns, dice, spoil, values_for

SETTINGS = ReaderSettings(attempts=3, rest_s=3600, household_day=5)
CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "8"))
MADE = 2
PLACES = [("guesses", column) for column in ("number", "place", "at", "copy")]
PLACES += [("clock", column) for column in ("one", "at", "salt", "copy")]


class Life:
    """One run of the brain, from its start to a power failure."""

    def __init__(self, state, time=10.0):
        self.time = time
        self.log = GuessStore(state, lambda: self.time)
        self.guesses = GuessCounts(SETTINGS, self.log.place, self.log.restored)

    def guess(self, households=None):
        made = self.guesses.begin("main", households, self.log.now())
        if made is not None:
            self.log.write(made)
        return made is not None

    def left(self):
        """Return how many more guesses the keypad accepts."""
        return [self.guess() for _ in range(SETTINGS.attempts + 2)].count(True)

    def end(self):
        self.log._connection.close()


@pytest.fixture
def used(tmp_path):
    """Create the state of a gate that ran for three days and took two wrong PINs an hour ago."""
    state = tmp_path / "used"
    life = Life(state)
    life.time += 3 * DAY_S
    for _ in range(MADE):
        assert life.guess()
    life.time += 60
    life.log.store_clock()
    life.end()
    with closing(sqlite3.connect(state / GUESSES_DB)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return state


def test_these_tests_damage_every_column(used):
    assert sorted(columns(used / GUESSES_DB)) == sorted(PLACES)


@pytest.mark.parametrize(("table", "column"), PLACES)
def test_no_damaged_value_restores_a_guess(used, tmp_path, table, column):
    state = tmp_path / "state"
    every = values_for(used / GUESSES_DB, table, column)
    for value in dice(f"guesses {table} {column}").sample(every, min(CASES, len(every))):
        shutil.copytree(used, state)
        if spoil(state / GUESSES_DB, table, column, value):
            said = f"{table}.{column} became {value!r}"
            life = Life(state)
            assert life.left() == SETTINGS.attempts - MADE, said
            life.end()
            again = Life(state)
            assert again.left() == 0, f"{said}, started again"
            again.time += DAY_S + 1
            assert again.left() == SETTINGS.attempts, f"{said}: it counts for a day and no longer"
            again.end()
        shutil.rmtree(state)


@pytest.mark.parametrize(("table", "column"), PLACES)
def test_a_row_damaged_at_run_time_counts_at_the_next_start(used, tmp_path, table, column):
    state = tmp_path / "state"
    every = values_for(used / GUESSES_DB, table, column)
    for value in dice(f"guesses {table} {column}").sample(every, min(CASES, len(every))):
        shutil.copytree(used, state)
        life = Life(state)
        if spoil(state / GUESSES_DB, table, column, value):
            life.log.store_clock()
            life.end()
            again = Life(state)
            assert again.left() == SETTINGS.attempts - MADE, f"{table}.{column} became {value!r}"
            again.end()
        shutil.rmtree(state)


def test_a_damaged_guess_counts_for_households_and_readers_and_is_reported(used, caplog):
    assert spoil(used / GUESSES_DB, "guesses", "place", b"x")
    life = Life(used)
    assert "damaged rows are left out (1 of guesses)" in caplog.text
    assert [life.guess(["2-401"]) for _ in range(SETTINGS.attempts)].count(True) == SETTINGS.attempts - 1
    place = life.log.place("cards/front")
    assert len(life.guesses._of(place)) == 1
    life.end()


def test_guesses_of_an_older_version_are_kept_and_can_be_migrated_back(tmp_path):
    path = tmp_path / GUESSES_DB
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        old.execute("INSERT INTO guesses VALUES (7, x'0102030405060708', 50.0)")
        old.execute("UPDATE clock SET at = 60.0")
    log = GuessStore(tmp_path)
    assert [(place, one.number, one.at) for place, one in log.restored] == [("0102030405060708", 7, 50.0)]
    log.close()
    assert migrations.go_back(path, 1) == 1
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        assert [tuple(row) for row in old.execute("SELECT * FROM guesses")] == [(7, bytes(range(1, 9)), 50.0)]


def test_a_damaged_guess_of_an_older_version_counts_after_the_migration(tmp_path):
    path = tmp_path / GUESSES_DB
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        old.execute("PRAGMA writable_schema = ON")
        old.execute("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT, ', '') WHERE name = 'guesses'")
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("INSERT INTO guesses VALUES ('x', 'y', 'z')")
    log = GuessStore(tmp_path)
    assert [place for place, _ in log.restored] == [""]
    log.close()
