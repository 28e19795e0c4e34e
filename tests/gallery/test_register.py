import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gated.errors import BusyError, StateError, SubjectNotFoundError
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.people import store as people
from gated.people import template_store
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.people.preferences import Preferences
from gated.storage.vault import Vault
from gated.types import SubjectId
from tests.gallery.changes import remove, resume, suspend

HAND_OVER = "UPDATE templates SET subject = :to WHERE subject = :from_"


@pytest.fixture
def registered(state: Path) -> Iterator[Register]:
    register = Register.open(state, "site")
    yield register
    register.close()


def files(state: Path) -> dict[str, bytes]:
    return {str(file.relative_to(state)): file.read_bytes() for file in state.rglob("*") if file.is_file()}


def places(state: Path, *traces: bytes) -> list[str]:
    """Return the names of the files that still contain any of these bytes."""
    return [name for name, content in files(state).items() if any(trace in content for trace in traces)]


def traces_of(gallery: Gallery, subject: str) -> list[bytes]:
    """Return all stored data about a person: wrapped key, seals, name, household, consent form, id."""
    register = gallery._register
    person = register.person(SubjectId(subject))
    sealed = [t.sealed for t in register._templates.made_by(gallery.embedder_sha256) if t.subject == subject]
    texts = [person.name, person.household, *(consent.reference for consent in person.consents), subject]
    return [register._templates.keys()[SubjectId(subject), ""], *sealed, *(text.encode() for text in texts)]


@contextmanager
def a_reader(state: Path, name: str) -> Iterator[sqlite3.Connection]:
    """Open another connection that is in the middle of a read transaction."""
    connection = sqlite3.connect(state / name, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM sqlite_schema").fetchall()
    yield connection
    connection.close()


def impatient(gallery: Gallery) -> Gallery:
    for connection in gallery._register._stores.connections:
        connection.execute("PRAGMA busy_timeout = 20")
    return gallery


def test_a_register_needs_no_model(gallery, registered, join) -> None:
    ann = join(gallery, 1, pictures=2)
    assert [person.subject for person in registered.people()] == [ann.subject]
    assert registered.person(ann.subject).household == "Block 4 Flat 1"
    assert registered.template_count(ann.subject) == 2
    registered.suspend(ann.subject)
    assert registered.person(ann.subject).status == "suspended"
    registered.resume(ann.subject)
    assert registered.person(ann.subject).status == "active"
    assert registered.remove(ann.subject) == 2
    assert registered.people() == []


def test_an_unknown_subject_is_an_error_by_name_and_changes_nothing(gallery, registered, join) -> None:
    join(gallery, 1)
    before = registered.version()
    for ask in (
        registered.person,
        registered.template_count,
        registered.suspend,
        registered.resume,
        registered.remove,
    ):
        with pytest.raises(SubjectNotFoundError):
            ask(SubjectId("0123456789abcdef"))
    assert registered.version() == before


def test_suspending_twice_is_suspending(gallery, registered, join) -> None:
    ann = join(gallery, 1)
    registered.suspend(ann.subject)
    registered.suspend(ann.subject)
    assert registered.person(ann.subject).status == "suspended"


def test_the_version_shows_every_change_of_any_process(gallery, registered, join) -> None:
    seen = [registered.version()]
    ann = join(gallery, 1)
    seen.append(registered.version())
    registered.suspend(ann.subject)
    seen.append(registered.version())
    resume(gallery, ann.subject)
    seen.append(registered.version())
    registered.remove(ann.subject)
    seen.append(registered.version())
    assert len(set(seen)) == 5
    assert registered.version() == seen[-1]


def test_a_person_removed_after_the_version_was_read_is_in_no_search(gallery, registered, join) -> None:
    """`version` reads who consented. The following search reuses that list, unless it changed since."""
    ann, bob = join(gallery, 1), join(gallery, 2)
    registered.version()
    remove(gallery, ann.subject)
    assert [row.subject for row in registered.opened(gallery.embedder_sha256).rows] == [bob.subject]
    registered.version()
    registered.remove(bob.subject)
    assert registered.opened(gallery.embedder_sha256).rows == []


def test_a_used_card_does_not_change_the_searched_data(gallery, registered, join, store) -> None:
    ann = join(gallery, 1)
    card = issue_card(store, "12345678", ann.subject)
    before = registered.version()
    assert store.use(card.id, datetime(2026, 3, 1, tzinfo=UTC))
    store.set_preferences(ann.subject, Preferences(release_s=15))
    assert registered.version() == before
    assert not gallery.reload_if_changed()
    registered.suspend(ann.subject)
    assert registered.version() != before
    assert gallery.reload_if_changed()


def test_a_used_card_causes_no_new_decision(gallery, registered, join, store, monkeypatch) -> None:
    ann = join(gallery, 1)
    card = issue_card(store, "12345678", ann.subject)
    before, judged, judge = registered.version(), [], registered._people.consented
    monkeypatch.setattr(registered._people, "consented", lambda: judged.append("all") or judge())
    assert store.use(card.id, datetime(2026, 3, 1, tzinfo=UTC))
    assert registered.version() == before
    assert judged == []
    suspend(gallery, ann.subject)
    assert registered.version() != before
    assert judged == ["all"]


def test_a_person_without_a_face_is_added_and_shown(gallery, registered, live) -> None:
    ann = live("a")
    assert registered.person(ann).consents == ()
    assert registered.template_count(ann) == 0
    gallery.reload_if_changed()
    assert gallery.size == 0
    assert registered.remove(ann) == 0
    assert registered.people() == []


def test_no_new_site_key_is_made_where_cards_need_the_old_one(state, registered, store) -> None:
    issue_card(store, "12345678", None)
    (state / "keys" / "site.key").unlink()
    for open_again in (Register.open, Credentials.open):
        with pytest.raises(StateError, match="site key"):
            open_again(state, "site")


# Contents of the files


def test_no_file_ever_holds_a_template_or_a_data_key_in_the_clear(state, gallery, join, face, monkeypatch) -> None:
    keys: list[bytes] = []
    new_data_key = Vault.new_data_key

    def remembered(self: Vault, subject: SubjectId) -> tuple[bytes, bytes]:
        made = new_data_key(self, subject)
        keys.append(made[0])
        return made

    monkeypatch.setattr(Vault, "new_data_key", remembered)
    for person in range(1, 6):
        join(gallery, person, pictures=2)
        secrets = [*keys, *(face(p, i).tobytes()[:16] for p in range(1, person + 1) for i in range(2))]
        secrets += [struct.pack(">8f", *face(person)[:8]), repr(float(face(person)[0])).encode()]
        assert places(state, *secrets) == []
    assert len(set(keys)) == 5
    remove(gallery, gallery.people()[0].subject)
    assert places(state, *keys) == []


def test_identities_and_templates_never_lie_in_one_file(state, gallery, join) -> None:
    ann = join(gallery, 1)
    wrapped, seal, name, household, paper, subject = traces_of(gallery, ann.subject)
    assert all(place.startswith("people.db") for place in places(state, name, household, paper))
    assert all(place.startswith("templates.db") for place in places(state, wrapped, seal))
    assert {place.split("-")[0] for place in places(state, subject)} == {"people.db", "templates.db"}


def test_the_site_key_lies_in_its_own_file_only(state, gallery, join) -> None:
    join(gallery, 1)
    assert places(state, (state / "keys" / "site.key").read_bytes()) == ["keys/site.key"]


# A seal is valid in one place only


def test_a_template_that_was_moved_to_another_person_opens_for_nobody(state, gallery, opened, join, face) -> None:
    ann, eve = join(gallery, 1), join(gallery, 2)
    connection = gallery._register._templates.connection
    connection.execute(HAND_OVER, {"from_": eve.subject, "to": ann.subject})
    later = opened()
    assert later.unreadable_count == 1
    assert [candidate.subject for candidate in later.search(face(2))] == [ann.subject]
    assert later.search(face(2))[0].score < 0.7


def test_not_even_together_with_its_key(gallery, opened, join) -> None:
    ann, eve = join(gallery, 1), join(gallery, 2)
    connection = gallery._register._templates.connection
    connection.execute("DELETE FROM data_keys WHERE subject = ?", (ann.subject,))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("UPDATE data_keys SET subject = ? WHERE subject = ?", (ann.subject, eve.subject))
    connection.execute(HAND_OVER, {"from_": eve.subject, "to": ann.subject})
    later = opened()
    assert (later.size, later.unreadable_count) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE templates SET id = 'another'",
        "UPDATE templates SET sealed = substr(sealed, 1, 20)",
        "UPDATE data_keys SET wrapped = x'00'",
    ],
)
def test_an_altered_row_does_not_open(gallery, opened, join, change: str) -> None:
    join(gallery, 1)
    gallery._register._templates.connection.execute(change)
    later = opened()
    assert (later.size, later.unreadable_count) == (0, 1)


def test_a_template_does_not_open_as_another_models(gallery, opened, join) -> None:
    join(gallery, 1)
    gallery._register._templates.connection.execute("UPDATE templates SET embedder_sha256 = ?", ("cd" * 32,))
    later = opened(embedder="cd" * 32)
    assert (later.size, later.unreadable_count, later.foreign_count) == (0, 1, 0)


def test_a_template_does_not_open_at_another_site(gallery, opened, join) -> None:
    join(gallery, 1)
    later = opened(site="another-site")
    assert (later.size, later.unreadable_count) == (0, 1)


@pytest.mark.parametrize("change", ["UPDATE consents SET reference = 'another paper'", "DELETE FROM consents"])
def test_a_template_does_not_open_without_the_consent_of_its_enrolment(gallery, opened, join, change: str) -> None:
    join(gallery, 1)
    gallery._register._people.connection.execute(change)
    assert opened().size == 0


def test_a_replaced_site_key_opens_nothing_and_loses_nothing(state, gallery, opened, join) -> None:
    join(gallery, 1)
    file = state / "keys" / "site.key"
    right = file.read_bytes()
    file.write_bytes(bytes(32))
    assert (opened().size, opened().unreadable_count) == (0, 1)
    file.write_bytes(right)
    assert (opened().size, opened().unreadable_count) == (1, 0)


def test_a_lost_site_key_is_not_silently_replaced(state, gallery, join) -> None:
    join(gallery, 1)
    (state / "keys" / "site.key").unlink()
    with pytest.raises(StateError, match="backup"):
        Register.open(state, "site")
    assert not (state / "keys" / "site.key").exists()


# Removal


def test_a_removed_person_is_in_no_file(state, gallery, opened, join) -> None:
    opened()  # another process has the databases open, as the brain does
    ann, bob = join(gallery, 1, pictures=3), join(gallery, 2)
    traces, kept = traces_of(gallery, ann.subject), traces_of(gallery, bob.subject)
    assert all(places(state, trace) for trace in traces)
    assert remove(gallery, ann.subject) == 3
    assert places(state, *traces) == []
    assert all(places(state, trace) for trace in kept)
    assert [person.subject for person in gallery.people()] == [bob.subject]


def test_everybody_removed_leaves_no_row_behind(gallery, join) -> None:
    for subject in [join(gallery, person, pictures=2).subject for person in range(5)]:
        remove(gallery, subject)
    for connection in gallery._register._stores.connections:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        ours = {"sqlite_sequence", "_sqlite_migrations", "_gated_back", "replica", "allowance", "veil"}
        for table in set(tables) - ours:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_a_concurrent_writer_is_reported_and_no_removal_is_partial(state, gallery, join, face) -> None:
    ann = join(gallery, 1)
    other = sqlite3.connect(state / "people.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match="another process"):
        remove(impatient(gallery), ann.subject)
    other.execute("ROLLBACK")
    other.close()
    assert gallery.search(face(1))[0].subject == ann.subject
    assert remove(gallery, ann.subject) == 1


# Enrolment in two databases


def test_an_enrolment_that_fails_at_the_last_moment_enrols_nobody(gallery, opened, join, face) -> None:
    connection = gallery._register._people.connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    person = 0
    with pytest.raises(StateError, match="disk"):
        for person in range(100):
            join(gallery, person)
    assert gallery.size == person
    assert all(candidate.score < 0.7 for candidate in gallery.search(face(person)))
    later = opened()
    assert later.size == person
    assert later._register._templates.keys().keys() == later._register._people.faces()


def test_a_full_disk_is_a_state_error(gallery, join) -> None:
    for connection in gallery._register._stores.connections:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="disk"):
        for person in range(100):
            join(gallery, person)
    for connection in gallery._register._stores.connections:
        connection.execute("PRAGMA max_page_count = 10000")
    found = gallery.size
    join(gallery, 1000)
    assert gallery.size == found + 1


def test_a_damaged_database_is_a_state_error(state, gallery, join) -> None:
    join(gallery, 1)
    gallery.close()
    damaged = bytearray((state / "people.db").read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    (state / "people.db").write_bytes(damaged)
    with pytest.raises(StateError):
        Gallery.open(state, "site", "ab" * 32, 32)


ANOTHER_PROCESS = """
import sys
from pathlib import Path
from gated.gallery.register import Register

register = Register.open(Path(sys.argv[1]), "site")
print([person.subject for person in register.people()])
register.suspend(register.people()[0].subject)
register.close()
"""


def test_another_process_lists_and_suspends_while_this_one_has_the_gallery_open(state, gallery, join, face) -> None:
    ann = join(gallery, 1)
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(state)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == str([ann.subject])
    assert gallery.reload_if_changed()
    assert gallery.search(face(1))[0].status == "suspended"


def test_templates_are_stored_in_one_byte_order(gallery, join, face) -> None:
    join(gallery, 1)
    (row,) = gallery._register.opened(gallery.embedder_sha256).rows
    assert row.vector.dtype == np.dtype("<f4")
    np.testing.assert_array_equal(row.vector, face(1))


def test_a_gallery_of_today_opens_in_a_gated_with_one_more_migration(gallery, opened, join, face, monkeypatch) -> None:
    ann = join(gallery, 1)
    gallery.close()
    for module in (people, template_store):
        table = module.NAME.removesuffix(".db")
        monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, f"ALTER TABLE {table} ADD COLUMN later TEXT"))
    later = opened()
    assert later.search(face(1))[0].subject == ann.subject
    assert remove(later, ann.subject) == 1
