from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated import database
from gated.errors import SubjectNotFoundError
from gated.gallery.people import MIGRATIONS, Consent, Consented, People, Person
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


def test_a_person_comes_back_as_they_went_in(people: People) -> None:
    people.add(ANN)
    assert people.get(ANN.subject) == ANN
    assert people.all() == [ANN]
    assert people.subjects() == {ANN.subject}


def test_everybody_is_listed_by_household_and_name(people: People) -> None:
    ada = replace(BOB, subject=SubjectId("c" * 16), name="Ada")
    for person in (ANN, BOB, ada):
        people.add(person)
    assert people.all() == [ada, BOB, ANN]


def test_an_unknown_person_is_told_with_the_way_to_find_the_right_id(people: People) -> None:
    for ask in (people.get, people.delete, lambda subject: people.set_status(subject, "active")):
        with pytest.raises(SubjectNotFoundError, match="gated people list"):
            ask(SubjectId("nobody"))


def test_the_status_is_kept(people: People) -> None:
    people.add(ANN)
    people.set_status(ANN.subject, "suspended")
    assert people.get(ANN.subject).status == "suspended"
    people.set_status(ANN.subject, "active")
    assert people.get(ANN.subject).status == "active"


def test_a_status_that_is_not_plainly_active_counts_as_suspended(people: People) -> None:
    people.add(ANN)
    people.connection.execute("PRAGMA ignore_check_constraints = ON")
    people.connection.execute("UPDATE people SET status = 'Active'")
    assert people.get(ANN.subject).status == "suspended"
    assert people.consented()[ANN.subject].status == "suspended"


def test_only_those_who_agreed_to_be_recognised_are_searched_for(people: People) -> None:
    people.add(ANN)
    people.add(replace(BOB, consents=(replace(CONSENT, purpose="transfer"),)))
    assert people.consented() == {ANN.subject: Consented("2-401", "active", "paper-1")}


def test_consents_are_kept_by_purpose_and_go_with_the_person(people: People) -> None:
    both = (CONSENT, replace(CONSENT, purpose="transfer", reference="paper-9"))
    people.add(replace(ANN, consents=both))
    people.add(BOB)
    assert people.get(ANN.subject).consents == both
    people.delete(ANN.subject)
    assert [row["subject"] for row in people.connection.execute("SELECT subject FROM consents")] == [BOB.subject]


def test_a_deletion_owes_that_the_traces_go_too(people: People) -> None:
    people.add(ANN)
    assert people.connection.execute("SELECT count(*) FROM erasures").fetchone()[0] == 0
    people.delete(ANN.subject)
    assert people.connection.execute("SELECT count(*) FROM erasures").fetchone()[0] == 1


def test_neither_name_nor_household_nor_paper_is_in_what_a_log_would_show(people: People) -> None:
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
