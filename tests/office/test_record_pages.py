"""Records in messages: every record once, in order, and no message above the size limit."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gated.office.record_pages import deltas, pages, parts, urgent
from gated.protocol.face_messages import SealedFace
from gated.protocol.limits import MAX_PLAIN_BYTES
from gated.protocol.record_keys import removes_access
from gated.protocol.wire_records import PersonRecord, Tombstone


def record(n, size):
    """Return a person record with a face of `size` characters, or a tombstone if `size` is 0."""
    if size == 0:
        return Tombstone(n=n, key=f"person/{n:016x}")
    face = SealedFace("f", "ab", 1, "x" * size)
    return PersonRecord(n=n, subject=f"{n:016x}", name="名", household="1", added_at="2026-11-20T09:00:00Z", face=face)


sizes = st.lists(st.sampled_from([0, 1, 500, 20_000, 38_000]), max_size=12)


@given(sizes, st.integers(1, 5), st.integers(0, 9))
def test_deltas_have_every_record_once_without_gaps(sizes, step, more):
    records = [record(3 + step * number, size) for number, size in enumerate(sizes)]
    upto = (records[-1].n if records else 2) + more
    said = deltas("s" * 64, "g" * 64, 2, upto, records)
    assert [each for delta in said for each in delta.records] == records
    assert [said[0].after, *(delta.upto for delta in said)] == [*(delta.after for delta in said), upto]
    for delta in said:
        assert all(delta.after < each.n <= delta.upto for each in delta.records)
        assert len(msgspec.json.encode(delta)) <= MAX_PLAIN_BYTES


@given(sizes, st.integers(1, 5))
def test_urgent_records_are_exactly_those_that_reduce_access(sizes, step):
    records = [record(3 + step * number, size) for number, size in enumerate(sizes)]
    said = urgent("s", "g", records)
    assert [each for delta in said for each in delta.records] == [each for each in records if removes_access(each)]
    for delta in said:  # a delta is complete for its range
        assert [each for each in records if delta.after < each.n <= delta.upto] == delta.records


@given(sizes)
def test_snapshot_parts_are_counted_and_fit_into_messages(sizes):
    records = [record(number, size) for number, size in enumerate(sizes, 1)]
    said = list(parts("s" * 64, "g" * 64, 2**62, "a" * 64, records))
    assert [(part.part, part.parts) for part in said] == [(number, len(said)) for number in range(len(said))]
    assert [each for part in said for each in part.records] == records
    assert all(len(msgspec.json.encode(part)) <= MAX_PLAIN_BYTES for part in said)


def test_an_empty_snapshot_is_one_part():
    assert [part.records for part in parts("s", "g", 1, "", [])] == [[]]


def test_no_page_has_more_records_than_may_be_sent_together():
    assert [len(page) for page in pages([record(number, 0) for number in range(1, 1002)])] == [500, 500, 1]
