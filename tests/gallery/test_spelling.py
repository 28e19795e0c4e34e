"""Different spellings of a household, role or schedule name one thing. A rule for one spelling applies
to all of them.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gated.access.access_rules import Refusal, judge_holder
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.gallery.register import Register
from gated.people.access_rule import AccessRule, put_access_rules
from gated.people.credential_store import Credentials
from gated.people.schedule_values import intersection
from gated.people.schema import MIGRATIONS
from gated.people.store import People, Person
from gated.storage import database, migrations
from gated.types import SubjectId

NIGHT = datetime(2026, 5, 4, 19, 0, tzinfo=UTC)  # 03:00 in Zhengzhou
SPELLINGS = ["3-502", "３－５０２", "3–502", " 3-502 ", "3—502", "3 - 502", "3\u200b-502", "3−502"]
ZHENGZHOU = ZoneInfo("Asia/Shanghai")
DAY = AccessRule(schedule="day")


def refusal(store, subject, calendar=None):
    calendar = calendar or Calendar({"day": Schedule(start="06:00", end="22:00")}, (), ZHENGZHOU)
    return judge_holder(store.holders()[subject], "main", NIGHT, calendar)


def person(subject, household="3-502", role="resident"):
    return Person(SubjectId(subject), "Ann", household, "active", NIGHT, (), role)


@pytest.mark.parametrize("lives", SPELLINGS)
@pytest.mark.parametrize("said", SPELLINGS)
def test_a_restriction_binds_who_lives_there_however_both_are_spelt(tmp_path, lives, said):
    with closing(Register.open(tmp_path, "site")) as register, closing(Credentials.open(tmp_path, "site")) as store:
        register.admit(person("a" * 16, lives))
        with store.changing() as connection:
            put_access_rules(connection, "household", said, [DAY])
        assert refusal(store, "a" * 16) is Refusal.SCHEDULE
        assert store.access_rules_of(SubjectId("a" * 16), "household") == [DAY]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.sampled_from(SPELLINGS),
    st.lists(
        st.tuples(st.sampled_from(SPELLINGS), st.booleans()), min_size=1, max_size=4, unique_by=lambda each: each[0]
    ),
)
def test_of_several_spellings_the_strictest_counts(tmp_path_factory, lives, said):
    folder = tmp_path_factory.mktemp("state")
    with closing(Register.open(folder, "site")) as register, closing(Credentials.open(folder, "site")) as store:
        register.admit(person("a" * 16, lives))
        for spelling, is_strict in said:
            with store.changing() as connection:
                put_access_rules(connection, "household", spelling, [DAY if is_strict else AccessRule()])
        assert (refusal(store, "a" * 16) is not None) == any(is_strict for _, is_strict in said)


def test_a_role_binds_however_it_is_spelt(tmp_path):
    with closing(Register.open(tmp_path, "site")) as register, closing(Credentials.open(tmp_path, "site")) as store:
        register.admit(person("a" * 16, role="Ｓtaff"))
        with store.changing() as connection:
            put_access_rules(connection, "role", "STAFF", [DAY])
        assert refusal(store, "a" * 16) is Refusal.SCHEDULE


def test_a_new_rule_replaces_the_rules_of_every_spelling(tmp_path):
    with closing(Register.open(tmp_path, "site")) as register, closing(Credentials.open(tmp_path, "site")) as store:
        register.admit(person("a" * 16))
        for spelling in SPELLINGS:
            with store.changing() as connection:
                put_access_rules(connection, "household", spelling, [DAY])
        store.set_access_rules(SubjectId("a" * 16), [AccessRule("main")], "household")
        assert store.access_rules_of(SubjectId("a" * 16), "household") == [AccessRule("main")]
        assert refusal(store, "a" * 16) is None


def test_a_restriction_stays_while_somebody_lives_there_under_another_spelling(tmp_path):
    with closing(Register.open(tmp_path, "site")) as register, closing(Credentials.open(tmp_path, "site")) as store:
        for number, spelling in enumerate(SPELLINGS[:2]):
            register.admit(person(f"{number}" * 16, spelling))
        with store.changing() as connection:
            put_access_rules(connection, "household", "3-502", [DAY])
        register.remove(SubjectId("0" * 16))
        assert refusal(store, "1" * 16) is Refusal.SCHEDULE
        register.remove(SubjectId("1" * 16))
        register.admit(person("2" * 16))
        assert refusal(store, "2" * 16) is None


def test_rules_in_two_spellings_of_an_older_gated_bind_all_people_of_the_name(tmp_path):
    """The database has the old schema, with names the old version accepted."""
    tmp_path.chmod(0o700)
    old = database.connect(tmp_path / "people.db", MIGRATIONS[:3])
    for subject, household in (("a" * 16, "３－５０２"), ("b" * 16, "3-502"), ("c" * 16, "3-503")):
        row = (subject, "Ann", household, "active", NIGHT.isoformat(), "resident", "")
        old.execute("INSERT INTO people (subject, name, household, status, enrolled_at, role, face)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # fmt: skip
    old.execute("INSERT INTO rights (household, schedule) VALUES ('3–502', 'Day')")
    old.execute("INSERT INTO rights (household, door) VALUES ('3-502', 'main')")
    old.execute("INSERT INTO schedules VALUES ('Day', 'mon tue wed thu fri sat sun', '06:00', '22:00')")
    old.close()
    with closing(Credentials.open(tmp_path, "site")) as store:
        calendar = Calendar(store.schedules(), (), ZHENGZHOU)
        assert [refusal(store, each * 16, calendar) for each in "abc"] == [Refusal.SCHEDULE, Refusal.SCHEDULE, None]
    with closing(Register.open(tmp_path, "site")) as register:
        assert [each.household for each in register.people()] == ["3-502", "3-503", "3-502"]


def test_the_way_back_keeps_the_former_rows(tmp_path):
    people = People(tmp_path)
    insert = "INSERT INTO schedules (name, days, start, until) VALUES ('day', 'mon', '06:00', '22:00')"
    people.connection.execute(insert)
    people.connection.close()
    assert migrations.go_back(tmp_path / "people.db", 3) == len(MIGRATIONS) - 3
    with closing(sqlite3.connect(tmp_path / "people.db")) as connection:
        assert connection.execute("SELECT name FROM schedules").fetchall() == [("day",)]
        assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'calendars'").fetchone()


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (("mon", "06:00", "22:00"), ("mon", "08:00", "23:00"), ("08:00", "22:00")),
        (("mon", "00:00", "00:00"), ("mon", "22:00", "06:00"), ("22:00", "06:00")),
        (("mon", "22:00", "06:00"), ("mon", "23:00", "05:00"), ("23:00", "05:00")),
        (("mon", "06:00", "08:00"), ("mon", "09:00", "10:00"), None),
        (("mon", "06:00", "08:00"), ("tue", "06:00", "08:00"), None),
        (("mon", "22:00", "06:00"), ("mon", "05:00", "23:00"), None),  # two intervals, which one schedule cannot hold
    ],
)
def test_two_schedules_of_one_name_allow_only_their_common_hours(one, other, shared):
    for first, second in ((one, other), (other, one)):
        found = intersection(Schedule((first[0],), *first[1:]), Schedule((second[0],), *second[1:]))
        assert (found.start, found.end) == shared if shared else found.days == ()


def test_days_of_the_office_are_read_and_a_day_that_is_both_is_a_holiday(tmp_path):
    with closing(Credentials.open(tmp_path, "site")) as store:
        with store.changing() as connection:
            years = [("a", "2027-02-06 2027-02-07", "2027-02-14 2027-02-07"), ("b", "2028-01-01", "")]
            connection.executemany("INSERT INTO calendars (name, holidays, workdays) VALUES (?, ?, ?)", years)
        assert store.days().holidays == {"2027-02-06", "2027-02-07", "2028-01-01"}
        assert store.days().workdays == {"2027-02-14"}
