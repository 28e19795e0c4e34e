"""The spent part of the PIN budget survives restarts and power failures. A broken file keeps no resident out."""

import sqlite3
from contextlib import closing

import pytest

from gated.access.guess_counts import GuessCounts
from gated.access.guess_store import GUESSES_DB, GuessStore
from gated.config import ReaderSettings
from gated.pin.budget import DAY_S

SETTINGS = ReaderSettings(attempts=3, rest_s=600)


class Gate:
    """A brain that restarts on one state folder, with a clock that the test controls."""

    def __init__(self, state):
        self.state, self.time = state, 1000.0
        self.start()

    def start(self):
        self.log = GuessStore(self.state, lambda: self.time, lost=SETTINGS.attempts - 1)
        self.guesses = GuessCounts(SETTINGS, self.log.place, self.log.restored)

    def cut(self):
        """Cut the power. The monotonic clock starts again."""
        self.log._connection.close()
        self.time = 5.0
        self.start()

    def guess(self, households=None, *, is_right=False):
        made = self.guesses.begin("main", households, self.log.now())
        if made is None:
            return False
        self.log.write(made)
        if is_right:
            self.guesses.remove_correct(made)
            self.log.remove_correct(made)
        return True

    def rows(self):
        with closing(sqlite3.connect(self.state / GUESSES_DB)) as connection:
            return connection.execute("SELECT count(*) FROM guesses").fetchone()[0]


@pytest.fixture
def gate(tmp_path):
    gate = Gate(tmp_path)
    yield gate
    gate.log.close()


def test_power_cuts_after_each_guess_give_no_extra_guess(gate):
    made = 0
    for _ in range(40):
        made += gate.guess()
        gate.time += 30.0
        gate.cut()
    assert made == 3


def test_the_rest_of_a_household_survives_a_restart(gate):
    made = [gate.guess(["2-401"]) for _ in range(3)]
    gate.log.close()
    gate.start()
    assert (made, gate.guess(["2-401"]), gate.guess(["3-502"])) == ([True] * 3, False, True)


def test_a_power_cut_right_after_a_correct_pin_costs_at_most_one_guess(gate):
    for _ in range(20):
        gate.guess(is_right=True)
    gate.cut()
    assert [gate.guess() for _ in range(3)] == [True, True, False]


def test_a_stopped_gate_leaves_no_correct_pin_on_disk(gate):
    gate.guess(is_right=True)
    gate.log.close()
    assert gate.rows() == 0
    gate.start()


def test_stored_time_continues_after_a_restart_and_never_decreases(gate):
    for _ in range(3):
        gate.guess()
    gate.time += 500.0
    assert gate.log.is_due is False
    gate.log.store_clock()
    gate.cut()
    assert not gate.guess()
    gate.time += 101.0
    assert gate.guess()


def test_no_guess_is_stored_longer_than_a_day(gate):
    for _ in range(3):
        gate.guess(["2-401"])
    gate.time += DAY_S + 1
    assert gate.log.is_due
    gate.log.store_clock()
    assert gate.rows() == 0


@pytest.mark.parametrize(
    "harm",
    ["DELETE FROM clock", "UPDATE clock SET at = 9e999", "UPDATE clock SET at = -1e9",
     "UPDATE clock SET salt = zeroblob(100)", "UPDATE clock SET salt = x''"],
)  # fmt: skip
def test_a_lost_clock_restores_no_guess(gate, harm):
    gate.guess()
    gate.log.close()
    with closing(sqlite3.connect(gate.state / GUESSES_DB, isolation_level=None)) as connection:
        connection.execute(harm)
    gate.start()
    assert [gate.guess() for _ in range(3)] == [True, True, False]
    gate.cut()
    assert not gate.guess()


@pytest.mark.parametrize("harm", ["DROP TABLE guesses", "DROP TABLE clock"])
def test_a_damaged_file_is_moved_aside_and_a_new_one_created(gate, harm):
    gate.guess()
    gate.log.close()
    with closing(sqlite3.connect(gate.state / GUESSES_DB, isolation_level=None)) as connection:
        connection.execute(harm)
    gate.start()
    assert [gate.guess() for _ in range(2)] == [True, False]
    assert list(gate.state.glob(f"{GUESSES_DB}.torn-*"))
    gate.cut()
    assert not gate.guess()


def test_a_file_of_noise_is_moved_aside(gate):
    gate.log.close()
    (gate.state / GUESSES_DB).write_bytes(b"\x00noise" * 999)
    gate.start()
    assert [gate.guess() for _ in range(2)] == [True, False]
    gate.cut()
    assert not gate.guess()


def test_destroying_the_file_between_two_guesses_restores_no_guess(gate):
    """It counts as read and almost spent: a right PIN opens, and the first wrong one begins a rest."""
    made = 0
    for _ in range(10):
        gate.log.close()
        (gate.state / GUESSES_DB).write_bytes(b"\x00noise" * 999)
        gate.start()
        assert gate.guess(is_right=True), "nobody is kept out"
        made += gate.guess() + gate.guess()
    assert made == 10


def test_a_row_from_the_future_blocks_nobody(gate):
    gate.guess()
    gate.log.close()
    with closing(sqlite3.connect(gate.state / GUESSES_DB, isolation_level=None)) as connection:
        connection.execute("UPDATE guesses SET at = 1e12")
    gate.start()
    assert [gate.guess() for _ in range(3)] == [True, True, False], "it counts as one made now"
    gate.time += DAY_S + 1
    gate.cut()
    gate.time += DAY_S + 1
    assert gate.guess(), "and no longer than a day"


def test_without_a_folder_guesses_are_counted_in_memory_and_logged_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    gate = Gate(tmp_path / "file" / "state")
    assert [gate.guess() for _ in range(5)] == [True, True, True, False, False]
    assert len([record for record in caplog.records if "in memory only" in record.message]) == 1
