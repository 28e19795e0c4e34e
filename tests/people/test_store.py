import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated.errors import SubjectNotFoundError
from gated.people.credential import pack_readings, read_credential
from gated.people.face_mark import FaceMark, put_mark, read_marks
from gated.people.schema import MARKS, MIGRATIONS
from gated.people.store import Consent, People, Person, SearchablePerson
from gated.storage import database, migrations
from gated.types import SubjectId

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
CONSENT = Consent("recognise", "paper-1", "notice-3", AT)
ANN = Person(SubjectId("a" * 16), "安妮", "2-401", "active", AT, (CONSENT,))
BOB = Person(SubjectId("b" * 16), "Bob", "1-101", "active", AT, (replace(CONSENT, reference="paper-2"),))


@pytest.fixture
def people(state: Path) -> Iterator[People]:
    people = People(state)
    yield people
    people.connection.close()


def test_a_person_is_read_back_unchanged(people: People) -> None:
    people.add(ANN)
    assert people.get(ANN.subject) == ANN
    assert people.all() == [ANN]
    assert people.subjects() == {ANN.subject}


def test_everybody_is_listed_by_household_and_name(people: People) -> None:
    ada = replace(BOB, subject=SubjectId("c" * 16), name="Ada")
    for person in (ANN, BOB, ada):
        people.add(person)
    assert people.all() == [ada, BOB, ANN]


def test_an_unknown_person_gives_an_error_that_names_the_search_command(people: People) -> None:
    for ask in (
        lambda subject: people.set_status(subject, "active"),
        people.get,
        people.delete,
        lambda subject: people.set_role(subject, "staff"),
    ):
        with pytest.raises(SubjectNotFoundError, match="gated people list"):
            ask(SubjectId("nobody"))


def test_the_status_is_kept(people: People) -> None:
    people.add(ANN)
    people.set_status(ANN.subject, "suspended")
    assert people.get(ANN.subject).status == "suspended"
    people.set_status(ANN.subject, "active")
    assert people.get(ANN.subject).status == "active"


def test_the_role_is_kept(people: People) -> None:
    people.add(ANN)
    people.add(replace(BOB, role="staff"))
    people.set_role(ANN.subject, "guardian")
    assert [person.role for person in people.all()] == ["staff", "guardian"]


def test_an_unknown_status_counts_as_suspended(people: People) -> None:
    people.add(ANN)
    people.connection.execute("PRAGMA ignore_check_constraints = ON")
    people.connection.execute("UPDATE people SET status = 'Active'")
    assert people.get(ANN.subject).status == "suspended"
    assert people.consented()[ANN.subject].status == "suspended"


def test_only_people_who_consented_to_recognition_are_searched(people: People) -> None:
    people.add(ANN)
    people.add(replace(BOB, consents=(replace(CONSENT, purpose="transfer"),)))
    assert people.consented() == {ANN.subject: SearchablePerson("2-401", "active", "paper-1")}


def test_consents_are_stored_by_purpose_and_deleted_with_the_person(people: People) -> None:
    both = (CONSENT, replace(CONSENT, purpose="transfer", reference="paper-9"))
    people.add(replace(ANN, consents=both))
    people.add(BOB)
    assert people.get(ANN.subject).consents == both
    people.delete(ANN.subject)
    assert [row["subject"] for row in people.connection.execute("SELECT subject FROM consents")] == [BOB.subject]


def test_a_deletion_records_that_its_traces_must_be_erased(people: People) -> None:
    people.add(ANN)
    assert people.connection.execute("SELECT count(*) FROM erasures").fetchone()[0] == 0
    people.delete(ANN.subject)
    assert people.connection.execute("SELECT count(*) FROM erasures").fetchone()[0] == 1


def test_the_repr_of_a_person_has_no_name_household_or_paper(people: People) -> None:
    people.add(ANN)
    shown = f"{people.get(ANN.subject)!r} {people.consented()!r}"
    for secret in (ANN.name, ANN.household, "paper-1"):
        assert secret not in shown
    assert ANN.subject in shown


def test_the_schema_is_the_sum_of_its_migrations_from_any_number_of_them(tmp_path: Path) -> None:
    for done in range(len(MIGRATIONS) + 1):
        state = tmp_path / str(done)
        database.connect(state / "people.db", MIGRATIONS[:done]).close()
        people = People(state)
        people.add(ANN)
        assert people.all() == [ANN]
        people.connection.close()


def test_people_stored_before_cards_existed_stay_and_can_get_a_card(tmp_path: Path) -> None:
    old = database.connect(tmp_path / "people.db", MIGRATIONS[:1])
    old.execute(
        "INSERT INTO people VALUES (?, ?, ?, ?, ?)",
        (ANN.subject, ANN.name, ANN.household, "active", "2026-03-01T09:30:00+00:00"),
    )
    old.execute(
        "INSERT INTO consents VALUES (?, ?, ?, ?, ?)",
        (ANN.subject, "recognise", "paper-1", "notice-3", "2026-03-01T09:30:00+00:00"),
    )
    old.close()
    people = People(tmp_path)
    assert people.all() == [ANN]
    assert people.get(ANN.subject).role == "resident"
    assert not people.has_credentials()
    people.connection.execute(
        "INSERT INTO credentials (id, way, subject, digest, label, is_duress) VALUES ('1', 'card', ?, x'00', '', 0)",
        (ANN.subject,),
    )
    assert people.has_credentials()
    people.connection.close()


@pytest.mark.parametrize(
    "row",
    [
        ("face", ANN.subject, None, 0, None),
        ("pin", ANN.subject, None, 0, None),
        ("pin", None, "hash", 0, None),
        ("card", ANN.subject, "hash", 0, None),
        ("card", "f" * 16, None, 0, None),
        ("card", None, None, 2, None),
        ("card", None, None, 0, -1),
    ],
)
def test_the_database_refuses_an_impossible_credential(people: People, row: tuple[object, ...]) -> None:
    people.add(ANN)
    with pytest.raises(sqlite3.IntegrityError):
        people.connection.execute(
            "INSERT INTO credentials (id, digest, label, way, subject, pin_hash, is_duress, uses_left)"
            " VALUES ('1', x'00', '', ?, ?, ?, ?, ?)",
            row,
        )


@pytest.mark.parametrize("wish", [("release_s", 4.9), ("release_s", 30.1), ("search_s", 0.5), ("first", "smell")])
def test_the_database_refuses_an_impossible_preference(people: People, wish: tuple[str, object]) -> None:
    people.add(ANN)
    with pytest.raises(sqlite3.IntegrityError):
        people.connection.execute(f"INSERT INTO preferences (subject, {wish[0]}) VALUES (?, ?)", (ANN.subject, wish[1]))


@pytest.mark.parametrize(
    "whose",
    [
        (None, None, None),
        (ANN.subject, "2-401", None),
        (ANN.subject, None, "staff"),
        (None, "2-401", "staff"),
        (ANN.subject, "2-401", "staff"),
        ("f" * 16, None, None),
    ],
)
def test_the_database_refuses_a_rule_with_no_owner_or_two(people: People, whose: tuple[str | None, ...]) -> None:
    people.add(ANN)
    with pytest.raises(sqlite3.IntegrityError):
        people.connection.execute("INSERT INTO rights (subject, household, role) VALUES (?, ?, ?)", whose)


@pytest.mark.parametrize("role", ["", "r" * 21, None])
def test_the_database_refuses_an_impossible_role(people: People, role: str | None) -> None:
    people.add(ANN)
    with pytest.raises(sqlite3.IntegrityError):
        people.connection.execute("UPDATE people SET role = ?", (role,))


def test_household_rules_are_deleted_with_the_last_person(people: People) -> None:
    ada = replace(ANN, subject=SubjectId("c" * 16))
    for person in (ANN, ada, BOB):
        people.add(person)
    people.connection.executemany("INSERT INTO rights (household) VALUES (?)", [("2-401",), ("1-101",)])
    people.connection.execute("INSERT INTO rights (subject) VALUES (?)", (ANN.subject,))
    people.delete(ANN.subject)
    said = "SELECT subject, household FROM rights ORDER BY household"
    assert [tuple(row) for row in people.connection.execute(said)] == [(None, "1-101"), (None, "2-401")]
    people.delete(ada.subject)
    assert [tuple(row) for row in people.connection.execute(said)] == [(None, "1-101")]


def test_people_stored_before_marks_existed_have_none_and_can_be_migrated_back(tmp_path: Path) -> None:
    path, before = tmp_path / "people.db", MIGRATIONS[: MIGRATIONS.index(MARKS)]
    old = database.connect(path, before)
    columns = "(subject, name, household, status, enrolled_at, role)"
    old.execute(f"INSERT INTO people {columns} VALUES ('a', 'Ann', '12', 'active', '2026-01-01T00:00:00+00:00', 'x')")
    old.close()
    people = People(tmp_path)
    assert read_marks(people.connection) == {}
    put_mark(people.connection, SubjectId("a"), FaceMark("child"))
    assert read_marks(people.connection) == {"a": FaceMark("child")}
    people.connection.execute("DELETE FROM people")
    assert read_marks(people.connection) == {}, "an erased person keeps no mark"
    people.connection.close()
    assert migrations.go_back(path, len(before)) == len(MIGRATIONS) - len(before)
    database.connect(path, before).close()


@pytest.mark.parametrize(
    ("change", "marked"),
    [
        ("kind = 'none'", {"a"}),
        ("until = '2026-01-01T00:00:00+00:00'", {"a"}),
        ("until = 'soon'", {"a"}),
        ("subject = 'b'", {"a", "b"}),
        ("subject = 'b', copy = ''", {"b"}),
    ],
)
def test_a_damaged_mark_still_holds(tmp_path: Path, change: str, marked: set[str]) -> None:
    people = People(tmp_path)
    columns = "(subject, name, household, status, enrolled_at, role)"
    for subject in ("a", "b"):
        row = (subject, "N", "12", "active", "2026-01-01T00:00:00+00:00", "x")
        people.connection.execute(f"INSERT INTO people {columns} VALUES (?, ?, ?, ?, ?, ?)", row)
    put_mark(people.connection, SubjectId("a"), FaceMark("child", datetime(2099, 1, 1, tzinfo=UTC)))
    people.connection.execute("DROP TRIGGER marks_changed")  # a memory card runs no trigger
    people.connection.execute(f"UPDATE marks SET {change}")
    marks = read_marks(people.connection)
    assert set(marks) >= marked
    assert all(marks[SubjectId(subject)].holds(datetime(2050, 1, 1, tzinfo=UTC)) for subject in marked)
    people.connection.close()


def test_cards_stored_before_readings_existed_stay_and_can_be_migrated_back(tmp_path: Path) -> None:
    """The migration adds one column, empty for the old rows. An older gated removes it again."""
    path = tmp_path / "people.db"
    old = database.connect(path, MIGRATIONS[:3])
    insert = "INSERT INTO credentials (id, way, digest, label, is_duress) VALUES (?, 'card', ?, '', 0)"
    old.execute(insert, ("1", b"1" * 32))
    old.close()
    people = People(tmp_path)
    row = people.connection.execute("SELECT * FROM credentials").fetchone()
    assert read_credential(row).readings == frozenset()
    people.connection.execute("UPDATE credentials SET readings = ?", (pack_readings({b"2" * 16, b"3" * 16}),))
    row = people.connection.execute("SELECT * FROM credentials").fetchone()
    assert read_credential(row).readings == {b"2" * 16, b"3" * 16}
    people.connection.close()
    assert migrations.go_back(path, 3) == len(MIGRATIONS) - 3
    old = database.connect(path, MIGRATIONS[:3])
    assert [tuple(row) for row in old.execute("SELECT id, digest FROM credentials")] == [("1", b"1" * 32)]
    old.close()
