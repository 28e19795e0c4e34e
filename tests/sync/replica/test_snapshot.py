"""A snapshot is fetched in parts, stored sealed until it is complete, and applied as a whole or not at all."""

from datetime import UTC, datetime

import msgspec
import pytest

from gated.events import PersonRemoved, RecordsApplied
from gated.gallery.register import Register
from gated.people.store import Person
from gated.protocol.limits import PARTS_WINDOW
from gated.protocol.record_messages import RecordRequest
from gated.protocol.wire_records import PersonRecord, Tombstone
from gated.sync.snapshot import SnapshotStore, SnapshotTitle

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def many(office, kit, count):
    office.put(*(kit.person(number) for number in range(1, count + 1)))


def test_a_snapshot_has_no_effect_until_every_part_arrived(followed, office, kit):
    many(office, kit, 6)
    parts = office.snapshot()
    followed.hear_word(office.word())
    for part in (parts[2], parts[0], parts[0]):
        followed.hear(part)
        assert (followed.people(), followed.replica.mark.version, followed.events) == ({}, 0, [])
    followed.hear(parts[1])
    assert len(followed.people()) == 6
    mark = followed.replica.mark
    assert (mark.version, mark.digest) == (6, office.digest)
    assert followed.events == [RecordsApplied(version=6, added=6, changed=0, removed=0)]


def test_parts_are_requested_in_windows(followed, office, kit):
    many(office, kit, 40)
    parts = office.snapshot(1)
    assert followed.hear_word(office.word()) == [RecordRequest(**kit.us)]
    for part in parts[: PARTS_WINDOW - 1]:
        assert followed.hear(part) == []
    (request,) = followed.hear(parts[PARTS_WINDOW - 1])
    assert request == RecordRequest(**kit.us, is_snapshot=True, snapshot=40, parts=list(range(16, 32)))
    for part in reversed(parts[16:31]):
        assert followed.hear(part) == []
    (request,) = followed.hear(parts[31])
    assert request.parts == list(range(32, 40))


def test_after_three_seconds_without_progress_missing_parts_are_requested_again(followed, office, kit):
    many(office, kit, 6)
    parts = office.snapshot()
    followed.hear_word(office.word())
    followed.now = 2.0
    followed.hear(parts[1])
    assert followed.replica.due(4.9) == [], "there was progress"
    again = RecordRequest(**kit.us, is_snapshot=True, snapshot=6, parts=[0, 2])
    assert followed.replica.due(5.0) == [again]
    assert followed.replica.due(7.9) == []
    assert followed.replica.due(8.0) == [again]


def test_after_a_restart_no_stored_part_is_fetched_again(followed, office, kit):
    many(office, kit, 6)
    parts = office.snapshot()
    followed.hear_word(office.word())
    followed.hear(parts[0], parts[2])
    followed.restart()
    assert followed.hear_word(office.word()) == [RecordRequest(**kit.us, is_snapshot=True, snapshot=6, parts=[1])]
    followed.hear(parts[1])
    assert len(followed.people()) == 6


def test_a_complete_snapshot_is_applied_after_a_restart(followed, office, kit):
    many(office, kit, 3)
    for part in office.snapshot():
        followed.replica._staging.store_part(part)
    followed.restart()
    assert followed.people() == {}
    followed.hear_word(office.word())
    assert len(followed.people()) == 3


def test_a_staged_snapshot_is_unreadable_on_disk(followed, office, kit):
    office.put(kit.person(1, name="安妮 Unmistakable", pin="739184"), kit.person(2))
    followed.hear_word(office.word())
    followed.hear(office.snapshot(1)[0])
    staged = b"".join(file.read_bytes() for file in followed.state.glob("snapshot.db*"))
    assert len(staged) > 500
    for secret in ("安妮", "Unmistakable", "739184", "paper-2026", kit.subject(1)):
        assert secret.encode() not in staged
    followed.hear(office.snapshot(1)[1])
    assert len(followed.people()) == 2
    assert not SnapshotStore(followed.state, kit.me).is_complete


def test_another_snapshot_starts_from_its_first_part(followed, office, kit):
    many(office, kit, 4)
    old = office.snapshot()
    followed.hear_word(office.word())
    followed.hear(old[0])
    office.put(kit.person(5), kit.person(6))
    new = office.snapshot()
    followed.hear(new[2], new[0], old[1], new[1])
    assert len(followed.people()) == 6
    assert followed.replica.mark.digest == office.digest


def test_a_snapshot_with_a_wrong_digest_is_not_applied(followed, office, kit, caplog):
    many(office, kit, 4)
    parts = office.snapshot()
    followed.hear_word(office.word())
    followed.hear(parts[0], msgspec.structs.replace(parts[1], records=parts[1].records[:1]))
    assert (followed.people(), followed.replica.mark.version) == ({}, 0)
    assert any("the digest of the snapshot is wrong" in record.message for record in caplog.records)
    followed.converge(office)
    assert len(followed.people()) == 4


def test_records_missing_from_a_snapshot_are_deleted_and_stay_deleted(followed, office, kit):
    many(office, kit, 3)
    kept = office.delta()
    followed.hear(kept)
    office.remove(2)
    office.put(kit.person(4))
    followed.replica._pull.wants_snapshot = True
    *_, receipt = followed.hear(*office.snapshot())
    assert (receipt.subject, receipt.n) == (kit.subject(2), 5)
    assert followed.people().keys() == {kit.subject(number) for number in (1, 3, 4)}
    assert followed.facts() == [PersonRemoved(kit.subject(2), 0)]
    followed.hear(kept)
    assert kit.subject(2) not in followed.people()
    (again,) = followed.hear(office.delta(3, 4))
    assert (again.subject, again.n) == (kit.subject(2), 4), "the office's own number of it"


def test_people_added_only_at_the_gate_are_never_touched(followed, office, kit):
    register = Register.open(followed.state, kit.site)
    register.admit(Person("b" * 16, "Bob", "1-101", "active", NOON, ()))
    register.close()
    many(office, kit, 2)
    followed.hear_word(office.word())
    assert followed.hear(*office.snapshot()) == []
    assert followed.people().keys() == {kit.subject(1), kit.subject(2), "b" * 16}
    assert followed.replica.mark.digest == office.digest


def test_records_that_are_newer_than_the_snapshot_stay(followed, office, kit):
    many(office, kit, 3)
    followed.hear(office.delta())
    parts = office.snapshot()
    after = office.version
    office.put(kit.person(4))
    office.put(kit.person(1, status="suspended"))
    office.remove(3)
    followed.hear(office.delta(after + 1))
    followed.replica._pull.wants_snapshot = True
    followed.hear(*parts)
    people = followed.people()
    assert people.keys() == {kit.subject(1), kit.subject(2)}
    assert people[kit.subject(1)].status == "suspended"
    assert followed.replica.mark.version == 3
    followed.converge(office)
    assert followed.replica.mark.digest == office.digest


def test_a_suspension_in_a_part_does_not_wait_for_the_others(followed, office, kit):
    many(office, kit, 5)
    followed.hear(office.delta())
    office.put(kit.person(6), kit.person(1, status="suspended"))
    office.version += 3000
    parts = office.snapshot(1)
    (part,) = [p for p in parts if key_is(p, kit.subject(1))]
    followed.hear(part)
    assert followed.people()[kit.subject(1)].status == "suspended"
    assert followed.people().keys() == {kit.subject(number) for number in range(1, 6)}


def key_is(part, subject):
    return isinstance(part.records[0], PersonRecord) and part.records[0].subject == subject


def test_different_records_at_the_same_version_are_repaired_by_a_snapshot(followed, office, kit):
    many(office, kit, 4)
    followed.hear(office.delta())
    connection = followed.replica._holdings.register._people.connection
    connection.execute("DELETE FROM records WHERE key = ?", (f"person/{kit.subject(2)}",))
    connection.execute("DELETE FROM people WHERE subject = ?", (kit.subject(2),))
    assert followed.hear_word(office.word()) == [RecordRequest(**kit.us, is_snapshot=True)]
    followed.hear(*office.snapshot())
    assert len(followed.people()) == 4
    assert followed.replica.mark.digest == office.digest
    assert followed.hear_word(office.word()) == []


def test_unrequested_parts_without_news_are_not_stored(followed, office, kit):
    many(office, kit, 4)
    followed.hear(office.delta())
    events = list(followed.events)
    followed.hear(*office.snapshot())
    assert followed.replica._staging.title is None
    assert followed.events == events


def test_a_snapshot_older_than_the_deltas_is_dropped(followed, office, kit):
    many(office, kit, 4)
    followed.hear_word(office.word())
    followed.hear(office.snapshot()[0])
    office.put(kit.person(5))
    followed.hear(office.delta())
    assert followed.replica._staging.title is None
    assert followed.replica.due(100.0) == []


def test_a_difference_that_a_snapshot_does_not_repair_is_not_fetched_endlessly(followed, office, kit, caplog):
    many(office, kit, 3)
    followed.hear(office.delta())
    backup = type(office)()
    backup.records = {key: record for key, record in office.records.items() if record.n < 3}
    backup.records["person/" + kit.subject(3)] = msgspec.structs.replace(kit.person(3), n=2)
    backup.version = 3
    assert followed.hear_word(backup.word())
    followed.hear(*backup.snapshot())
    assert followed.replica.mark.digest != backup.digest
    for _ in range(3):
        assert followed.hear_word(backup.word()) == []
    assert len([r for r in caplog.records if "newer records" in r.message]) == 1


def test_an_office_that_lost_a_removal_gets_the_receipt_until_it_knows(followed, office, kit):
    """A restored backup still has the removed person, and the first receipts may be lost."""
    many(office, kit, 2)
    office.remove(1)
    followed.hear(office.delta())
    backup = type(office)()
    backup.version = office.version
    backup.put(kit.person(1), kit.person(2))
    (receipt,) = followed.hear(backup.delta(office.version))
    assert (receipt.subject, receipt.n) == (kit.subject(1), 4)
    assert followed.hear_word(backup.word()) == [RecordRequest(**kit.us, is_snapshot=True)]
    assert followed.hear(*backup.snapshot()) == [receipt]
    assert followed.hear_word(backup.word()) == followed.hear_word(backup.word()) == [receipt]
    followed.restart()
    followed.hear_word(backup.word())
    assert followed.hear(*backup.snapshot()) == followed.hear_word(backup.word()) == [receipt]
    assert followed.people().keys() == {kit.subject(2)}
    backup.remove(1)
    followed.hear(backup.delta(5))
    assert followed.hear_word(backup.word()) == []
    assert followed.replica.mark.digest == backup.digest


def test_an_empty_snapshot_is_one_too(followed, office, kit):
    many(office, kit, 1)
    followed.hear(office.delta())
    office.remove(1)
    followed.replica._pull.wants_snapshot = True
    (receipt,) = followed.hear(*office.snapshot())
    assert receipt.subject == kit.subject(1)
    assert followed.people() == {}


def test_tombstones_may_be_in_a_snapshot(followed, office, kit):
    many(office, kit, 2)
    (gone,) = office.remove(1)
    (part,) = office.snapshot()
    part = msgspec.structs.replace(part, records=[*part.records, gone])
    followed.hear_word(office.word())
    followed.hear(part)
    assert followed.people().keys() == {kit.subject(2)}
    assert followed.replica._holdings.get(gone.key).is_gone


@pytest.mark.parametrize("part", [2, 99])
def test_a_part_beyond_the_last_is_ignored(staging, office, kit, part):
    many(office, kit, 4)
    odd = msgspec.structs.replace(office.snapshot()[0], part=part)
    assert not staging.store_part(odd)
    assert staging.title is None
    assert staging.missing() == []


def test_staged_parts_are_read_in_order_once_each(staging, office, kit):
    many(office, kit, 5)
    parts = office.snapshot()
    assert [staging.store_part(part) for part in (parts[2], parts[0], parts[2])] == [True, True, False]
    assert staging.title == SnapshotTitle(5, office.digest, 3)
    assert (staging.missing(), staging.is_complete) == ([1], False)
    assert staging.store_part(parts[1])
    assert (staging.missing(), staging.is_complete) == ([], True)
    assert list(staging.records()) == [record for part in parts for record in part.records]


def test_parts_of_an_older_snapshot_are_ignored(staging, office, kit):
    many(office, kit, 2)
    (old,) = office.snapshot()
    office.put(kit.person(3))
    new = office.snapshot()
    assert staging.store_part(new[0])
    assert not staging.store_part(old)
    assert staging.title.version == 3


def test_a_snapshot_that_is_dropped_leaves_a_small_file(staging, office, kit, tmp_path):
    office.put(*(kit.person(number, face=kit.face(number, pictures=5)) for number in range(1, 41)))
    for part in office.snapshot(10):
        staging.store_part(part)
    assert (tmp_path / "snapshot.db").stat().st_size + (tmp_path / "snapshot.db-wal").stat().st_size > 100_000
    staging.drop()
    assert (staging.title, staging.missing(), list(staging.records())) == (None, [], [])
    assert (tmp_path / "snapshot.db").stat().st_size < 50_000
    assert (tmp_path / "snapshot.db-wal").stat().st_size == 0


def test_a_gate_with_other_keys_fetches_a_staged_snapshot_anew(followed, office, kit, tmp_path):
    many(office, kit, 2)
    (part,) = office.snapshot()
    stranger = SnapshotStore(followed.state, kit.neighbour)
    stranger.store_part(part)
    stranger.close()
    followed.restart()
    followed.hear_word(office.word())
    assert followed.people() == {}
    followed.converge(office)
    assert len(followed.people()) == 2


def test_tombstones_of_other_kinds_need_no_receipt(followed, office):
    office.put(Tombstone(n=0, key="schedule/work"))
    assert followed.hear(office.delta()) == []
