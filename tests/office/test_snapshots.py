"""Snapshots while gates fetch them: made once, kept while a gate asks for them, and limited in number."""

import pytest

from gated.office import snapshots
from gated.office.snapshots import BUSY_S, KEEP_S, Snapshots
from gated.protocol.limits import PARTS_WINDOW
from gated.protocol.record_messages import RecordRequest


class Maker:
    """Makes snapshots of 20 parts, and counts them."""

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return [b"%d-%d" % (self.made, part) for part in range(20)]


@pytest.fixture
def make():
    return Maker()


def ask(snapshot=0, parts=()):
    return RecordRequest(site="s", gate="g", is_snapshot=True, snapshot=snapshot, parts=list(parts))


def test_the_first_parts_are_sent_first_and_the_rest_on_request(make):
    kept = Snapshots()
    assert kept.parts("g", ask(), 0.0, 7, make) == [b"1-%d" % part for part in range(PARTS_WINDOW)]
    assert kept.parts("g", ask(7, [19, 3]), 1.0, 7, make) == [b"1-19", b"1-3"]
    assert kept.parts("g", ask(7, [20, 99]), 1.0, 7, make) == []


def test_an_older_snapshot_is_kept_while_a_gate_fetches_it(make):
    kept = Snapshots()
    kept.parts("g", ask(), 0.0, 7, make)
    assert kept.parts("g", ask(7, [5]), 1.0, 8, make) == [b"1-5"]
    assert kept.parts("g", ask(), 1.0, 8, make)[0] == b"2-0"


def test_a_deleted_snapshot_starts_again(make):
    kept = Snapshots()
    kept.parts("g", ask(), 0.0, 7, make)
    kept.forget(KEEP_S)
    assert kept.parts("g", ask(7, [5]), KEEP_S, 8, make) == [b"2-%d" % part for part in range(PARTS_WINDOW)]


def test_a_rebuilt_snapshot_of_the_same_version_continues(make):
    assert Snapshots().parts("g", ask(7, [5]), 0.0, 7, make) == [b"1-5"]


def test_too_many_gates_at_once_wait_for_their_turn(make, monkeypatch):
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES", 140)
    kept = Snapshots()
    for gate in ("a", "b"):
        assert kept.parts(gate, ask(), 0.0, 7, make)
    assert kept.parts("c", ask(), 1.0, 7, make) == []
    assert kept.parts("a", ask(7, [2]), 20.0, 7, make) == [b"1-2"]
    assert kept.parts("c", ask(), BUSY_S + 1, 7, make)
    assert make.made == 3
    assert kept.parts("a", ask(7, [2]), BUSY_S + 1, 7, make) == [b"1-2"]
