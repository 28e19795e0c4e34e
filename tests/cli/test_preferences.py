"""Tests access rules and wishes, as the office states them."""

import json

import pytest
from click.testing import CliRunner

from gated.cli import main


@pytest.fixture
def office(gate):
    """Return a gate with a schedule and a resident. Its commands run in this process."""
    gate.config.write_text(gate.config.read_text() + '\n[schedules.work]\nstart = "08:00"\nend = "18:00"\n')

    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "people", *arguments])
        assert done.exit_code == check, done.output
        return done.output

    gate.office = run
    gate.ann = run("add", "--name", "Ann", "--household", "2-401").split()[-1]
    gate.has = lambda subject: json.loads(run("show", subject, "--json"))
    return gate


def access_rules(office, whose="rights"):
    return [(right["door"], right["schedule"]) for right in office.has(office.ann)[whose]]


def test_an_access_rule_is_set_shown_and_cleared(office):
    office.office(
        "rights", office.ann, "--door", "main", "--schedule", "work", "--from", "2099-01-01", "--until", "2099-01-31"
    )
    (right,) = office.has(office.ann)["rights"]
    assert right == {
        "door": "main",
        "schedule": "work",
        "valid_from": "2099-01-01T00:00:00+08:00",
        "valid_until": "2099-02-01T00:00:00+08:00",
        "with_card_or_pin": None,
    }
    office.office("rights", office.ann, "--clear")
    assert access_rules(office) == []
    assert [event["subject"] for event in office.events("rights_changed")] == [office.ann] * 2


def test_the_rules_of_another_door_stay(office):
    office.office("rights", office.ann, "--schedule", "work")
    assert access_rules(office) == [(None, "work")]
    office.office("rights", office.ann, "--door", "main", "--door", "second")
    assert access_rules(office) == [("main", None), ("second", None)]
    office.office("rights", office.ann, "--door", "main", "--schedule", "work")
    assert access_rules(office) == [("second", None), ("main", "work")]
    office.office("rights", office.ann, "--schedule", "work")
    assert access_rules(office) == [(None, "work")]


def test_a_card_or_pin_beside_the_face_can_be_demanded_outside_a_schedule(office):
    office.office("rights", office.ann, "--schedule", "work")
    office.office("rights", office.ann, "--with-card-or-pin", "--add")
    rules = office.has(office.ann)["rights"]
    assert [(rule["schedule"], rule["with_card_or_pin"]) for rule in rules] == [("work", None), (None, True)]
    office.office("rights", office.ann, "--with-card-or-pin", "--door", "main", "--household")
    (rule,) = office.has(office.ann)["household_rights"]
    assert (rule["door"], rule["with_card_or_pin"]) == ("main", True)
    office.office("rights", office.ann, "--clear", "--with-card-or-pin", check=2)


@pytest.mark.parametrize("kind", ["child", "alike"])
def test_a_mark_is_set_shown_and_removed(office, kind):
    assert office.has(office.ann)["mark"] is None
    office.office("mark", office.ann, f"--{kind}", "--until", "2099-01-31")
    assert office.has(office.ann)["mark"] == {"kind": kind, "until": "2099-02-01T00:00:00+08:00"}
    office.office("mark", office.ann, f"--{kind}")
    assert office.has(office.ann)["mark"] == {"kind": kind, "until": None}
    office.office("mark", office.ann, "--none")
    assert office.has(office.ann)["mark"] is None
    assert {event["subject"] for event in office.events("rights_changed")} == {office.ann}


@pytest.mark.parametrize("wrong", [[], ["--until", "2099-01-31"], ["--none", "--until", "2099-01-31"]])
def test_a_mark_without_a_kind_is_refused(office, wrong):
    assert "--child or --alike" in office.office("mark", office.ann, *wrong, check=2)


def test_a_household_has_access_rules(office):
    bob = office.office("add", "--name", "Bob", "--household", "2-401").split()[-1]
    office.office("rights", office.ann, "--door", "second", "--household")
    for subject in (office.ann, bob):
        shown = office.has(subject)
        assert (shown["rights"], shown["household_rights"][0]["door"]) == ([], "second")
    assert office.events("rights_changed")[0]["is_household"] is True
    assert "2-401" not in str(office.events())


def test_a_role_is_assigned_shown_and_listed(office):
    assert office.office("role", office.ann) == "resident\n"
    assert office.events("rights_changed") == []
    office.office("role", office.ann, "Staff")
    assert office.office("role", office.ann) == "staff\n"
    assert office.has(office.ann)["role"] == "staff"
    (row,) = json.loads(office.office("list", "--json"))
    assert row["role"] == "staff"
    (fact,) = office.events("rights_changed")
    assert fact["subject"] == office.ann
    assert "staff" not in str(fact)


def test_a_role_without_rules_gives_a_note(office):
    assert "has no access rule" in office.office("role", office.ann, "staff")
    office.office("rights", office.ann, "--role", "--schedule", "work")
    assert "has no access rule" not in office.office("role", office.ann, "staff")
    assert "has no access rule" not in office.office("role", office.ann, "resident")


def test_a_role_has_access_rules_across_households(office):
    bob = office.office("add", "--name", "Bob", "--household", "1-101").split()[-1]
    for subject in (office.ann, bob):
        office.office("role", subject, "staff")
    office.office("rights", office.ann, "--door", "main", "--schedule", "work", "--role")
    office.office("rights", bob, "--door", "second", "--role")
    for subject in (office.ann, bob):
        shown = office.has(subject)
        assert (shown["rights"], shown["household_rights"]) == ([], [])
        assert [right["door"] for right in shown["role_rights"]] == ["main", "second"]
    facts = office.events("rights_changed")
    assert [("is_role" in fact, "is_household" in fact) for fact in facts] == [(False, False)] * 2 + [(True, False)] * 2
    assert "staff" not in str(facts)
    office.office("rights", bob, "--clear", "--role")
    assert access_rules(office, "role_rights") == []


@pytest.mark.parametrize("wrong", ["", "two words", "r" * 21])
def test_an_impossible_role_is_refused_and_changes_nothing(office, wrong):
    office.office("role", office.ann, wrong, check=1)
    assert office.has(office.ann)["role"] == "resident"
    assert office.events("rights_changed") == []


def test_everybody_has_a_role(office):
    assert "people list" in office.office("role", "0" * 16, check=1)
    office.office("role", "0" * 16, "staff", check=1)
    assert office.events("rights_changed") == []


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--household", "--role", "--door", "main"],
        ["--role"],
        ["--clear", "--door", "main"],
        ["--door", "cellar"],
        ["--schedule", "wrok"],
        ["--until", "2001-01-01"],
        ["--household"],
    ],
)
def test_an_impossible_access_rule_is_a_usage_error_and_changes_nothing(office, wrong):
    office.office("rights", office.ann, *wrong, check=2)
    assert access_rules(office) == []
    assert office.events("rights_changed") == []


def test_preferences_are_set_one_by_one_and_cleared_together(office):
    office.office("prefer", office.ann, "--release-s", "15")
    office.office("prefer", office.ann, "--first", "speech", "--search-s", "6")
    assert office.has(office.ann)["preferences"] == {"release_s": 15.0, "search_s": 6.0, "first": "speech"}
    office.office("prefer", office.ann, "--clear")
    assert set(office.has(office.ann)["preferences"].values()) == {None}


def test_the_journal_records_a_change_of_preferences_without_its_content(office):
    office.office("prefer", office.ann, "--first", "touch")
    (fact,) = office.events("preferences_changed")
    assert fact["subject"] == office.ann
    assert "touch" not in str(fact)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--clear", "--first", "touch"],
        ["--release-s", "4"],
        ["--release-s", "31"],
        ["--search-s", "0"],
        ["--first", "smell"],
    ],
)
def test_an_impossible_preference_is_a_usage_error(office, wrong):
    office.office("prefer", office.ann, *wrong, check=2)
    assert set(office.has(office.ann)["preferences"].values()) == {None}


def test_a_number_beyond_the_limits_is_not_accepted_as_a_preference(office):
    for wish in ("nan", "inf", "-inf"):
        CliRunner().invoke(main, ["--config", str(office.config), "people", "prefer", office.ann, "--release-s", wish])
        assert office.has(office.ann)["preferences"]["release_s"] is None
