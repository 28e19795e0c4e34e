"""The gate's copy of the office's records: each batch is applied completely or not at all, and versions only rise."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import Schedule
from gated.errors import StateError
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change, GateKeys, NamedSchedule, SharedRules
from gated.gallery.sealed_templates import new_face, seal_face
from gated.people import held_records, schema
from gated.people.access_rule import AccessRule
from gated.people.held_records import RecordState
from gated.people.issuing import card_of
from gated.people.preferences import Preferences
from gated.people.schema import MIGRATIONS
from gated.people.store import Consent, Person
from gated.storage import database
from gated.storage.valid_rows import MOST_INTEGER
from gated.types import SubjectId

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
EMBEDDER = "ab" * 32
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)


@pytest.fixture
def holdings(state: Path) -> Iterator[Holdings]:
    holdings = Holdings.open(state, "site")
    yield holdings
    holdings.close()


def person(subject: SubjectId, **other: object) -> Person:
    consent = Consent("recognise", f"paper-{subject[:1]}", "notice-3", AT)
    made = Person(subject, f"Neighbour {subject[:1]}", "2-401", "active", AT, (consent,))
    return replace(made, **other)  # type: ignore[arg-type]


def filed(subject: SubjectId, n: int, **other: object) -> Change:
    return Change(RecordState(PERSON + subject, n), PersonData(person(subject, **other)))


def with_face(holdings: Holdings, subject: SubjectId, n: int, vector: object) -> Change:
    face = seal_face(holdings.register.vault, subject, new_face(), f"paper-{subject[:1]}", [(EMBEDDER, vector)])  # type: ignore[list-item]
    return Change(RecordState(PERSON + subject, n), PersonData(person(subject), face=face.face), face)


def gone(key: str, n: int) -> Change:
    return Change(RecordState(key, n, is_gone=True))


def test_added_changed_and_removed_people_are_reported(holdings, face) -> None:
    first = holdings.apply([with_face(holdings, ANN, 1, face(1)), filed(BOB, 2)], 2, AT)
    assert (first.added, first.changed, first.removed) == (2, 0, {})
    second = holdings.apply([filed(BOB, 3, status="suspended"), gone(PERSON + ANN, 4)], 4, AT)
    assert (second.added, second.changed, second.removed, second.suspended) == (0, 1, {ANN: 1}, [BOB])
    assert holdings.apply([filed(BOB, 5)], 5, AT).resumed == [BOB]
    assert holdings.person(ANN) is None
    assert holdings.live() == [(PERSON + BOB, 5)]


@given(st.lists(st.integers(0, MOST_INTEGER), max_size=20))
def test_the_version_only_rises(versions: list[int]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE replica (version INTEGER NOT NULL)")
    connection.execute("INSERT INTO replica VALUES (0)")
    highest = 0
    for version in versions:
        held_records.raise_version(connection, version)
        highest = max(highest, version)
        assert held_records.version(connection) == highest
    connection.close()


def test_a_batch_that_fails_in_the_middle_leaves_nothing_of_it(state, holdings, face) -> None:
    holdings.apply([with_face(holdings, ANN, 1, face(1))], 1, AT)
    before = holdings.live()
    fail = "CREATE TRIGGER no BEFORE UPDATE ON replica BEGIN SELECT RAISE(FAIL, 'no'); END"
    holdings.register._people.connection.execute(fail)
    with pytest.raises(StateError):
        holdings.apply([gone(PERSON + ANN, 2), with_face(holdings, BOB, 3, face(2))], 3, AT)
    assert (holdings.live(), holdings.version) == (before, 1)
    assert holdings.person(ANN) is not None
    assert holdings.person(BOB) is None
    assert [row.subject for row in holdings.register.opened(EMBEDDER).rows] == [ANN]
    assert holdings.register._templates.count() == 2, "of nobody, until they are swept"
    holdings.register.tidy()
    assert holdings.register._templates.count() == 1


def test_a_face_counts_from_the_commit_that_names_it_in_its_person(holdings, face) -> None:
    change = with_face(holdings, ANN, 1, face(1))
    holdings.apply([change], 1, AT)
    other = with_face(holdings, ANN, 2, face(2))
    assert other.face is not None
    holdings.register.store([other.face], AT)
    (row,) = holdings.register.opened(EMBEDDER).rows
    assert row.vector.tobytes() == face(1).tobytes()
    with holdings.register.changing() as connection:
        connection.execute("UPDATE people SET face = ?", (other.face.face,))
    (row,) = holdings.register.opened(EMBEDDER).rows
    assert row.vector.tobytes() == face(2).tobytes()
    assert holdings.register.sweep()
    assert holdings.register._templates.keys().keys() == {(ANN, other.face.face)}


def test_a_tombstone_remembers_the_first_removal(holdings, face) -> None:
    holdings.apply([with_face(holdings, ANN, 1, face(1))], 1, AT)
    holdings.apply([gone(PERSON + ANN, 2)], 2, AT)
    holdings.apply([gone(PERSON + ANN, 5)], 5, AT + timedelta(days=1))
    held = holdings.get(PERSON + ANN)
    assert (held.n, held.templates, held.at) == (5, 1, AT.isoformat())


def test_a_quarantined_person_keeps_the_number_and_is_accepted_once(holdings) -> None:
    holdings.apply([Change(RecordState(PERSON + ANN, 1, quarantine="bulk")), filed(BOB, 2)], 2, AT)
    assert [held.quarantine for held in holdings.quarantined()] == ["bulk"]
    assert sorted(holdings.live()) == [(PERSON + ANN, 1), (PERSON + BOB, 2)]
    assert holdings.accept(ANN)
    assert holdings.live() == [(PERSON + BOB, 2)]
    assert sorted(holdings.known(2)) == [(PERSON + ANN, 1), (PERSON + BOB, 2)]
    assert holdings.known(1) == [(PERSON + ANN, 1)]
    assert holdings.quarantined() == []
    assert not holdings.accept(ANN)
    assert not holdings.accept(BOB)
    assert not holdings.accept(SubjectId("c" * 16))


def test_an_acceptance_by_another_process_is_seen_by_the_next_query(state, holdings) -> None:
    holdings.apply([Change(RecordState(PERSON + ANN, 1, quarantine="bulk"))], 1, AT)
    before = holdings.changes()
    assert holdings.changes() == before
    other = Holdings.open(state, "site")
    other.accept(ANN)
    other.close()
    assert holdings.changes() != before


def test_hours_rights_and_gates_are_stored_replaced_and_gone(holdings, store) -> None:
    work = Schedule(("mon",), "08:00", "18:00")
    holdings.apply(
        [
            Change(RecordState("schedule/work", 1), NamedSchedule("work", work)),
            Change(RecordState("household/2-401", 2), SharedRules("household", "2-401", (AccessRule("main"),))),
            Change(RecordState("gate/north", 3), GateKeys("north", "keys")),
            filed(ANN, 4),
        ],
        4,
        AT,
    )
    assert store.schedules() == {"work": work}
    assert store.access_rules_of(ANN, "household") == [AccessRule("main")]
    assert (holdings.keys_of("north"), holdings.keys_of("south")) == ("keys", None)
    other = replace_hours(work)
    holdings.apply([Change(RecordState("schedule/work", 5), NamedSchedule("work", other))], 5, AT)
    assert store.schedules() == {"work": other}
    holdings.apply([gone(key, 6) for key in ("schedule/work", "household/2-401", "gate/north")], 6, AT)
    assert (store.schedules(), store.access_rules_of(ANN, "household"), holdings.keys_of("north")) == ({}, [], None)


def replace_hours(schedule: Schedule) -> Schedule:
    return Schedule(schedule.days, "09:00", schedule.end)


def test_rights_of_a_household_that_the_office_named_outlive_its_people_and_others_do_not(holdings, store) -> None:
    said = SharedRules("household", "2-401", (AccessRule("main"),))
    holdings.apply(
        [Change(RecordState("household/2-401", 1), said), filed(ANN, 2), filed(BOB, 3, household="1-101")], 3, AT
    )
    store.set_access_rules(BOB, [AccessRule("second")], "household")
    holdings.apply([gone(PERSON + ANN, 4), gone(PERSON + BOB, 5)], 5, AT)
    left = holdings.register._people.connection.execute("SELECT household FROM rights").fetchall()
    assert [row[0] for row in left] == ["2-401"]


def test_a_suspension_ahead_of_its_record_changes_nothing_else(holdings, store) -> None:
    holdings.apply([filed(ANN, 1)], 1, AT)
    ahead = replace(holdings.get(PERSON + ANN), suspended_n=9)
    outcome = holdings.apply([Change(ahead, is_suspending=True)], 1, AT)
    assert (outcome.suspended, outcome.added, outcome.changed) == ([ANN], 0, 0)
    assert holdings.person(ANN) == person(ANN, status="suspended")
    assert holdings.live() == [(PERSON + ANN, 1)]


def test_cleared_preferences_are_the_default_preferences(holdings, store) -> None:
    wishing = PersonData(person(ANN), preferences=Preferences(12.0), rules=(AccessRule("main"),))
    holdings.apply([Change(RecordState(PERSON + ANN, 1), wishing)], 1, AT)
    assert store.holders()[ANN].preferences == Preferences(12.0)
    holdings.apply([filed(ANN, 2)], 2, AT)
    assert store.holders()[ANN].preferences == Preferences()
    assert store.holders()[ANN].rules == ()


def test_a_card_keeps_the_memory_of_its_uses_and_another_number_does_not(holdings, store) -> None:
    def having(number: str, uses: int) -> Change:
        card = card_of(holdings.register.vault, "c1", number)
        return Change(RecordState(PERSON + ANN, 1), PersonData(person(ANN), cards=(replace(card, uses_left=uses),)))

    holdings.apply([having("55501", 3)], 1, AT)
    assert store.use("c1", AT)
    holdings.apply([having("55501", 3)], 1, AT)
    assert [(c.uses_left, c.first_used_at) for c in store.all()] == [(2, AT)]
    holdings.apply([having("55502", 3)], 1, AT)
    assert [(c.uses_left, c.first_used_at) for c in store.all()] == [(3, None)]


def test_a_holding_comes_back_as_it_went_in(holdings) -> None:
    held = RecordState("person/x", 7, False, "vector", "bulk", True, 9, "face", "stored", 3, AT.isoformat())
    with holdings.register.changing() as connection:
        held_records.put(connection, held)
    assert holdings.get("person/x") == held
    assert holdings.get("person/y") == RecordState("person/y")
    assert "person/x" not in repr(held)


def test_a_store_of_an_older_gated_follows_no_office_yet(state) -> None:
    connection = database.connect(state / "people.db", MIGRATIONS[:2])
    connection.execute("INSERT INTO people VALUES (?, 'Ann', '2-401', 'active', ?, 'resident')", (ANN, AT.isoformat()))
    connection.close()
    database.connect(state / "templates.db", ()).close()
    holdings = Holdings.open(state, "site")
    assert (holdings.version, holdings.live()) == (0, [])
    assert holdings.person(ANN) is not None
    assert holdings.face(ANN) == ""
    assert not holdings.is_new()
    holdings.close()


@pytest.mark.parametrize("step", ["ALLOWANCE", "WAITING_FACES", "WAITING_CREDENTIALS"])
def test_records_held_before_each_migration_are_held_after_it(state, step) -> None:
    """The database has the schema before the migration: a record with a face, one in quarantine, and a recent one."""
    before = MIGRATIONS[: MIGRATIONS.index(getattr(schema, step))]
    columns = "key, n, is_gone, quarantine, accepted, is_wanted, suspended_n, face, stored_face, templates, at"
    rows = [
        (PERSON + ANN, 7, 0, "duplicate", None, 0, 0, "theirs", "ours", 0, None),
        (PERSON + "b" * 16, 5, 0, None, "bulk", 1, 3, None, None, 0, None),
    ]
    with closing(database.connect(state / "people.db", before)) as old:
        old.executemany(f"INSERT INTO records ({columns}) VALUES ({', '.join('?' * 11)})", rows)
        old.execute("UPDATE replica SET version = 7")
        if step != "ALLOWANCE":
            old.execute("UPDATE allowance SET recent = 4, recent_at = ?, spent = 2", (AT.isoformat(),))
    database.connect(state / "templates.db", ()).close()
    with closing(Holdings.open(state, "site")) as holdings:
        held, wanted = holdings.get(PERSON + ANN), holdings.get(PERSON + "b" * 16)
        assert held == RecordState(PERSON + ANN, 7, quarantine="duplicate", face="theirs", stored_face="ours")
        assert (wanted.accepted, wanted.is_wanted, wanted.suspended_n) == ("bulk", True, 3)
        assert (held.sets, held.pending, held.ways) == ("", None, "")
        known = held_records.Allowed() if step == "ALLOWANCE" else held_records.Allowed(4, AT.isoformat(), spent=2)
        assert (holdings.version, holdings.allowed) == (7, known)
        assert holdings.accept(ANN)
        assert holdings.get(PERSON + ANN).accepted == "duplicate"
