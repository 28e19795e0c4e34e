"""Tests of which records a gate requests, and when it requests them again. Pure, without I/O."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gated.protocol.record_messages import RecordRequest
from gated.sync.record_requests import REQUEST_TIMEOUT_S, RecordRequests
from gated.sync.snapshot import SnapshotTitle

US = {"site": "s", "gate": "g"}


def pull(target=0, *, wants_snapshot=False):
    made = RecordRequests("s", "g")
    made.target, made.wants_snapshot = target, wants_snapshot
    return made


def test_without_missing_records_nothing_is_requested():
    assert pull(5).ask(5, None, [], 0.0) == []
    assert not pull(5).is_overdue(1e9)


def test_records_are_requested_from_the_current_version():
    assert pull(5).ask(3, None, [], 0.0) == [RecordRequest(**US, after=3)]


def test_a_snapshot_is_requested_and_then_its_missing_parts():
    asking = pull(5, wants_snapshot=True)
    assert asking.ask(5, None, [], 0.0) == [RecordRequest(**US, is_snapshot=True)]
    assert asking.ask(5, SnapshotTitle(5, "d", 40), list(range(1, 17)), 1.0) == []
    assert asking.ask(5, SnapshotTitle(5, "d", 40), list(range(16, 32)), 1.0) == [
        RecordRequest(**US, is_snapshot=True, snapshot=5, parts=list(range(16, 32)))
    ]


def test_progress_extends_the_wait_and_silence_does_not():
    asking = pull(5)
    asking.ask(3, None, [], 10.0)
    asking.progress(12.0)
    assert not asking.is_overdue(12.0 + REQUEST_TIMEOUT_S - 0.1)
    assert asking.is_overdue(12.0 + REQUEST_TIMEOUT_S)
    assert asking.ask(4, None, [], 12.0 + REQUEST_TIMEOUT_S) == [RecordRequest(**US, after=4)]


def test_requests_of_an_earlier_connection_are_forgotten():
    asking = pull(5)
    asking.ask(3, None, [], 10.0)
    asking.restart()
    assert not asking.is_overdue(1e9)
    assert asking.ask(3, None, [], 10.5) == [RecordRequest(**US, after=3)]


def test_after_all_records_nothing_is_awaited():
    asking = pull(5)
    asking.ask(3, None, [], 10.0)
    assert asking.ask(5, None, [], 10.5) == []
    assert not asking.is_overdue(1e9)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20).map(sorted))
def test_without_answers_requests_keep_their_minimum_interval(times):
    asking = pull(5)
    asked = [now for now in times if asking.ask(3, None, [], now)]
    assert asked[0] == times[0]
    assert all(later - earlier >= REQUEST_TIMEOUT_S for earlier, later in pairwise(asked))
