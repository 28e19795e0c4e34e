"""What is held back of the office's records, shown to somebody at the gate and accepted by them."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.gallery.holding import Holding
from gated.gallery.replica import PERSON, Change, Holdings

ANN, BOB = "a" * 16, "b" * 16
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def held(gate):
    """A gate that holds Ann and Bob back; its commands, run here."""
    holdings = Holdings.open(gate.state, "courtyard-2")
    changes = [
        Change(Holding(PERSON + ANN, 3, quarantine="bulk")),
        Change(Holding(PERSON + BOB, 4, quarantine="duplicate")),
        Change(Holding("schedule/work", 5)),
    ]
    holdings.apply(changes, 5, NOW)
    holdings.close()

    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "people", "quarantine", *arguments])
        assert done.exit_code == check, done.output
        return done.output

    gate.held = run
    return gate


def test_what_is_held_back_is_listed_with_why(held):
    assert json.loads(held.held("list", "--json")) == [
        {"subject": ANN, "why": "bulk", "record": 3},
        {"subject": BOB, "why": "duplicate", "record": 4},
    ]
    shown = held.held("list")
    assert ANN in shown
    assert "duplicate" in shown


def test_what_is_accepted_is_held_back_no_more_and_the_journal_says_so(held):
    assert held.held("accept", BOB) == f"accepted {BOB}\n"
    assert [row["subject"] for row in json.loads(held.held("list", "--json"))] == [ANN]
    assert [event["subject"] for event in held.events("record_accepted")] == [BOB]
    holdings = Holdings.open(held.state, "courtyard-2")
    assert holdings.get(PERSON + BOB).is_wanted
    holdings.close()


def test_several_are_accepted_at_once(held):
    held.held("accept", ANN, BOB)
    assert json.loads(held.held("list", "--json")) == []


def test_of_whom_nothing_is_held_back_there_is_nothing_to_accept_and_the_others_are(held):
    said = held.held("accept", "c" * 16, ANN, check=1)
    assert "quarantine list" in said
    assert f"accepted {ANN}" in said
    assert [event["subject"] for event in held.events("record_accepted")] == [ANN]
    held.held("accept", ANN, check=1)


def test_nobody_is_accepted_without_a_name(held):
    held.held("accept", check=2)


def test_the_commands_are_where_people_look_for_them(held):
    done = CliRunner().invoke(main, ["people", "--help"])
    assert "quarantine" in done.output
