"""Tests `gated office gates retire`: it asks first, and lists everything that must be changed."""

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.journal.chain import genesis, row_digest
from gated.office.store import Store
from gated.protocol.event_messages import EventBatch, WireEvent
from gated.protocol.jose import Identity

sys.path.append(str(Path(__file__).parents[2]))
from contracts.office import SITE, new_office

JOURNAL, AT = "5b0f6a1c9e2d4471", "2026-11-30T07:58:00.000Z"


@pytest.fixture
def folder(tmp_path):
    new_office(tmp_path / "office")
    with closing(Store.open(tmp_path / "office")) as store:
        for gate in ("gate-1", "gate-2"):
            store.add_gate(gate, Identity.make().party.dump(), f"0a{gate[-1]}")
    return tmp_path / "office"


@pytest.fixture
def office(folder):
    def run(*arguments, check=0, typed=None):
        done = CliRunner().invoke(main, ["office", "--dir", str(folder), *arguments], input=typed)
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done.output

    return run


def came_in(folder, subject, way, gate="gate-2"):
    """Store one row of a gate's journal at the office: a person came in by this way."""
    body = json.dumps({"kind": "way_granted", "way": way, "visit": "v", "credential": "c", "subject": subject})
    prev = genesis(SITE, gate, JOURNAL)
    row = WireEvent(1, AT, "way_granted", body, row_digest(prev, 1, AT.encode(), b"way_granted", body.encode()))
    with closing(Store.open(folder)) as store:
        store.journals.store_batch(
            EventBatch(site=SITE, gate=gate, journal=JOURNAL, after=0, first=1, last=1, prev=prev, events=[row])
        )


def listed(office):
    return [row["gate"] for row in json.loads(office("gates", "--json"))]


def test_retiring_asks_first_and_a_no_changes_nothing(office):
    assert "Nothing was changed" in office("gates", "retire", "gate-2", typed="n\n", check=1)
    assert listed(office) == ["gate-1", "gate-2"]
    office("gates", "retire", "gate-2", typed="", check=1)
    assert listed(office) == ["gate-1", "gate-2"]


def test_retiring_lists_the_cards_and_pins_to_change_starting_with_used_ones(office, folder):
    def add(name):
        return office("person", "add", "--name", name, "--household", "2-401").split()[-1]

    ann, ben, eve = add("Ann"), add("Ben"), add("Eve")
    office("person", "card", ann, "--number", "04A2B3C4D5E6F7", "--label", "blue")
    office("person", "card", ben, "--number", "0491B7C2AA5580", "--label", "red")
    came_in(folder, ben, "card")
    printed = json.loads(office("gates", "retire", "gate-2", "--yes", "--json"))
    assert [(each["subject"], len(each["cards"]), each["used_there_at"]) for each in printed["people"]] == [
        (ben, 1, AT), (ann, 1, None)
    ]  # fmt: skip
    assert eve not in json.dumps(printed)
    assert "0491B7C2AA5580" not in json.dumps(printed), "never a number"
    again = office("gates", "retire", "gate-2")
    assert "gate-2 is retired" in again
    assert "Ben" in again
    assert again.index("Ben") < again.index("Ann")


def test_a_retired_gate_is_not_listed_and_its_day_is_shown(office):
    office("gates", "retire", "gate-2", "--yes")
    assert listed(office) == ["gate-1"]
    (row,) = json.loads(office("gates", "retired", "--json"))
    assert row["gate"] == "gate-2"
    assert datetime.fromisoformat(row["retired_at"]) <= datetime.now(UTC)
    assert "gate-2" in office("gates", "retired")


def test_an_unknown_gate_is_reported(office):
    assert "this office has no gate 'gate-7'" in office("gates", "retire", "gate-7", "--yes", check=1)
