"""What a repair has lost denies access, and changes nothing else."""

import pytest

from gated.people.access_rule import LOST
from gated.people.lost_rows import deny_for_lost_rows
from gated.people.schema import MIGRATIONS
from gated.storage import database

ANN, BOB = "a" * 16, "b" * 16


@pytest.fixture
def connection(tmp_path):
    opened = database.connect(tmp_path / "people.db", MIGRATIONS)
    for subject in (ANN, BOB):
        opened.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at) VALUES (?, '-', '12', 'active', '-')",
            (subject,),
        )
    yield opened
    opened.close()


def denied(connection):
    """Return the people with a rule that never allows access."""
    return {row[0] for row in connection.execute("SELECT subject FROM rights WHERE schedule = ?", (LOST,))}


def test_without_lost_rows_nobody_is_denied(connection):
    deny_for_lost_rows(connection, (), {})
    assert denied(connection) == set()


def test_lost_rules_of_unknown_owners_deny_everybody_without_own_rules(connection):
    connection.execute("INSERT INTO rights (subject) VALUES (?)", (BOB,))
    deny_for_lost_rows(connection, ("rights", "rights_said"), {})
    assert denied(connection) == {ANN}


def test_lost_rules_whose_owner_is_recorded_elsewhere_deny_nobody_here(connection):
    deny_for_lost_rows(connection, ("rights",), {})
    assert denied(connection) == set()


def test_lost_marks_mark_everybody(connection):
    deny_for_lost_rows(connection, ("marks",), {})
    marked = {row[0] for row in connection.execute("SELECT subject FROM marks")}
    assert marked == {ANN, BOB}


def test_a_lost_calendar_leaves_a_doubt(connection):
    deny_for_lost_rows(connection, ("calendars",), {})
    assert connection.execute("SELECT holidays FROM calendars").fetchall()[0][0] == LOST
