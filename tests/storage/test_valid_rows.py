"""Which rows of a table are valid, value by value."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.storage.valid_rows import MOST_INTEGER, left_out, sound

ANY_INTEGER = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def counters():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER, size REAL NOT NULL) STRICT")
        yield connection


def is_sound(connection, count, size=0.0):
    connection.execute("DELETE FROM counters")
    connection.execute("INSERT INTO counters VALUES ('a', ?, ?)", (count, size))
    return left_out(connection, ["counters"]) == {}


@given(ANY_INTEGER)
def test_an_integer_beyond_any_count_is_damage(counters, count):
    assert is_sound(counters, count) == (abs(count) <= MOST_INTEGER)


@given(ANY_INTEGER, st.integers(-1_000_000, 1_000_000))
def test_a_valid_count_can_be_counted_on_without_overflow(counters, count, step):
    """SQLite makes an overflow a REAL, which a STRICT table refuses."""
    if is_sound(counters, count):
        counters.execute("UPDATE counters SET count = count + ?", (step,))
        assert counters.execute("SELECT count FROM counters").fetchone() == (count + step,)


def test_null_and_real_columns_have_no_such_limit(counters):
    assert is_sound(counters, None, 1e308)


def test_the_condition_is_one_for_each_column(counters):
    assert sound(counters, "counters").count("typeof") == 3
