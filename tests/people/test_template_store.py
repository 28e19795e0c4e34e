import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated.people.template_store import MIGRATIONS, Sealed, SealedFace, Templates
from gated.storage import database
from gated.types import SubjectId

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)


def face(subject: SubjectId, embedder: str, *ids: str, name: str = "") -> SealedFace:
    return SealedFace(subject, name, b"key " + subject[:1].encode(), [(id_, embedder, id_.encode()) for id_ in ids])


@pytest.fixture
def templates(state: Path) -> Iterator[Templates]:
    templates = Templates(state)
    yield templates
    templates.connection.close()


def test_sealed_templates_are_read_back_by_their_embedder(templates: Templates) -> None:
    templates.add(face(ANN, "old", "t1", "t2"), AT)
    templates.add(face(BOB, "new", "t3"), AT)
    assert sorted(templates.made_by("old")) == [Sealed("t1", ANN, b"t1"), Sealed("t2", ANN, b"t2")]
    assert templates.made_by("new") == [Sealed("t3", BOB, b"t3")]
    assert templates.made_by("another") == []
    assert templates.keys() == {(ANN, ""): b"key a", (BOB, ""): b"key b"}


def test_templates_are_counted_in_all_and_by_person(templates: Templates) -> None:
    templates.add(face(ANN, "old", "t1", "t2"), AT)
    templates.add(face(BOB, "new", "t3"), AT)
    assert [templates.count(), templates.count(ANN), templates.count(SubjectId("nobody"))] == [3, 2, 0]


def test_deleting_a_person_deletes_only_their_key_and_templates(templates: Templates) -> None:
    templates.add(face(ANN, "old", "t1", "t2"), AT)
    templates.add(face(BOB, "old", "t3"), AT)
    templates.delete(ANN, "")
    assert templates.keys() == {(BOB, ""): b"key b"}
    assert templates.made_by("old") == [Sealed("t3", BOB, b"t3")]
    assert templates.connection.execute("SELECT count(*) FROM erasures").fetchone()[0] == 1


def test_a_replaced_face_is_deleted_with_its_key_and_the_other_stays(templates: Templates) -> None:
    templates.add(face(ANN, "old", "t1"), AT)
    templates.add(face(ANN, "new", "t2", name="second"), AT)
    assert templates.count(ANN) == 2
    templates.delete(ANN, "")
    assert templates.keys() == {(ANN, "second"): b"key a"}
    assert templates.of(ANN, "second") == [("new", Sealed("t2", ANN, b"t2", "second"))]
    assert templates.of(ANN, "") == []


def test_templates_of_an_older_version_are_each_persons_first_face(tmp_path: Path) -> None:
    connection = database.connect(tmp_path / "templates.db", MIGRATIONS[:1])
    connection.execute("INSERT INTO data_keys VALUES (?, ?)", (ANN, b"key a"))
    connection.execute("INSERT INTO templates VALUES ('t1', ?, 'old', ?, ?)", (ANN, b"t1", AT.isoformat()))
    connection.close()
    templates = Templates(tmp_path)
    assert templates.keys() == {(ANN, ""): b"key a"}
    assert templates.made_by("old") == [Sealed("t1", ANN, b"t1")]
    templates.delete(ANN, "")
    assert templates.count() == 0
    templates.connection.close()


def test_there_is_no_template_without_a_key(templates: Templates) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        templates.connection.execute("INSERT INTO templates VALUES ('t', 'nobody', '', 'e', x'00', '2026-03-01')")


def test_no_column_could_hold_an_identity(templates: Templates) -> None:
    tables = [row[0] for row in templates.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    tables.remove("_sqlite_migrations")
    columns = {row["name"] for t in tables for row in templates.connection.execute(f"PRAGMA table_info({t})")}
    assert columns - {"seq"} == {"subject", "face", "wrapped", "id", "embedder_sha256", "sealed", "made_at", "name"}
    assert "name" not in {row["name"] for row in templates.connection.execute("PRAGMA table_info(templates)")}


def test_the_schema_is_the_sum_of_its_migrations_from_any_number_of_them(tmp_path: Path) -> None:
    for done in range(len(MIGRATIONS) + 1):
        state = tmp_path / str(done)
        database.connect(state / "templates.db", MIGRATIONS[:done]).close()
        templates = Templates(state)
        templates.add(face(ANN, "e", "t1"), AT)
        assert templates.count() == 1
        templates.connection.close()
