"""The files on the office's disk, and what a thief can read from them."""

import stat
from contextlib import closing
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gated.errors import OfficeError, StateError
from gated.office.office_person import OfficeCard
from gated.office.schema import MIGRATIONS
from gated.office.store import Store
from gated.protocol.command_messages import ReleaseDoor
from gated.protocol.jose import Identity, Party
from gated.protocol.wire_records import GateRecord, HouseholdRecord, WireAccessRule
from gated.storage import database

SITE = "market-south"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "office"


@pytest.fixture
def store(folder):
    with closing(Store.create(folder, SITE)) as store:
        yield store


def on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.glob("office.db*"))


def test_an_office_is_created_once(folder, store):
    with pytest.raises(OfficeError, match="already"):
        Store.create(folder, SITE)


def test_without_an_office_no_store_opens(folder):
    with pytest.raises(OfficeError, match="gated office init"):
        Store.open(folder)


def test_only_its_owner_may_read_it(folder, store):
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_stored_data_is_there_after_reopening(folder, store, person):
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    store.book.put(person(1))
    with closing(Store.open(folder)) as again:
        assert again.site == SITE
        assert [gate.gate for gate in again.gates()] == ["gate-1"]
        assert again.book.person(person(1).subject).name == "Wang Fang"
        assert again.book.digest("gate-1") == store.book.digest("gate-1")


def test_without_the_keys_the_files_reveal_no_name_flat_card_or_pin(folder, store, person):
    who = person(1, name="Wang Fang", household="flat 2-401", cards=[OfficeCard("c", "6729715")], pin="739154")
    store.book.put(who)
    store.book.put(HouseholdRecord(n=0, household="flat 2-401", rights=[WireAccessRule("main")]))
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    with store.file.reading():
        disk = on_disk(folder)
    for secret in (b"Wang Fang", b"2-401", b"6729715", b"739154", b"paper-17"):
        assert secret not in disk
    assert who.subject.encode() in disk


def test_the_reason_of_a_command_stays_at_the_office(folder, store):
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    store.commands.place("gate-1", ReleaseDoor(), "li", "for the aunt of Wang Fang", datetime.now(UTC))
    assert b"Wang Fang" not in on_disk(folder)


def test_a_database_without_its_keys_is_not_an_office(folder, store, person):
    store.book.put(person(1))
    (folder / "office.keys").unlink()
    with pytest.raises(StateError, match=r"office\.keys"):
        Store.open(folder)


def test_a_removed_person_leaves_only_a_number(folder, store, person):
    store.book.put(person(1))
    row = store.file._connection.execute("SELECT sealed FROM records").fetchone()[0]
    assert row in on_disk(folder)
    store.book.remove(f"person/{person(1).subject}")
    assert row not in on_disk(folder)
    with closing(Store.open(folder)) as again:
        assert again.book.get(f"person/{person(1).subject}").n == 2


def test_an_open_reader_delays_an_erasure_and_does_not_prevent_it(folder, store, person):
    store.book.put(person(1))
    row = store.file._connection.execute("SELECT sealed FROM records").fetchone()[0]
    with closing(Store.open(folder)) as reader:
        reader.file._connection.execute("BEGIN")
        reader.file._connection.execute("SELECT * FROM records").fetchone()
        store.file._connection.execute("PRAGMA busy_timeout = 10")
        store.book.remove(f"person/{person(1).subject}")
        assert not store.file.erase()
        reader.file._connection.execute("ROLLBACK")
    assert store.file.erase()
    assert row not in on_disk(folder)


def test_a_gate_paired_again_keeps_its_place(store):
    first, second = Identity.make().party, Identity.make().party
    store.add_gate("gate-1", first.dump(), "0a0b")
    since = store.gate("gate-1").since
    store.add_gate("gate-1", second.dump(), "0c0d")
    gate = store.gate("gate-1")
    assert (gate.serial, gate.since) == ("0c0d", since)
    [record] = store.book.live(GateRecord)
    assert (Party.parse(record.keys).kid, record.n) == (second.kid, since + 1)


def test_a_failed_transaction_changes_nothing(store, person):
    with pytest.raises(RuntimeError), store.file.writing():
        store.book.put(person(1))
        raise RuntimeError
    assert store.book.get(f"person/{person(1).subject}") is None
    assert store.book.version("gate-1") == 0


def test_an_unknown_gate_gives_an_error_that_names_the_search_command(store):
    with pytest.raises(OfficeError, match="gated office gates"):
        store.gate("gate-9")


def test_an_older_office_is_in_shanghai(tmp_path):
    """The database has the schema from before the office stored its site's time zone."""
    tmp_path.chmod(0o700)
    identity = Identity.make()
    identity.save(tmp_path / "office.keys")
    old = database.connect(tmp_path / "office.db", MIGRATIONS[:1])
    old.execute("INSERT INTO office VALUES (1, ?, ?, 7, 0, 0)", ("s", identity.party.seal(b"x" * 32)))
    old.close()
    with closing(Store.open(tmp_path)) as store:
        assert (store.site, store.zone) == ("s", ZoneInfo("Asia/Shanghai"))
        assert store.file.count() == 8
