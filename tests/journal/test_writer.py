"""The journal writer never waits, never raises, loses no event up to its limit, and reports a failing disk."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import partial

import pytest

from gated.errors import StateError
from gated.events import DoorClosed, EventsLost, Stopped
from gated.journal import writer as writer_module
from gated.journal.journal import Journal
from gated.journal.writer import MOST_QUEUED, JournalWriter


@pytest.fixture
def open_journal(tmp_path):
    return partial(Journal.open, tmp_path, "market-south", "gate-2")


def reasons(journal):
    return [entry.event.why for entry in journal.entries(limit=100_000)]


def numbered(count):
    return [Stopped(why=str(n)) for n in range(count)]


def test_reported_events_are_on_disk_in_order_after_close(open_journal):
    writer = JournalWriter(open_journal)
    for event in numbered(500):
        writer.report(event)
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert reasons(journal) == [str(n) for n in range(500)]
    assert journal.verify() is None
    journal.close()


def test_an_event_has_the_time_of_its_report_not_of_its_write(open_journal):
    gate = threading.Event()

    def open_late():
        gate.wait()
        return open_journal()

    writer = JournalWriter(open_late)
    before = datetime.now(UTC)
    writer.report(DoorClosed())
    after = datetime.now(UTC)
    gate.set()
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert before <= datetime.fromisoformat(journal.entries()[0].at) <= after
    journal.close()


def test_on_append_is_called_only_after_the_row_is_readable(open_journal, tmp_path):
    seen = []

    def on_append(entry):
        other = sqlite3.connect(tmp_path / "journal.db")
        seen.append(other.execute("SELECT count(*) FROM event WHERE seq = ?", (entry.seq,)).fetchone()[0])
        other.close()

    writer = JournalWriter(open_journal, on_append=on_append)
    for event in numbered(20):
        writer.report(event)
    assert writer.close(timeout_s=60)
    assert seen == [1] * 20


def test_a_report_does_not_wait_for_a_hanging_disk(open_journal):
    release, opening = threading.Event(), threading.Event()

    def hang():
        opening.set()
        release.wait()
        return open_journal()

    writer = JournalWriter(hang)
    for event in numbered(1000):
        writer.report(event)  # would never return if it waited: the disk hangs until every event is reported
        opening.wait()
    release.set()
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert len(reasons(journal)) == 1000
    journal.close()


def failing(open_journal, failures):
    """Return an `open_journal` that fails `failures` times before the disk works."""
    left = iter(range(failures))

    def attempt():
        if next(left, None) is not None:
            raise StateError("the card is gone")
        return open_journal()

    return attempt


def test_a_failure_and_its_end_are_reported_once_and_no_event_is_lost(open_journal, monkeypatch, caplog):
    monkeypatch.setattr(writer_module, "RETRY_S", 0.001)
    troubles, well = [], threading.Event()

    def trouble(error):
        troubles.append(error)
        if error is None:
            well.set()

    writer = JournalWriter(failing(open_journal, 4), on_trouble=trouble)
    for event in numbered(50):
        writer.report(event)
    assert well.wait(60)
    assert writer.close(timeout_s=60)
    assert [str(error) for error in troubles] == ["the card is gone", "None"]
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    journal = open_journal()
    assert reasons(journal) == [str(n) for n in range(50)]
    journal.close()


def test_an_unexpected_exception_does_not_end_the_writer(open_journal, monkeypatch):
    monkeypatch.setattr(writer_module, "RETRY_S", 0.001)
    calls = iter([ZeroDivisionError("?")])

    def attempt():
        for error in calls:
            raise error
        return open_journal()

    writer = JournalWriter(attempt)
    writer.report(DoorClosed())
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert journal.position().head == 1
    journal.close()


def test_a_failed_commit_that_reached_the_disk_is_not_written_twice(open_journal, monkeypatch):
    monkeypatch.setattr(writer_module, "RETRY_S", 0.001)
    failures = iter([1, 2])

    class LyingDisk(Journal):
        def extend(self, reports):
            entries = super().extend(reports)
            if next(failures, None) is not None:
                raise StateError("disk I/O error")
            return entries

    def lie():
        return LyingDisk(open_journal()._file)

    writer = JournalWriter(lie)
    for event in numbered(250):
        writer.report(event)
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert reasons(journal) == [str(n) for n in range(250)]
    journal.close()


def test_beyond_the_limit_events_are_counted_as_lost_and_queued_events_keep_their_order(open_journal):
    repaired = threading.Event()

    def attempt():
        if not repaired.is_set():
            raise StateError("the card is gone")
        return open_journal()

    writer = JournalWriter(attempt)
    for event in numbered(MOST_QUEUED + 7):
        writer.report(event)
    assert writer.lost == 7
    repaired.set()
    assert writer.close(timeout_s=120)
    journal = open_journal()
    *kept, last = journal.entries(limit=100_000)
    assert [entry.event.why for entry in kept] == [str(n) for n in range(MOST_QUEUED)]
    assert last.event == EventsLost(7)
    journal.close()


def test_each_loss_of_events_is_written_with_its_own_count(open_journal, monkeypatch):
    monkeypatch.setattr(writer_module, "MOST_QUEUED", 3)
    monkeypatch.setattr(writer_module, "RETRY_S", 0.001)
    troubled, well, recovered = threading.Event(), threading.Event(), threading.Event()

    def attempt():
        if not well.is_set():
            raise StateError("the card is gone")
        return open_journal()

    def trouble(error):
        (troubled if error is not None else recovered).set()

    writer = JournalWriter(attempt, on_trouble=trouble)
    for lost in (2, 5):
        for event in numbered(3 + lost):
            writer.report(event)
        assert troubled.wait(60)
        well.set()
        assert recovered.wait(60)
        while writer._queued:
            pass
        for signal_ in (troubled, recovered, well):
            signal_.clear()
        writer._journal.close()
    well.set()
    assert writer.close(timeout_s=60)
    journal = open_journal()
    assert [e.event for e in journal.entries() if isinstance(e.event, EventsLost)] == [EventsLost(2), EventsLost(5)]
    journal.close()


def test_a_close_that_cannot_write_returns_false_in_time(open_journal):
    writer = JournalWriter(failing(open_journal, 10_000))
    writer.report(DoorClosed())
    assert not writer.close(timeout_s=0.3)


def test_a_report_after_close_is_counted_and_harmless(open_journal):
    writer = JournalWriter(open_journal)
    assert writer.close(timeout_s=60)
    writer.report(DoorClosed())
    assert writer.lost == 1


FULL_DISK = """
import resource, sys, threading
from functools import partial
from pathlib import Path
from gated.events import Stopped
from gated.journal.journal import Journal
from gated.journal.writer import JournalWriter

opener = partial(Journal.open, Path(sys.argv[1]), "s", "g")
opener().close()
troubles, full, well, one = [], threading.Event(), threading.Event(), threading.Event()
def trouble(error):
    troubles.append(type(error).__name__)
    (full if error is not None else well).set()
writer = JournalWriter(opener, on_append=lambda entry: one.set(), on_trouble=trouble)
writer.report(Stopped(why="first"))
assert one.wait(60)
# a write beyond this fails, as on a full card
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for n in range(2000):
    writer.report(Stopped(why=str(n) + "x" * 500))
assert full.wait(60), "the disk was never full"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert well.wait(60), "the writer did not recover"
assert writer.close(60)
assert (troubles, writer.lost) == (["DiskError", "NoneType"], 0), troubles
"""


def test_a_full_disk_loses_no_event_and_no_order(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    journal = Journal.open(tmp_path, "s", "g")
    assert journal.verify() is None
    assert [why.rstrip("x") for why in reasons(journal)] == ["first", *map(str, range(2000))]
    journal.close()


KILLED = """
import itertools, os, sys
from functools import partial
from pathlib import Path
from gated.events import Stopped
from gated.journal.journal import Journal
from gated.journal.writer import JournalWriter

def on_append(entry):
    os.write(1, f"{entry.seq} {entry.hash}\\n".encode())
writer = JournalWriter(partial(Journal.open, Path(sys.argv[1]), "s", "g"), on_append=on_append)
for n in itertools.count():
    writer.report(Stopped(why=str(n)))
    while len(writer._queued) > 50:
        pass
"""


@pytest.mark.slow
def test_no_kill_loses_a_row_that_was_reported(tmp_path):
    dice = random.Random(20261123)
    reported = {}
    for _ in range(30):
        victim = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
        lines = [victim.stdout.readline() for _ in range(dice.randint(1, 60))]
        os.kill(victim.pid, signal.SIGKILL)
        rest = victim.communicate()[0].splitlines(keepends=True)
        reported |= dict(line.split() for line in lines + rest if line.endswith(b"\n"))
    journal = Journal.open(tmp_path, "s", "g")
    assert journal.verify() is None
    on_disk = {str(entry.seq).encode(): entry.hash.encode() for entry in journal.entries(limit=10**6)}
    assert len(reported) >= 30
    assert {seq: on_disk.get(seq) for seq in reported} == reported
    journal.close()
