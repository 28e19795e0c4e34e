"""The journal keeps rows in order, durable, numbered from one, and stored until the office has them."""

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import StateError
from gated.events import DoorClosed, DoorSecured, PersonRemoved, Started, Stopped
from gated.journal.chain import genesis
from gated.journal.entry import MAX_BODY_BYTES
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB
from gated.storage.read_only import read_only_mode

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def unacknowledged(journal, limit):
    """Return the oldest rows that the office has not acknowledged."""
    return journal.entries(journal.position().acked, limit)


def test_rows_are_numbered_from_one_and_decode_to_their_events(journal):
    removed = PersonRemoved(subject="0f" * 8, templates=3)
    first = journal.append(removed, NOW)
    second = journal.append(DoorClosed(), NOW)
    assert (first.seq, second.seq) == (1, 2)
    assert journal.entries() == [first, second]
    assert first.event == removed
    assert (second.kind, second.body) == ("door_closed", '{"kind":"door_closed"}')


def test_the_time_of_any_zone_is_stored_as_utc_with_microseconds(journal):
    beijing = timezone(timedelta(hours=8))
    assert journal.append(DoorClosed(), NOW.astimezone(beijing)).at == "2026-11-23T08:00:00.000000Z"


def test_a_time_without_a_zone_raises_and_writes_nothing(journal):
    with pytest.raises(ValueError, match="zone"):
        journal.append(DoorClosed(), datetime(2026, 1, 1))  # noqa: DTZ001
    assert journal.position().head == 0


def test_an_appended_row_is_visible_to_another_process_at_once(journal, tmp_path):
    journal.append(DoorClosed(), NOW)
    other = Journal.open(tmp_path, "market-south", "gate-2")
    assert other.entries() == journal.entries()
    other.close()


def test_a_reopened_journal_continues(journal, tmp_path, fill):
    fill(journal, 5)
    before = journal.position()
    journal.close()
    again = Journal.open(tmp_path, "market-south", "gate-2")
    assert again.position() == before
    assert again.append(DoorClosed(), NOW).seq == 6
    assert again.verify() is None
    again.close()


def test_every_commit_waits_for_the_disk(journal):
    assert journal._file._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert journal._file._connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)


def test_the_journal_of_another_gate_is_refused_and_unchanged(journal, tmp_path, fill):
    fill(journal, 3)
    with pytest.raises(StateError, match=r"gate 'gate-2'.*not of 'gate-3'"):
        Journal.open(tmp_path, "market-south", "gate-3")
    assert journal.position().head == 3


def test_an_unusable_folder_is_named_in_the_error(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StateError, match="state"):
        Journal.open(tmp_path / "state", "s", "g")


def test_a_file_that_is_not_a_database_is_named_and_unchanged(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"not a database" * 400)
    with pytest.raises(StateError, match=r"journal\.db"):
        Journal.open(tmp_path, "s", "g")
    assert (tmp_path / "journal.db").read_bytes() == b"not a database" * 400


def test_only_the_owner_can_read_the_file(journal, tmp_path, fill):
    fill(journal, 3)
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.glob("journal.db*")} == {"0o600"}


def test_two_journals_never_have_the_same_genesis(tmp_path):
    one, two = (Journal.open(tmp_path / name, "s", "g") for name in "ab")
    assert one.position().journal != two.position().journal
    assert one.position().base_hash == genesis("s", "g", one.position().journal) != two.position().base_hash
    one.close()
    two.close()


def test_threads_with_one_journal_each_write_one_chain_without_gaps(tmp_path):
    Journal.open(tmp_path, "s", "g").close()

    def write(name):
        journal = Journal.open(tmp_path, "s", "g")
        seqs = [journal.append(Stopped(why=f"{name} {n}"), NOW).seq for n in range(25)]
        journal.close()
        return seqs

    with ThreadPoolExecutor(4) as pool:
        seqs = [seq for written in pool.map(write, "abcd") for seq in written]
    assert sorted(seqs) == list(range(1, 101))
    journal = Journal.open(tmp_path, "s", "g")
    assert journal.verify() is None
    journal.close()


APPEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from gated.events import Stopped
from gated.journal.journal import Journal
journal = Journal.open(Path(sys.argv[1]), "s", "g")
for n in range(40):
    journal.append(Stopped(why=f"{sys.argv[2]} {n}"), datetime.now(UTC))
"""


def test_processes_that_append_in_parallel_write_one_chain_in_their_own_order(tmp_path):
    commands = [[sys.executable, "-c", APPEND, str(tmp_path), name] for name in "abc"]
    assert [process.wait() for process in [subprocess.Popen(command) for command in commands]] == [0, 0, 0]
    journal = Journal.open(tmp_path, "s", "g")
    assert journal.verify() is None
    written = [entry.event.why.split() for entry in journal.entries(limit=1000)]
    journal.close()
    for name in "abc":
        assert [int(n) for process, n in written if process == name] == list(range(40))


def test_a_failed_transaction_writes_nothing(journal, fill):
    fill(journal, 2)
    with pytest.raises(ValueError, match="zone"):
        journal.extend([(DoorClosed(), NOW), (DoorClosed(), datetime(2026, 1, 1))])  # noqa: DTZ001
    assert journal.position().head == 2
    assert journal.append(DoorClosed(), NOW).seq == 3
    assert journal.verify() is None


def test_a_lock_held_too_long_is_an_error_that_names_the_file(journal, tmp_path):
    journal._file._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match=r"journal\.db"):
        journal.append(DoorClosed(), NOW)
    other.close()


# -- damaged rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"kind":"from_the_future","x":1}',
        '{"kind":"started"}',
        "[" * 100_000,
        '{"kind":"door_closed","x":NaN}',
    ],
)
def test_a_row_that_does_not_decode_is_still_returned(journal, fill, tamper, body):
    fill(journal, 3)
    tamper("UPDATE event SET body = ? WHERE seq = 2", body)
    shown = journal.entries()
    assert [entry.event is None for entry in shown] == [False, True, False]
    assert shown[1].body == body[:MAX_BODY_BYTES]


def test_invalid_text_is_returned_and_found_by_the_chain(journal, fill, tamper):
    fill(journal, 3)
    tamper("UPDATE event SET kind = CAST(x'ff' AS TEXT) WHERE seq = 2")
    assert [entry.kind.isprintable() for entry in journal.entries()] == [True] * 3
    assert journal.verify().seq == 2


def test_an_event_that_cannot_be_encoded_is_stored_as_its_kind_and_the_reason(journal):
    entry = journal.append(DoorSecured(cause="\ud800"), NOW)  # half a surrogate pair, which a file name may contain
    assert (entry.kind, entry.event) == ("door_secured", None)
    assert "UnicodeEncodeError" in entry.body
    assert journal.verify() is None


def test_an_event_too_long_for_a_message_is_stored_as_its_kind_and_length(journal):
    entry = journal.append(Stopped(why="x" * (2 * MAX_BODY_BYTES)), NOW)
    assert entry.kind == "stopped"
    assert f'"too_long_bytes":{2 * MAX_BODY_BYTES + 27}' in entry.body


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=50)
def test_any_text_is_read_back_unchanged_and_verifies(tmp_path_factory, version, digest):
    journal = Journal.open(tmp_path_factory.mktemp("j"), "s", "g")
    event = Started(version=version, settings_sha256=digest)
    journal.append(event, NOW)
    journal.append(event, NOW)
    assert [entry.event for entry in journal.entries()] == [event, event]
    assert journal.verify() is None
    journal.close()


# -- reading and the outbox ------------------------------------------------------------------------------------------


def test_entries_are_paged_and_last_returns_the_newest_in_order(journal, fill):
    fill(journal, 10)
    assert [e.seq for e in journal.entries(after=3, limit=4)] == [4, 5, 6, 7]
    assert [e.seq for e in journal.last(3)] == [8, 9, 10]
    assert [e.seq for e in journal.last(99)] == list(range(1, 11))


def test_reading_ends_with_the_first_row_that_does_not_fit(journal, fill):
    fill(journal, 10)
    length = sum(entry.least_bytes for entry in journal.entries(limit=3))
    assert [e.seq for e in journal.entries(most_bytes=length)] == [1, 2, 3, 4]
    assert [e.seq for e in journal.entries(most_bytes=length - 1)] == [1, 2, 3]
    assert [e.seq for e in journal.entries(most_bytes=0)] == [1]


def test_pending_returns_the_rows_that_the_office_has_not_acknowledged(journal, fill):
    fill(journal, 10)
    assert [e.seq for e in unacknowledged(journal, 3)] == [1, 2, 3]
    journal.acknowledge(8)
    assert [e.seq for e in unacknowledged(journal, 3)] == [9, 10]


def test_an_acknowledgement_never_falls_and_never_exceeds_the_head(journal, fill):
    fill(journal, 10)
    journal.acknowledge(5)
    journal.acknowledge(3)
    journal.acknowledge(11)
    assert journal.position().acked == 5


def test_an_office_that_lost_rows_can_rewind(journal, fill):
    fill(journal, 10)
    journal.acknowledge(8)
    journal.rewind(2)
    assert [e.seq for e in unacknowledged(journal, 2)] == [3, 4]
    journal.rewind(7)
    assert journal.position().acked == 2
    journal.rewind(-5)
    assert journal.position().acked == 0


def test_the_outbox_survives_a_restart(journal, fill, tmp_path):
    fill(journal, 10)
    journal.acknowledge(6)
    journal.close()
    again = Journal.open(tmp_path, "market-south", "gate-2")
    assert again.position().acked == 6
    again.close()


def test_hashes_are_available_back_to_the_base(journal, fill):
    fill(journal, 10)
    journal.acknowledge(10)
    fourth = journal.entries(after=3, limit=1)[0].hash
    journal.prune(NOW, keep_rows=6)
    assert journal.hash_of(4) == fourth == journal.position().base_hash
    assert journal.hash_of(10) == journal.position().head_hash
    assert journal.hash_of(3) is None
    assert journal.hash_of(11) is None
    assert journal.hash_of(0) is None


def test_before_returns_the_last_stored_row(journal, fill, tamper):
    fill(journal, 10)
    tamper("DELETE FROM event WHERE seq = 6")
    assert [journal.before(seq) for seq in (1, 2, 7, 99)] == [0, 1, 5, 10]
    journal.acknowledge(3)
    journal.prune(NOW, keep_rows=7)
    assert journal.before(4) == 0


def test_a_row_enlarged_on_disk_is_cut_when_read(journal, fill, tamper):
    fill(journal, 3)
    tamper("UPDATE event SET body = ?, kind = ?, hash = ? WHERE seq = 2", *["x" * 10**6] * 3)
    shown = journal.entries()[1]
    assert [len(text) for text in (shown.kind, shown.body, shown.hash)] == [64, MAX_BODY_BYTES, 64]
    assert journal.verify().seq == 2


# -- retention -------------------------------------------------------------------------------------------------------


def test_acknowledged_rows_are_removed_after_thirty_days_and_the_rest_verifies(journal, fill):
    fill(journal, 100)  # one per minute from 08:00
    journal.acknowledge(80)
    pruned = journal.prune(NOW + timedelta(days=30, minutes=50))
    assert (pruned.removed, pruned.dropped) == (50, 0)
    assert [e.seq for e in journal.entries(limit=2)] == [51, 52]
    assert journal.verify() is None
    assert journal.append(DoorClosed(), NOW).seq == 101
    assert journal.verify() is None


def test_unacknowledged_rows_of_any_age_are_kept(journal, fill):
    fill(journal, 20)
    journal.acknowledge(5)
    assert journal.prune(NOW + timedelta(days=4000)).removed == 5
    assert len(unacknowledged(journal, 100)) == 15


def test_beyond_keep_rows_unacknowledged_rows_are_removed_and_counted(journal, fill):
    fill(journal, 100)
    journal.acknowledge(10)
    pruned = journal.prune(NOW, keep_rows=60)
    assert (pruned.removed, pruned.dropped) == (40, 30)
    assert journal.position().dropped == 30
    assert [e.seq for e in unacknowledged(journal, 2)] == [41, 42]
    assert journal.verify() is None
    pruned = journal.prune(NOW, keep_rows=50)
    assert (pruned.removed, pruned.dropped) == (10, 10)
    assert journal.position().dropped == 40


def test_a_journal_pruned_to_empty_continues_its_numbers(journal, fill):
    fill(journal, 10)
    journal.acknowledge(10)
    assert journal.prune(NOW + timedelta(days=99)).removed == 10
    assert journal.entries() == []
    assert journal.verify() is None
    assert journal.append(DoorClosed(), NOW).seq == 11
    assert journal.verify() is None


def test_a_prune_without_old_rows_writes_nothing(journal, fill, tmp_path):
    fill(journal, 10)
    before = (tmp_path / "journal.db-wal").stat().st_size
    assert journal.prune(NOW).removed == 0
    assert (tmp_path / "journal.db-wal").stat().st_size == before


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 5)),
            st.tuples(st.just("acknowledge"), st.integers(-1, 40)),
            st.tuples(st.just("rewind"), st.integers(-1, 40)),
            st.tuples(st.just("days"), st.integers(0, 60)),
            st.tuples(st.just("rows"), st.integers(0, 30)),
        ),
        max_size=25,
    )
)
@settings(max_examples=60, deadline=None)
def test_after_any_operations_the_chain_verifies_and_dropped_rows_are_counted(tmp_path_factory, steps):
    journal = Journal.open(tmp_path_factory.mktemp("j"), "s", "g")
    acked_ever, now = 0, NOW
    for verb, number in steps:
        if verb == "append":
            journal.extend([(DoorClosed(), now)] * number)
        elif verb == "days":
            now += timedelta(days=number)
            journal.prune(now)
        elif verb == "rows":
            journal.prune(now, keep_rows=number)
        else:
            getattr(journal, verb)(number)
        position = journal.position()
        acked_ever = max(acked_ever, position.acked)
        assert journal.verify() is None
        assert [e.seq for e in journal.entries()] == list(range(position.base + 1, position.head + 1))
        assert position.base <= acked_ever + position.dropped
    journal.close()


MAKER = """
import os, signal, sys
from pathlib import Path
from gated.journal.journal_file import MIGRATIONS
from gated.storage.database import connect
connect(Path(sys.argv[1]), MIGRATIONS)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_journal_half_made_by_a_killed_brain_is_read_as_empty(tmp_path):
    """The brain makes the tables first, and then the head record."""
    path = tmp_path / JOURNAL_DB
    assert subprocess.run([sys.executable, "-c", MAKER, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.with_name(f"{JOURNAL_DB}-shm").exists()
    for _ in range(2):
        with read_only_mode(), closing(Journal.to_read(tmp_path, "site", "gate")) as journal:
            assert journal.last(5) == []
            assert journal.position().head == 0
    with closing(Journal.open(tmp_path, "site", "gate")) as journal:
        assert journal.position().head == 0
