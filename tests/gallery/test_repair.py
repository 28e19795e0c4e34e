"""Repair of a damaged gallery: it keeps all readable rows, reports every loss, and restores no removed person."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gated.access.access_rules import judge_holder
from gated.access.schedules import Calendar
from gated.errors import DiskError, TornError
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.gallery.repair import repair
from gated.people.access_rule import AccessRule
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.people.keyring import KeyRing
from gated.storage.rescue import aside
from gated.types import SubjectId
from tests.gallery.changes import suspend

from .conftest import AT, DIMENSION, EMBEDDER


@pytest.fixture
def people(state, gallery, join):
    """Enrol ten people, each with a face and a card. Return their subject ids by number."""
    subjects = {number: join(gallery, number).subject for number in range(1, 11)}
    with closing(Credentials.open(state, "site")) as store:
        for number, subject in subjects.items():
            issue_card(store, f"{number:04}4711", subject)
    gallery.close()
    checkpoint(state)
    return subjects


def checkpoint(state):
    for name in ("people.db", "templates.db"):
        with closing(sqlite3.connect(state / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def zero(path: Path, table: str) -> None:
    """Fill the first page of a table with zeros, as a bad block does."""
    with closing(sqlite3.connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(bytes(4096))


def found(state, face, number):
    """Return the subject whose face matches this number, or None."""
    with closing(Gallery.open(state, "site", EMBEDDER, DIMENSION)) as gallery:
        candidates = gallery.search(face(number))
    return candidates[0].subject if candidates and candidates[0].score > 0.9 else None


def held(state, number):
    with closing(KeyRing.open_best(state, "site")) as ring:
        return ring.card(f"{number:04}4711")


def test_an_undamaged_database_is_not_changed(state, people):
    before = {path.name: path.read_bytes() for path in state.glob("*.db")}
    assert repair(state) == []
    assert {path.name: path.read_bytes() for path in state.glob("*.db")} == before


def test_a_gate_that_was_never_used_has_nothing_to_repair(state):
    assert repair(state) == []
    assert not state.exists()


def test_damaged_card_rows_lose_no_face_and_no_person(state, people, face):
    zero(state / "people.db", "credentials")
    (repaired,) = repair(state)
    assert (repaired.file, repaired.torn, repaired.anew) == ("people.db", ("credentials",), ())
    assert found(state, face, 3) == people[3]
    assert held(state, 3) is None
    assert aside(state / "people.db")


@pytest.mark.parametrize("is_count_lost", [False, True])
def test_damaged_access_rules_widen_no_access_and_narrow_none_of_others(state, people, is_count_lost):
    """A person limited to a schedule does not gain all hours because the SD card lost the schedule. If the list of
    limited people is lost too, nobody may pass.
    """
    with closing(Credentials.open(state, "site")) as store:
        store.set_access_rules(people[1], [AccessRule(schedule="work")])
    checkpoint(state)
    zero(state / "people.db", "rights")
    zero(state / "people.db", "rights_said") if is_count_lost else None
    (repaired,) = repair(state)
    assert repaired.torn == (("rights", "rights_said") if is_count_lost else ("rights",))
    with closing(Credentials.open(state, "site")) as store:
        assert refused(store) == (set(people.values()) if is_count_lost else {people[1]})
        store.set_access_rules(people[1], [])
        assert people[1] not in refused(store), "given anew they pass again"


def refused(store):
    """Return the subjects who may not pass now."""
    calendar = Calendar({}, (), ZoneInfo("UTC"))
    return {who for who, holder in store.holders().items() if judge_holder(holder, "main", AT, calendar) is not None}


def test_people_lost_with_the_file_are_listed_and_their_faces_kept(state, people, face):
    """The damaged file may name the owners of these faces. A sweep would destroy their keys for good."""
    (state / "people.db").write_bytes(b"")
    (repaired,) = repair(state)
    assert (repaired.torn, set(repaired.anew)) == (("everything",), set(people.values()))
    with closing(Register.open(state, "site")) as register:
        register.sweep()
        assert register.people() == []
        assert len(register._templates.keys()) == 10
    assert found(state, face, 1) is None, "nobody is let in whom nobody knows"


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_lost_people_database_does_not_make_a_new_gate(state, people, how):
    """Otherwise a command would start an empty database, and a sweep would erase every face as a face without an
    owner.
    """
    (state / "people.db").write_bytes(b"") if how == "empty" else (state / "people.db").unlink()
    with pytest.raises(TornError, match=how):
        Register.open(state, "site")
    assert how == "empty" or not (state / "people.db").exists()
    with closing(sqlite3.connect(state / "templates.db")) as connection:
        assert connection.execute("SELECT count(*) FROM data_keys").fetchone()[0] == 10


def test_a_person_removed_after_the_repair_is_erased(state, people):
    zero(state / "people.db", "credentials")
    repair(state)
    with closing(Register.open(state, "site")) as register:
        assert register.remove(people[4]) == 1
        keys = set(register._templates.keys())
    assert {subject for subject, _ in keys} == set(people.values()) - {people[4]}


@pytest.fixture
def of_the_office(state, people):
    """Mark all people except the first two as the office's records."""
    with closing(Register.open(state, "site")) as register, register.changing() as connection:
        for n, subject in enumerate(list(people.values())[2:], 1):
            columns = "(key, n, is_gone, is_wanted, suspended_n, face, stored_face, templates)"
            values = "(?, ?, 0, 0, 0, 'theirs', '', 0)"
            connection.execute(f"INSERT INTO records {columns} VALUES {values}", (f"person/{subject}", n))
        connection.execute("UPDATE replica SET version = 8")
    checkpoint(state)
    return people


def records(state):
    with closing(sqlite3.connect(state / "people.db")) as connection:
        return {
            row[0].removeprefix("person/"): row[1:]
            for row in connection.execute("SELECT key, is_wanted, face FROM records")
        }


def test_office_records_are_requested_again_and_the_version_stays(state, of_the_office):
    """Otherwise a replayed old message of the office could restore a person it revoked later."""
    zero(state / "people.db", "credentials")
    repair(state)
    assert {wanted for wanted, _ in records(state).values()} == {1}
    with closing(sqlite3.connect(state / "people.db")) as connection:
        assert connection.execute("SELECT version FROM replica").fetchall() == [(8,)]


def test_damaged_faces_of_the_office_come_again_and_other_people_are_listed(state, of_the_office, face):
    (state / "templates.db").write_bytes(b"")
    (repaired,) = repair(state)
    assert repaired.file == "templates.db"
    assert set(repaired.anew) == {of_the_office[1], of_the_office[2]}
    assert set(records(state).values()) == {(1, None)}
    assert found(state, face, 1) is None
    assert held(state, 1) is not None


def test_without_a_writable_disk_the_file_stays_and_the_readable_rows_are_used(disk, gallery_on, face):
    state, subjects = gallery_on
    zero(state / "people.db", "credentials")
    disk.freeze()
    assert repair(state) == []
    assert aside(state / "people.db") == []
    gallery = Gallery.open_best(state, "site", EMBEDDER, DIMENSION)
    assert gallery.search(face(1))[0].subject == subjects[1]
    assert "read-only" in gallery.trouble or "cannot be used" in gallery.trouble
    gallery.close()


@pytest.fixture
def gallery_on(disk, join):
    gallery = Gallery.open(disk.folder, "site", EMBEDDER, DIMENSION)
    subjects = {number: join(gallery, number).subject for number in range(1, 6)}
    gallery.close()
    with closing(Credentials.open(disk.folder, "site")) as store:
        for number, subject in subjects.items():
            issue_card(store, f"{number:04}4711", subject)
            issue_card(store, f"{number:04}0815", subject, uses=1)
    return disk.folder, subjects


def test_on_a_read_only_disk_everybody_is_known_and_a_revocation_in_the_log_counts(gallery_on, disk, face):
    state, subjects = gallery_on
    with closing(Register.open(state, "site")) as register:
        register.suspend(subjects[2])
        left = {name: (state / name).read_bytes() for name in ("people.db", "people.db-wal")}
    for name, content in left.items():  # as after a power cut: the write-ahead log was not checkpointed
        (state / name).write_bytes(content)
    assert left["people.db-wal"]
    disk.freeze()
    gallery, ring = Gallery.open_best(state, "site", EMBEDDER, DIMENSION), KeyRing.open_best(state, "site")
    assert [gallery.search(face(number))[0].status for number in (1, 2)] == ["active", "suspended"]
    assert [ring.holder(subjects[number]).is_suspended for number in (1, 2)] == [False, True]
    assert ring.card("00014711").subject == subjects[1]
    assert gallery.trouble
    assert ring.trouble
    gallery.close()
    ring.close()


def test_a_disk_that_becomes_writable_again_is_used_without_a_restart(gallery_on, disk, monkeypatch):
    monkeypatch.setattr("gated.storage.reopening.FIRST_S", 0.0)
    monkeypatch.setattr("gated.storage.reopening.MOST_S", 0.0)
    state, subjects = gallery_on
    disk.freeze()
    gallery, ring = Gallery.open_best(state, "site", EMBEDDER, DIMENSION), KeyRing.open_best(state, "site")
    card = ring.card("00010815")
    for _ in range(3):
        gallery.reload_if_changed()
        ring.reload_if_changed()
    assert (bool(gallery.trouble), bool(ring.trouble)) == (True, True)
    with pytest.raises(DiskError, match="cannot be used"):
        ring.store.use(card.id, AT)
    disk.thaw()
    gallery.reload_if_changed()
    ring.reload_if_changed()
    assert (gallery.trouble, ring.trouble) == ("", "")
    assert ring.store.use(card.id, AT)
    suspend(gallery, subjects[1])
    ring.reload_if_changed()
    assert ring.holder(subjects[1]).is_suspended
    gallery.close()
    ring.close()


def test_people_are_found_only_with_the_site_key(gallery_on, monkeypatch, face):
    monkeypatch.setattr("gated.storage.reopening.FIRST_S", 0.0)
    state, subjects = gallery_on
    key = state / "keys" / "site.key"
    content = key.read_bytes()
    key.write_bytes(content[:5])
    gallery, ring = Gallery.open_best(state, "site", EMBEDDER, DIMENSION), KeyRing.open_best(state, "site")
    assert (gallery.size, ring.card("00014711"), ring.pin("123456")) == (0, None, None)
    assert "site key" in gallery.trouble
    key.write_bytes(content)
    gallery.reload_if_changed()
    ring.reload_if_changed()
    assert gallery.search(face(1))[0].subject == subjects[1]
    assert ring.card("00014711").subject == subjects[1]
    gallery.close()
    ring.close()


def test_a_time_changed_by_a_damaged_card_denies(state, people):
    with closing(Credentials.open(state, "site")) as store:
        card = issue_card(store, "77774711", people[1], valid_until=AT + timedelta(days=1))
        with store.changing() as connection:
            connection.execute("UPDATE credentials SET valid_until = '2O26-x' WHERE id = ?", (card.id,))
    assert held(state, 7777).valid_until < AT
    assert SubjectId(people[1]) == held(state, 7777).subject
