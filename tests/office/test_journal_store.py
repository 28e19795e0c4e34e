"""The gates' journals as the office stores them. The office detects every missing row and every changed row."""

from contextlib import closing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.journal.chain import genesis, row_digest
from gated.protocol.event_messages import EventBatch, WireEvent


def opened(gate, count):
    for _ in range(count):
        gate.happen("door_opened", after="grant")


def kept(court):
    return [each.event.seq for each in court.store.journals.rows()]


def test_a_repeated_batch_is_acknowledged_and_stored_once(court, gate):
    opened(gate, 3)
    assert gate.batch(1, 3) == gate.batch(1, 3)
    assert kept(court) == [1, 2, 3]
    assert court.alarms() == []


def test_an_overlapping_batch_adds_only_new_rows(court, gate):
    opened(gate, 6)
    gate.batch(1, 3)
    [ack] = gate.batch(2, 6)
    assert (ack.seq, ack.hash) == (6, gate.rows[5].hash)
    assert kept(court) == [1, 2, 3, 4, 5, 6]
    assert court.alarms() == []


def test_a_batch_after_a_fillable_gap_is_not_stored(court, gate):
    opened(gate, 6)
    [ack] = gate.batch(4, 6)
    assert (ack.seq, ack.hash) == (0, genesis("market-south", "gate-1", gate.journal))
    assert kept(court) == []


def test_rows_that_the_gate_lost_raise_an_alarm(court, gate):
    opened(gate, 6)
    gate.batch(1, 1)
    [ack] = gate.batch(4, 6, after=0)
    assert ack.seq == 6
    [alarm] = court.store.alarms.all()
    assert (alarm.kind, alarm.detail) == ("rows_lost", f"journal {gate.journal} rows 2 to 3: 2")


def test_rows_sent_ahead_do_not_count_as_lost(court, gate):
    opened(gate, 6)
    gate.batch(1, 1)
    gate.batch(2, 3, is_ahead=True)
    gate.batch(4, 6, after=0)
    assert court.alarms() == []
    assert kept(court) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("part", ["at", "kind", "body", "hash"])
def test_an_altered_row_is_found_stored_and_acknowledged(court, gate, part):
    opened(gate, 5)
    gate.rows[2] = msgspec.structs.replace(gate.rows[2], **{part: "x"})
    [ack] = gate.batch(1, 5)
    assert ack.seq == 5
    assert kept(court) == [1, 2, 3, 4, 5]
    [alarm] = court.store.alarms.all()
    assert alarm.kind == "row_altered"
    assert alarm.detail.split()[-1] == "3"


def test_a_rewritten_past_is_found(court, gate):
    opened(gate, 3)
    gate.batch(1, 3)
    gate.rows.clear()
    for _ in range(3):
        gate.happen("door_opened", after="schedule")
    opened(gate, 2)
    gate.batch(3, 5, after=2)
    assert court.alarms() == [("gate-1", "row_altered")]


def test_a_row_sent_ahead_and_altered_later_is_found(court, gate):
    opened(gate, 4)
    gate.batch(4, 4, is_ahead=True)
    gate.rows.clear()
    for _ in range(4):
        gate.happen("door_opened", after="schedule")
    gate.batch(1, 4)
    assert court.alarms() == [("gate-1", "row_altered")]


def test_rows_that_differ_from_an_earlier_signature_are_found(court, gate):
    opened(gate, 4)
    gate.status()
    gate.rows.clear()
    for _ in range(6):
        gate.happen("door_opened", after="schedule")
    gate.batch(1, 6)
    assert court.alarms() == [("gate-1", "row_altered")]


def test_a_checkpoint_of_stored_rows_is_compared_at_once(court, gate):
    opened(gate, 4)
    gate.batch(1, 4)
    gate.status()
    assert court.alarms() == []
    gate.status(journal=gate.mark(hash="0" * 64))
    assert court.alarms() == [("gate-1", "row_altered")]


def test_a_shortened_journal_raises_an_alarm(court, gate):
    opened(gate, 4)
    gate.batch(1, 4)
    del gate.rows[2:]
    gate.status()
    assert court.alarms() == [("gate-1", "journal_cut")]


def test_an_old_last_will_with_a_shorter_journal_raises_no_alarm(court, gate):
    opened(gate, 4)
    gate.batch(1, 4)
    gate.status(state="offline", journal=gate.mark(head=2, hash=gate.rows[1].hash))
    assert court.alarms() == []


def test_a_new_journal_is_accepted_and_reported(court, gate):
    opened(gate, 3)
    gate.batch(1, 3)
    gate.journal, gate.rows = "a-new-card", []
    opened(gate, 2)
    [ack] = gate.batch(1, 2)
    assert (ack.journal, ack.seq) == ("a-new-card", 2)
    assert court.alarms() == [("gate-1", "journal_new")]
    assert len(kept(court)) == 5


def test_the_journals_of_gates_are_separate(court, gate, other):
    opened(gate, 3)
    opened(other, 2)
    gate.batch(1, 3)
    other.batch(1, 2)
    assert [each.event.seq for each in court.store.journals.rows(gate="gate-2")] == [1, 2]
    assert [each.gate for each in court.store.journals.last(3)] == ["gate-1", "gate-2", "gate-2"]


def rows(count):
    made, before = [], genesis("market-south", "gate-1", "j")
    for seq in range(1, count + 1):
        before = row_digest(before, seq, b"now", b"tampered", b"{}")
        made.append(WireEvent(seq, "now", "tampered", "{}", before))
    return made


ROWS = rows(20)


def batch(first, last, is_ahead=False):
    prev = ROWS[first - 2].hash if first > 1 else genesis("market-south", "gate-1", "j")
    values = {"after": first - 1, "first": first, "last": last, "prev": prev, "is_ahead": is_ahead}
    return EventBatch(site="market-south", gate="gate-1", journal="j", events=ROWS[first - 1 : last], **values)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_after_any_losses_and_repetitions_every_acknowledged_row_is_stored(data, in_memory):
    """A gate that follows the protocol ends with every row acknowledged, no row twice, and no alarm."""
    with closing(in_memory()) as store:
        acked, sent = 0, []
        while acked < len(ROWS) and len(sent) < 30:
            last = min(len(ROWS), acked + 1 + data.draw(st.integers(0, 6)))
            sent.append(batch(19, 20, True) if data.draw(st.booleans()) else batch(acked + 1, last))
            for each in [sent[-1], *data.draw(st.lists(st.sampled_from(sent), max_size=3))]:
                taken = store.journals.store_batch(each)
                assert taken.alarms == []
                here = {kept.event.seq for kept in store.journals.rows()}
                assert each.is_ahead or here >= set(range(1, taken.ack.seq + 1))
                if not each.is_ahead and data.draw(st.booleans()):
                    acked = taken.ack.seq
        if acked < len(ROWS):
            store.journals.store_batch(batch(acked + 1, len(ROWS)))
        assert sorted(kept.event.seq for kept in store.journals.rows()) == list(range(1, 21))
        assert store.journals.last_row("gate-1", "j") == 20


# -- deletion of old rows ---------------------------------------------------------------------------------------------

LONG_AGO, NOW_ISH, MIDDLE = "2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z", "2026-06-01T00:00:00.000000Z"


def aged(court, gate, old):
    """Set the stored times of the gate's rows: the first `old` rows are old, the others recent."""
    with court.store.file.writing() as connection:
        connection.execute("UPDATE events SET at = iif(seq <= ?, ?, ?)", (old, LONG_AGO, NOW_ISH))


def test_old_rows_are_deleted_without_an_alarm(court, gate):
    opened(gate, 6)
    gate.batch(1, 4)
    aged(court, gate, 3)
    assert court.store.journals.prune(MIDDLE) == 3
    assert kept(court) == [4]
    [ack] = gate.batch(5, 6)
    assert ack.seq == 6
    assert gate.batch(1, 3) == gate.batch(1, 3), "what comes once more is no lost row"
    assert kept(court) == [4, 5, 6]
    assert court.alarms() == []


def test_the_newest_row_is_never_deleted(court, gate):
    opened(gate, 6)
    gate.batch(1, 4)
    aged(court, gate, 6)
    assert court.store.journals.prune(MIDDLE) == 3
    assert kept(court) == [4]
    gate.batch(5, 6)
    assert court.alarms() == []
    assert court.store.journals.prune(LONG_AGO) == 0


def test_rows_with_an_implausibly_old_time_are_kept(court, gate):
    opened(gate, 6)
    gate.batch(1, 6)
    with court.store.file.writing() as connection:
        connection.execute("UPDATE events SET at = iif(seq IN (1, 4, 5), ?, ?)", (LONG_AGO, NOW_ISH))
    assert court.store.journals.prune(MIDDLE) == 1
    assert kept(court) == [2, 3, 4, 5, 6]


def test_rows_sent_ahead_are_kept(court, gate):
    opened(gate, 6)
    gate.batch(1, 2)
    gate.batch(4, 5, is_ahead=True)
    aged(court, gate, 6)
    assert court.store.journals.prune(MIDDLE) == 1
    assert kept(court) == [2, 4, 5]
