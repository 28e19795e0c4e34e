"""One damaged value in one row of the office's database. The office keeps all other rows in use and reports the
damage.
"""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gated.errors import StateError
from gated.office.exchange import Exchange
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.protocol.command_messages import ReleaseDoor
from gated.protocol.event_messages import Ack
from gated.protocol.face_messages import SealedFace
from gated.protocol.record_keys import key_of
from gated.protocol.record_messages import RecordRequest, SnapshotPart
from gated.protocol.status_messages import Heartbeat
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, Tombstone

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import BAD_TEXT, columns, dice, spoil, values_for

VALUES = (5, BAD_TEXT, "nonsense", "2027-01-15T12:00:00", 2**63 - 1, -(2**63))
CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "3"))
TABLES = (
    *("gates", "alarms", "orders", "held", "records", "faces", "enrolled", "receipts", "journals", "events"),
    *("checkpoints", "retired", "recovery"),
)
AT = "2026-11-23T07:00:00+00:00"
FIRST, SECOND, THIRD = (f"{number:016x}" for number in (1, 2, 3))
FACE = msgspec.json.encode(SealedFace("face-1", "ab" * 32, 1, "sealed"))


@pytest.fixture
def kept(court, gate, other, person, tmp_path):
    """Create a closed office with people, and two gates that have an order, alarms, a journal and faces each."""
    for number in (1, 2, 3):
        court.store.book.put(person(number, name=f"Person {number}", household=f"2-40{number}"))
    court.store.book.remove(f"person/{THIRD}")
    court.join("gate-3")
    court.store.retire_gate("gate-3", AT)
    del court.gates["gate-3"]
    court.due()
    with court.store.file.writing() as connection:
        connection.execute("INSERT INTO recovery VALUES (1, 'key')")
    for number, end in enumerate((gate, other)):
        end.happen("started", version="1", config_sha256="0" * 64)
        end.batch(1, 1)
        court.order(ReleaseDoor(), gate=end.name)
        court.store.held.add(end.name, FIRST, "twin")
        for kind in ("duress", "call_pressed"):
            court.store.alarms.open(end.name, kind, "row 1", AT)
        with court.store.file.writing() as connection:
            connection.execute("INSERT INTO enrolled (subject, gate, at) VALUES (?, ?, ?)", (FIRST, end.name, AT))
            connection.execute("INSERT INTO receipts VALUES (?, ?, 5, 3, ?)", (THIRD, end.name, AT))
            connection.execute("INSERT INTO faces VALUES (?, ?, ?, 0, ?)", (SECOND, end.name, 90 + number, FACE))
            connection.execute("INSERT INTO checkpoints SELECT id, 9, 'aa' FROM journals WHERE gate = ?", (end.name,))
    court.store.close()
    return tmp_path / "office"


def damages(path, table):
    """Yield a column and a value for it, some of them by chance."""
    for where, column in columns(path):
        if where == table:
            every = values_for(path, table, column)
            for value in [*VALUES, *dice(f"office {table} {column}").sample(every, min(CASES, len(every)))]:
                yield column, value


@pytest.mark.parametrize("table", TABLES)
def test_the_office_works_with_every_undamaged_row(kept, court, other, table, tmp_path):
    folder = tmp_path / "damaged"
    memory = (other.heard, [*other.rows])
    for column, value in damages(kept / "office.db", table):
        shutil.copytree(kept, folder)
        if spoil(folder / "office.db", table, column, value):
            other.heard, other.rows = memory[0], [*memory[1]]
            court.store.close()
            court.store = Store.open(folder)
            _lives(court, other, f"{table}.{column} became {value!r}")
        shutil.rmtree(folder)


def _lives(court, other, said):
    """Check everything that belongs to the second gate and the second person. The first row is damaged."""
    store, court.side = court.store, Exchange(court.store)
    assert "gate-2" in [gate.gate for gate in store.gates()], said
    assert len(store.alarms.all()) >= 3, said
    assert len(store.commands._select("1")) >= 1, said
    store.held.all(), store.receipts.all(), store.faces.missing_faces(["gate-1", "gate-2"], 9), store.left_out()
    court.side.due(court.now + 60, court.wall)
    assert any(isinstance(message, Heartbeat) for message in other.status()), said
    snapshot = [part for part in other.send(RecordRequest, after=0) if isinstance(part, SnapshotPart)]
    assert SECOND in {getattr(record, "subject", "") for part in snapshot for record in part.records}, said
    other.happen("tampered", door="main")
    assert [ack.seq for ack in other.batch(2, 2) if isinstance(ack, Ack)] == [2], said


def test_skipped_rows_are_reported(kept):
    assert spoil(kept / "office.db", "gates", "seen_at", b"\xff")
    assert spoil(kept / "office.db", "records", "sealed", b"\xff")
    store = Store.open(kept)
    assert "1 of gates, 1 of records" in store.left_out()
    assert "backup" in store.left_out()
    assert [gate.gate for gate in store.gates()] == ["gate-2"]
    store.close()


@pytest.mark.parametrize("column", ["site", "secret", "counter", "floor", "timezone", "pin_salt", "sends_names"])
def test_an_office_with_a_damaged_own_row_names_the_backup_to_restore(kept, column):
    assert spoil(kept / "office.db", "office", column, 0.5)
    with pytest.raises(StateError, match="row of the office itself is damaged; restore the newest backup"):
        Store.open(kept)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
@pytest.mark.parametrize("column", ["counter", "floor"])
def test_an_office_with_a_damaged_counter_names_the_backup_to_restore(kept, column, value):
    assert spoil(kept / "office.db", "office", column, value)
    with pytest.raises(StateError, match="row of the office itself is damaged; restore the newest backup"):
        Store.open(kept)


# -- a damaged record ------------------------------------------------------------------------------------------------


def spoil_record(folder, key):
    with closing(sqlite3.connect(folder / "office.db", isolation_level=None)) as connection:
        connection.execute("UPDATE records SET sealed = x'00' WHERE key = ?", (key,))


@pytest.fixture
def damaged(kept, court):
    """Return an office that cannot read the record of the first person."""
    spoil_record(kept, f"person/{FIRST}")
    before = Store.open(kept)
    court.restart(kept)
    yield court.store
    before.close()


def test_a_gate_that_has_the_person_keeps_the_record(kept, court, other):
    """A gate with another digest than the office's asks for everything, and forgets the person."""
    court.restart(kept)
    known = court.store.book.version("gate-2"), court.store.book.digest("gate-2")
    court.store.close()
    spoil_record(kept, f"person/{FIRST}")
    court.restart(kept)
    other.version, other.digest = known
    word = next(message for message in other.status() if isinstance(message, Heartbeat))
    assert (word.version, word.digest) == known


def test_a_gate_that_never_had_the_person_is_complete_without_the_record(damaged, other):
    parts = [part for part in other.send(RecordRequest, after=0) if isinstance(part, SnapshotPart)]
    assert FIRST not in {getattr(record, "subject", "") for part in parts for record in part.records}
    other.version, other.digest = parts[0].version, parts[0].digest
    word = next(message for message in other.status() if isinstance(message, Heartbeat))
    assert (word.version, word.digest) == (other.version, other.digest)


def test_a_person_with_a_damaged_row_can_be_removed_at_every_gate(damaged):
    damaged.book.remove(f"person/{FIRST}")
    gone = [record for record in damaged.book.after("gate-2", 0) if isinstance(record, Tombstone)]
    assert {record.key for record in gone} >= {f"person/{FIRST}"}
    assert damaged.left_out() == ""


def test_a_damaged_tombstone_still_removes(kept, court):
    spoil_record(kept, f"person/{THIRD}")
    court.restart(kept)
    gone = {record.key for record in court.store.book.after("gate-1", 0) if isinstance(record, Tombstone)}
    assert f"person/{THIRD}" in gone
    assert [who.subject for who in court.store.book.live(OfficePerson)] == [FIRST, SECOND]


@pytest.fixture
def empty_flat(kept, court):
    """Return an office with a damaged record of a household that nobody lives in, and of one with a resident."""
    court.restart(kept)
    for household in ("9-909", "2-401"):
        court.store.book.put(HouseholdRecord(n=0, household=household, rights=[]))
    court.store.close()
    with closing(sqlite3.connect(kept / "office.db", isolation_level=None)) as connection:
        connection.execute("UPDATE records SET sealed = x'00' WHERE key LIKE 'household/%'")
    court.restart(kept)
    return court.store


def test_a_damaged_household_that_nobody_lives_in_does_not_stop_the_office(empty_flat, court, other):
    assert [who.subject for who in empty_flat.book.live(OfficePerson)] == [FIRST, SECOND]
    assert "2 of records" in empty_flat.left_out()
    assert any(isinstance(message, Heartbeat) for message in other.status())
    n = empty_flat.book.put(RoleRecord(n=0, role="staff", rights=[]))
    assert "role/staff" in {key_of(record) for record in empty_flat.book.after("gate-2", n - 1)}


def test_a_damaged_household_can_be_set_again(empty_flat):
    empty_flat.book.put(HouseholdRecord(n=0, household="9-909", rights=[]))
    assert "1 of records" in empty_flat.left_out()
    assert [record.household for record in empty_flat.book.live(HouseholdRecord)] == ["9-909"]
