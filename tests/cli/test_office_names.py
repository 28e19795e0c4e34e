"""The office's names, days and years: one form each, the site's own time, and no invalid dates."""

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli.office import calendar
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.protocol.jose import Identity
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, ScheduleRecord, WireAccessRule

HAVANA = "America/Havana"


@pytest.fixture
def ann(office):
    return office("person", "add", "--name", "Ann", "--household", "3-502").split()[-1]


# -- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["show"], ["suspend"], ["resume"], ["change", "--role", "staff"], ["rights", "--door", "main"],
     ["prefer", "--first", "touch"], ["card", "--number", "12345678"], ["remove", "--yes"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_every_command_accepts_a_name_or_the_beginning_of_an_id(office, ann, command):
    for words in ("ann", ann[:6]):
        if command[0] not in ("remove", "card") or words == "ann":
            assert "Ann" in office("person", command[0], words, *command[1:])
    assert "nobody with the id or name" in office("person", command[0], "zhao", *command[1:], check=1)


def test_several_matches_list_their_ids(office, ann):
    other = office("person", "add", "--name", "Anne", "--household", "3-503").split()[-1]
    printed = office("person", "suspend", "an", check=1)
    assert ann in printed
    assert other in printed
    assert "suspended" in office("person", "suspend", "Ann")  # an exact name counts more than a part of one


def test_a_pin_is_set_by_name(office, ann, store):
    assert "Ann (3-502)" in office("person", "pin", "ann", typed="739154\n")
    assert store.book.person(ann).has_pin


@pytest.mark.parametrize("spelling", ["3-502", "３－５０２", "3–502"])
def test_a_second_person_with_the_same_name_in_a_household_needs_confirmation(office, ann, spelling):
    arguments = ("person", "add", "--name", "ANN", "--household", spelling)
    assert ann in office(*arguments, check=2)
    office(*arguments, "--yes")
    bo = office("person", "add", "--name", "Bo", "--household", "3-502").split()[-1]
    assert "same name" in office("person", "change", bo, "--name", "ann", check=2)
    office("person", "change", bo, "--role", "staff")


def test_a_removal_needs_a_confirmation(office, ann, store):
    assert "--yes" in office("person", "remove", "ann", check=2)
    assert isinstance(store.book.get(f"person/{ann}"), OfficePerson)
    assert "removed Ann (3-502)" in office("person", "remove", "ann", "--yes")


# -- households, roles, schedules, gates ------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["３－５０２", "3–502", " 3-502 ", "3—502"])
def test_access_rules_of_a_household_apply_to_every_spelling(office, ann, store, spelling):
    office("rights", "household", spelling, "--door", "main")
    assert [each.household for each in store.book.live(HouseholdRecord)] == ["3-502"]
    office("rights", "household", "3-502", "--clear")
    assert store.book.live(HouseholdRecord) == []


def test_rules_under_another_spelling_are_stored_again_under_the_new_one(office, ann, store):
    """An older office allowed two households of one flat. An older gate binds each spelling alone."""
    old = OfficePerson(n=0, subject="b" * 16, name="Bo", household="３－５０２", added_at="2026-01-01T00:00:00Z")
    store.book.put(old)
    store.book.put(HouseholdRecord(n=0, household="３－５０２", rights=[WireAccessRule("second")]))
    office("rights", "household", "3-502", "--door", "main")
    told = {each.household: each.rights for each in store.book.live(HouseholdRecord)}
    assert told == {"3-502": [WireAccessRule("main")], "３－５０２": [WireAccessRule("main")]}


def test_a_person_added_under_another_spelling_is_bound_at_older_gates_too(office, store):
    old = OfficePerson(n=0, subject="b" * 16, name="Bo", household="３－５０２", added_at="2026-01-01T00:00:00Z")
    store.book.put(old)
    store.book.put(HouseholdRecord(n=0, household="３－５０２", rights=[WireAccessRule("second")]))
    store.book.put(RoleRecord(n=0, role="STAFF", rights=[WireAccessRule("main")]))
    cy = office("person", "add", "--name", "Cy", "--household", "3-502", "--role", "staff").split()[-1]
    told = {each.household: each for each in store.book.live(HouseholdRecord)}
    assert told["3-502"].rights == [WireAccessRule("second")]
    assert told["3-502"].n < store.book.person(cy).n  # the access rule goes first
    assert {each.role for each in store.book.live(RoleRecord)} == {"STAFF", "staff"}


def test_access_rules_of_an_empty_household_are_refused(office, ann, store):
    assert "did you mean '3-502'" in office("rights", "household", "3-5O2", "--door", "main", check=1)
    assert store.book.live(HouseholdRecord) == []


def test_access_rules_with_an_unknown_schedule_or_gate_are_refused(office, ann, store):
    office("schedule", "set", "Day", "--end", "22:00")
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    for whose in (("person", "rights", ann), ("rights", "household", "3-502"), ("rights", "role", "resident")):
        assert "did you mean 'day'" in office(*whose, "--schedule", "dya", check=2)
        assert "did you mean 'gate-1'" in office(*whose, "--gate", "gate1", check=2)
        assert "did you mean 'main'" in office(*whose, "--door", "mian", check=2)
        office(*whose, "--schedule", "ＤＡＹ", "--gate", "Gate–1", "--door", "Main")
    assert store.book.person(ann).rights == [WireAccessRule("gate-1/main", "day")]
    office("person", "rights", ann, "--gate", "gate-1")
    assert store.book.person(ann).rights == [WireAccessRule("gate-1/*")]


def test_a_schedule_similar_to_a_known_one_needs_confirmation(office, store):
    office("schedule", "set", "weekdays")
    assert "'weekdays'" in office("schedule", "set", "weekday", check=2)
    office("schedule", "set", "Weekdays", "--end", "12:00")
    assert [(each.name, each.end) for each in store.book.live(ScheduleRecord)] == [("weekdays", "12:00")]


def test_a_schedule_used_by_access_rules_is_removed_only_after_confirmation(office, ann, store):
    office("schedule", "set", "day")
    office("person", "rights", ann, "--schedule", "day")
    assert "1 access rules use 'day'" in office("schedule", "remove", "DAY", check=2)
    office("schedule", "remove", "DAY", "--yes")
    assert store.book.live(ScheduleRecord) == []
    assert "there is no schedule" in office("schedule", "remove", "day", check=1)


def test_a_role_without_people_gives_a_note(office, ann):
    office("person", "change", ann, "--role", "staff")
    assert "did you mean 'staff'" in office("rights", "role", "staf", "--door", "main")


def test_a_gate_is_found_under_every_spelling(office, store):
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    unknown = office("restart", "gate-9", "--wait", 0, check=1)
    found = office("restart", "Gate–１", "--wait", 0, check=1)  # no office serves, which is a different error
    assert "gate-9" in unknown
    assert "serve" in found
    assert "serve" not in unknown


# -- the time of the site ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_card_ends_with_the_day_at_the_site_in_any_zone_of_the_machine(office, ann, store, tmp_path, machine):
    command = [sys.executable, "-m", "gated", "office", "--dir", str(tmp_path / "office"), "person", "card", "ann",
               "--number", "12345678", "--from", "2098-01-31", "--until", "2099-01-31"]  # fmt: skip
    subprocess.run(command, env={**os.environ, "TZ": machine}, check=True, capture_output=True, timeout=60)
    [card] = store.book.person(ann).cards
    assert (card.valid_from, card.valid_until) == ("2098-01-31T00:00:00+08:00", "2099-02-01T00:00:00+08:00")


def test_access_rules_end_with_the_day_at_the_site_even_without_a_midnight(office, ann, store):
    office("timezone", HAVANA)
    office("person", "rights", ann, "--from", "2098-03-09", "--until", "2098-03-09")
    [right] = store.book.person(ann).rights
    assert (right.valid_from, right.valid_until) == ("2098-03-09T01:00:00-04:00", "2098-03-10T00:00:00-04:00")


def test_an_office_has_the_time_zone_of_its_site(tmp_path):
    folder = tmp_path / "new"
    init = ["office", "--dir", str(folder), "init", "--site", "s", "--host", "localhost"]
    wrong = CliRunner().invoke(main, [*init, "--timezone", "Mars/Olympus"])
    assert wrong.exit_code == 1
    assert "Asia/Shanghai" in wrong.output
    assert CliRunner().invoke(main, [*init, "--timezone", HAVANA]).exit_code == 0
    with closing(Store.open(folder)) as store:
        assert store.zone == ZoneInfo(HAVANA)


def test_an_older_office_is_in_shanghai_and_its_zone_can_be_changed(office, store):
    assert office("timezone") == "Asia/Shanghai\n"
    assert office("timezone", HAVANA) == f"{HAVANA}\n"
    assert office("timezone") == f"{HAVANA}\n"
    assert "not a time zone" in office("timezone", "Nowhere", check=1)


def test_times_are_shown_in_the_zone_of_the_site(office, ann, store):
    store.alarms.open("gate-1", "duress", "row 1", "2026-11-29T23:48:12.000000Z")
    printed = office("alarms", check=1)
    assert "2026-11-30 07:48:12" in printed
    assert "Asia/Shanghai" in printed
    assert "23:48" not in printed


# -- the calendar -----------------------------------------------------------------------------------------------------


def test_a_calendar_year_is_set_for_every_gate(office, store):
    office("calendar", "set", 2027, "--holidays", "2027-01-01, 2027-02-05..2027-02-07", "--workdays", "2027-02-14")
    [told] = store.book.live(ScheduleRecord)
    assert told.name == "calendar-2027"
    assert told.holidays == ["2027-01-01", "2027-02-05", "2027-02-06", "2027-02-07"]
    assert (told.workdays, told.days) == (["2027-02-14"], [])
    assert "2027-02-14" in office("calendar", "list")
    assert json.loads(office("schedule", "list", "--json")) == []
    office("calendar", "remove", 2027)
    assert store.book.live(ScheduleRecord) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--holidays", "2027-02-14", "--workdays", "2027-02-14"), "2027-02-14: is both"),
        (("--holidays", "2028-01-01"), "2028-01-01: is not a day of 2027"),
        (("--holidays", "2027-02-30"), "2027-02-30: is not a day"),
        (("--workdays", "saturday"), "saturday: is not a day"),
        (("--holidays", "2027-02-07..2027-02-05"), "ends before it begins"),
    ],
)
def test_an_impossible_day_is_named(office, store, arguments, says):
    assert says in office("calendar", "set", 2027, *arguments, check=1)
    assert store.book.live(ScheduleRecord) == []


def test_a_year_without_days_is_a_usage_error(office):
    office("calendar", "set", 2027, check=2)


def test_from_december_on_a_missing_next_year_is_reported(office, store):
    december = datetime(2026, 12, 1, tzinfo=UTC)
    office("calendar", "set", 2026, "--holidays", "2026-10-01")
    assert calendar.unknown_years(store, december) == [2027]
    office("calendar", "set", 2027, "--holidays", "2027-01-01")
    assert calendar.unknown_years(store, december) == []
