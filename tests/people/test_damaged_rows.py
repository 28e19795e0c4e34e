"""A database row changed by a bad SD card or by hand grants nobody more access. The office sends the row again."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from gated.access.access_rules import judge_credential, judge_holder
from gated.access.permissions import with_office
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change, GateKeys, NamedCalendar, NamedSchedule, SharedRules
from gated.gallery.register import Register
from gated.gallery.repair import repair
from gated.people import schema
from gated.people.access_rule import AccessRule
from gated.people.credential import pack_readings
from gated.people.credential_store import Credentials
from gated.people.face_mark import FaceMark
from gated.people.held_records import RecordState
from gated.people.issuing import card_of, issue_card, set_pin
from gated.people.keyring import KeyRing
from gated.people.preferences import Preferences
from gated.people.schema import MIGRATIONS
from gated.people.store import RECOGNISE, Consent, Person
from gated.storage import database
from gated.types import SubjectId

from .conftest import AT, DIMENSION, EMBEDDER

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import columns, dice, spoil, values_for

CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "40"))
"""Number of damages the tests try, of about 20,000. Raise it after a change to the code that reads people.db."""
SITE = "courtyard-2"
ANN, BOB, CAT, DAN, EVE, FAY, GUS, HAL = (SubjectId(letter * 16) for letter in "abcdef78")
LATER = datetime(2027, 1, 1, tzinfo=UTC)
MOMENTS = [
    datetime(2026, month, day, hour, 30, tzinfo=UTC)
    for month, day in ((10, 1), (10, 2), (10, 7), (10, 10), (10, 11), (10, 12))
    for hour in (3, 9, 12, 20, 23)
]
"""Moments on a public holiday, a Friday, a Wednesday, a working Saturday, a Sunday and a Monday."""


def person(subject, household, **other):
    consent = Consent(RECOGNISE, f"paper-{subject[:1]}", "notice-3", AT)
    return replace(Person(subject, f"N{subject[:1]}", household, "active", AT, (consent,)), **other)


def records():
    """Return the office's records by key, in the order of their numbers."""
    said = [
        ("schedule/work", NamedSchedule("work", SCHEDULES["work"])),
        ("schedule/Work", NamedSchedule("Work", SCHEDULES["early"])),
        ("schedule/sunday", NamedSchedule("sunday", SCHEDULES["sunday"])),
        ("schedule/night", NamedSchedule("night", SCHEDULES["night"])),
        ("schedule/2026", NamedCalendar("2026", ("2026-10-01", "2026-10-02"), ("2026-10-10",))),
        ("household/2-401", SharedRules("household", "2-401", (AccessRule("main", "work"),))),
        ("household/2-402", SharedRules("household", "2-402", (AccessRule("main"), AccessRule("second", "night")))),
        ("household/２-402", SharedRules("household", "２-402", (AccessRule(None, "sunday"),))),
        ("role/staff", SharedRules("role", "staff", (AccessRule(None, "sunday"), AccessRule("second")))),
        ("gate/back", GateKeys("back", '{"keys": []}')),
    ]
    dossiers = [
        PersonData(person(ANN, "2-401"), preferences=Preferences(12.0, 5.0, "touch")),
        PersonData(person(BOB, "2-401"), rules=(AccessRule("second", "night", valid_until=LATER),)),
        PersonData(person(CAT, "2-402", status="suspended")),
        PersonData(person(DAN, "2-402"), mark=FaceMark("child", LATER)),
        PersonData(person(EVE, "2-403", role="staff")),
        PersonData(person(FAY, "2-403"), mark=FaceMark("alike")),
        PersonData(
            person(GUS, "2-404", role="staff"), rules=(AccessRule(valid_from=LATER), AccessRule(needs_second=True))
        ),
    ]
    said += [(PERSON + each.person.subject, each) for each in dossiers]
    return {key: (n, content) for n, (key, content) in enumerate(said, 1)}


def schedule(**values):
    return msgspec.convert(values, Schedule)


SCHEDULES = {
    "work": schedule(days=("mon", "tue", "wed", "thu", "fri"), start="08:00", end="18:00"),
    "early": schedule(days=("mon", "tue", "wed", "thu", "fri"), start="00:00", end="12:30"),
    "sunday": schedule(days=("sun", "holiday")),
    "night": schedule(days=("sun", "mon", "thu"), start="20:00", end="06:00"),
}
NUMBERS = [f"w26:12-100{number}" for number in range(12)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Create the state of a gate: seven people from the office, one person enrolled at the gate, and two visitor
    cards.
    """
    state = tmp_path_factory.mktemp("damage") / "state"
    with closing(Holdings.open(state, SITE)) as holdings:
        changes = [Change(RecordState(key, n), content) for key, (n, content) in records().items()]
        holdings.apply(changes, len(changes), AT)
        holdings.register.admit(person(HAL, "2-405"))
    with closing(Credentials.open(state, SITE)) as store:
        windows = {2: {"valid_until": LATER}, 3: {"valid_from": LATER}, 5: {"uses": 2}, 6: {"uses": 0}}
        for number, subject in enumerate((ANN, BOB, CAT, DAN, EVE, FAY, GUS, HAL, None, None)):
            issue_card(store, NUMBERS[number], subject, **windows.get(number, {"uses": 1} if number == 9 else {}))
        store.set_access_rules(HAL, [AccessRule("main", "work")])
        set_pin(store, "492716", FAY, least=6)
        connection = store._people.connection
        card = card_of(store.vault, "claimed", NUMBERS[10])
        with store.changing():
            columns = "(id, subject, digest, label, valid_until, uses, readings)"
            row = (card.id, ANN, card.digest, LATER.isoformat(), pack_readings(card.readings))
            connection.execute(f"INSERT INTO claims {columns} VALUES (?, ?, ?, '', ?, 1, ?)", row)
    with closing(sqlite3.connect(state / "people.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return state


def allowed(state):
    """Return who may pass which door at which moment, by face and by card, and how often."""
    ring = KeyRing.open_best(state, SITE)
    with closing(ring):
        own = Calendar({}, (), ZoneInfo("UTC"))
        calendar = with_office(own, ring.schedules, ring.days)
        found = set()
        for at in MOMENTS:
            for door in ("main", "second"):
                for subject in (ANN, BOB, CAT, DAN, EVE, FAY, GUS, HAL):
                    holder = ring.holder(subject)
                    if holder is not None and judge_holder(holder, door, at, calendar) is None:
                        found.add((subject, door, at))
                for number in NUMBERS:
                    card = ring.card(number)
                    holder = None if card is None or card.subject is None else ring.holder(card.subject)
                    if card is not None and judge_credential(card, holder, door, at, calendar) is None:
                        uses = range(100 if card.uses_left is None else min(card.uses_left, 100))
                        found |= {(number, door, at, use) for use in uses}
        pins = {(pin.subject, "pin") for pin in ring.store.all() if pin.kind == "pin"}
    return found | pins


def places(state):
    """Return table, column and row of every value in people.db."""
    with closing(sqlite3.connect(state / "people.db")) as connection:
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                  for name, _ in columns(state / "people.db")}  # fmt: skip
    return [(name, column, row) for name, column in columns(state / "people.db") for row in range(counts[name])]


@pytest.fixture
def copied(whole, tmp_path):
    """Return a function that copies the state folder."""
    made = iter(range(10**6))

    def make():
        return Path(shutil.copytree(whole, tmp_path / str(next(made))))

    return make


def test_damage_to_one_row_admits_nobody_new(whole, copied):
    before = allowed(whole)
    every = [(*place, value) for place in places(whole) for value in values_for(whole / "people.db", *place)]
    for table, column, row, value in dice("gallery").sample(every, min(CASES, len(every))):
        for is_repaired in (False, True):
            state = copied()
            if spoil(state / "people.db", table, column, value, row):
                repair(state) if is_repaired else None
                more = allowed(state) - before
                assert not more, f"{table}.{column}[{row}] became {value!r}, repaired: {is_repaired}"
            shutil.rmtree(state)


def spoilt(state, table, column, value, row=0):
    assert spoil(state / "people.db", table, column, value, row)


OWNERS = [("household", 0), ("household", 1), ("household", 3), ("role", 4)]


@pytest.mark.parametrize(("column", "row"), OWNERS)
@pytest.mark.parametrize("value", [None, b"x", "nonsense", "2-499"])
@pytest.mark.parametrize("is_repaired", [False, True])
def test_a_rule_without_an_owner_locks_out_only_possible_owners(whole, copied, column, row, value, is_repaired):
    """The attack: the schedule of a household is lost, so the household could pass at any hour."""
    state, before = copied(), allowed(whole)
    spoilt(state, "rights", column, value, row)
    repair(state) if is_repaired else None
    after = allowed(state)
    assert after <= before
    concerned = {"household": {ANN} if row == 0 else {CAT, DAN}, "role": {EVE}}[column]
    assert {each[0] for each in before - after} & {ANN, BOB, CAT, DAN, EVE, FAY, GUS, HAL} <= concerned


def again(state, healed=True):
    """Apply a snapshot of the office's records that are wanted."""
    with closing(Holdings.open(state, SITE)) as holdings:
        holdings.want_damaged()
        changes = [
            Change(
                replace(held, n=n, is_wanted=False),
                replace(content, keeps_credentials=True) if isinstance(content, PersonData) else content,
            )
            for key, (n, content) in records().items()
            if (held := holdings.get(key)).is_wanted
        ]
        holdings.apply(changes, len(records()), AT)
        holdings.want_damaged()
        assert not [key for key in records() if holdings.get(key).is_wanted], "nothing is asked for twice"
        return {change.holding.key for change in changes}


DAMAGES = [
    ("people", "household", "nonsense", 0), ("people", "subject", "nonsense", 2), ("people", "face", b"x", 2),
    ("people", "status", 5, 3), ("people", "copy", None, 4), ("rights", "household", None, 0),
    ("rights", "role", "x", 4), ("rights", "schedule", None, 0), ("rights", "copy", "", 1),
    ("rights_said", "value", b"x", 0), ("rights_said", "rows", 0, 1), ("schedules", "name", "x", 0),
    ("schedules", "days", "sun", 1), ("calendars", "holidays", "", 0), ("calendars", "name", b"x", 0),
    ("gates", "gate", b"x", 0), ("preferences", "subject", b"x", 0), ("consents", "subject", b"x", 2),
    ("rights", "subject", "dddddddddddddddd", 5),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "value", "row"), DAMAGES)
def test_a_damaged_row_is_requested_again_and_repaired(whole, copied, table, column, value, row):
    state = copied()
    spoilt(state, table, column, value, row)
    assert again(state)
    claimed = {each for each in allowed(state) if each[0] == NUMBERS[10]}
    assert allowed(state) - claimed == allowed(whole)
    with closing(Credentials.open(state, SITE)) as store, closing(Holdings.open(state, SITE)) as holdings:
        assert (store.left_out(), holdings.register.left_out()) == ("", "")


def test_an_undamaged_row_is_not_requested(copied):
    assert again(copied()) == set()


def test_a_card_without_its_holder_returns_with_the_holders_record(tmp_path):
    state = tmp_path / "state"
    with closing(Holdings.open(state, SITE)) as holdings:
        card = replace(card_of(holdings.register.vault, "c1", NUMBERS[0]), subject=ANN)
        filed = Change(RecordState(PERSON + ANN, 1), PersonData(person(ANN, "2-401"), cards=(card,)))
        holdings.apply([filed], 1, AT)
    spoilt(state, "credentials", "subject", None)
    with closing(Holdings.open(state, SITE)) as holdings:
        holdings.want_damaged()
        assert holdings.get(PERSON + ANN).is_wanted
        holdings.apply([filed], 1, AT)
    with closing(KeyRing.open_best(state, SITE)) as ring:
        assert ring.card(NUMBERS[0]).subject == ANN


def test_a_damaged_card_is_registered_again_at_the_gate(copied):
    state = copied()
    spoilt(state, "credentials", "subject", "f" * 15, 2)
    with closing(KeyRing.open_best(state, SITE)) as ring:
        (lost,) = [number for number in NUMBERS[:10] if ring.card(number) is None]
    with closing(Credentials.open(state, SITE)) as store:
        assert "1 of credentials" in store.left_out()
        issue_card(store, lost, CAT)
        assert store.left_out() == ""


@pytest.mark.parametrize("column", ["household", "subject", "face"])
def test_a_removed_person_with_a_damaged_row_is_erased(tmp_path, column, monkeypatch):
    """The attack: a receipt confirms the erasure of a face, while its key remains in the database."""
    state, vector = tmp_path / "state", np.eye(1, DIMENSION, dtype=np.float32)[0]
    with closing(Register.open(state, SITE)) as register, register.changing():
        register.add(person(ANN, "2-401"), EMBEDDER, [vector])
    with closing(Holdings.open(state, SITE)) as holdings:
        holdings.apply([Change(RecordState(PERSON + ANN, 1))], 1, AT)
    spoilt(state, "people", column, b"x")
    with closing(Holdings.open(state, SITE)) as holdings:
        holdings.apply([Change(RecordState(PERSON + ANN, 2, is_gone=True))], 2, AT)
        assert holdings.register.tidy()
        assert holdings.register._templates.keys() == {}
        assert holdings.get(PERSON + ANN).is_gone
        assert holdings.register._people.connection.execute("SELECT count(*) FROM people").fetchone()[0] == 0


def test_removing_a_person_removes_no_rules_of_a_neighbour_with_a_damaged_row(copied):
    """The attack: the last readable row of a household is removed with its rights. Then the damaged row is restored."""
    state = copied()
    with closing(Credentials.open(state, SITE)) as store:
        store.set_access_rules(HAL, [AccessRule("main", "work")], "household")
    with closing(Register.open(state, SITE)) as register:
        register.admit(person(SubjectId("9" * 16), "2-405"))
    spoilt(state, "people", "status", 5, 8)
    with closing(Register.open(state, SITE)) as register:
        register.remove(HAL)
    with closing(sqlite3.connect(state / "people.db")) as connection:
        said = "SELECT count(*) FROM rights WHERE household = '2-405'"
        assert connection.execute(said).fetchone()[0] == 1


def test_changing_a_damaged_row_does_not_make_it_valid(copied):
    state = copied()
    with closing(Credentials.open(state, SITE)) as store:
        people = len(store.holders())
    spoilt(state, "people", "household", "2-409", 0)
    with closing(sqlite3.connect(state / "people.db")) as connection, connection:
        connection.execute("UPDATE people SET status = 'active', role = 'staff'")
    with closing(Credentials.open(state, SITE)) as store:
        assert len(store.holders()) == people - 1
        assert "1 of people" in store.left_out()


def test_rows_of_an_older_version_are_repaired_completely(tmp_path):
    """The first start after an update finds a damaged value. The old file lacks some columns of the new schema."""
    older = MIGRATIONS[: MIGRATIONS.index(schema.COPIES)]
    database.connect(tmp_path / "templates.db", ()).close()
    with closing(database.connect(tmp_path / "people.db", older)) as old:
        columns = "(subject, name, household, status, enrolled_at, role)"
        insert = f"INSERT INTO people {columns} VALUES (?, 'N', ?, 'active', ?, 'x')"
        old.executemany(insert, [(each, "2-401", AT.isoformat()) for each in (ANN, BOB, CAT)])
        old.execute("INSERT INTO rights (household, schedule) VALUES ('2-401', 'work')")
        old.execute("INSERT INTO rights (subject, door) VALUES (?, 'main')", (BOB,))
    spoilt(tmp_path, "people", "enrolled_at", b"x", 2)
    repair(tmp_path)
    with closing(Credentials.open(tmp_path, SITE)) as store:
        assert {who: holder.rules for who, holder in store.holders().items()} == {
            ANN: (AccessRule(schedule="work"),),
            BOB: (AccessRule("main"),),
        }


@pytest.mark.parametrize("column", ["people.name", "people.enrolled_at", "people.face", "consents.notice_version"])
def test_the_version_shows_damage_in_any_column(gallery, join, state, column):
    join(gallery, 1)
    with closing(Register.open(state, "site")) as register:
        before = register.version()
        assert spoil(state / "people.db", *column.split("."), b"\xff\x00\xfe")
        assert register.version() != before
        assert register.opened(EMBEDDER).rows == []
