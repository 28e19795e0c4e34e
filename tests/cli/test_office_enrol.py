"""An operator's enrolment on a terminal: progress, a question, and no kept face without a yes."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from contextlib import closing, suppress
from datetime import UTC, datetime

import pytest

from gated.office.office_person import OfficePerson
from gated.office.running_processes import is_waiting, mark_serving
from gated.office.store import Store
from gated.protocol.jose import Identity
from gated.protocol.wire_records import WireConsent

SITE, ANN = "market-south", "a" * 16
PATIENCE_S = 60.0


class Terminal:
    """The command on a terminal, and its output so far."""

    def __init__(self, folder, *options):
        self.end, theirs = pty.openpty()
        command = [sys.executable, "-m", "gated", "office", "--dir", str(folder), "enrol", "gate-1", ANN, *options]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - so that Ctrl-C is a signal
        )  # fmt: skip
        os.close(theirs)
        self.printed = ""

    def until(self, holds, what):
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"in vain: {what}\n{self.said}"
            self._listen(0.05)

    def type(self, text):
        os.write(self.end, text.encode())

    def wait(self):
        self.until(lambda: self.process.poll() is not None, "the end")
        self._listen(0.2)
        return self.process.returncode

    def _listen(self, within_s):
        if select.select([self.end], [], [], within_s)[0]:
            with suppress(OSError):
                self.printed += os.read(self.end, 10_000).decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self.end)


@pytest.fixture
def store(tmp_path):
    with closing(Store.create(tmp_path / "office", SITE)) as store, closing(mark_serving(tmp_path / "office", 0, 1)):
        store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
        at = "2026-11-20T09:00:00Z"
        consents = [WireConsent("recognise", "paper-17", "2026-11", at)]
        store.book.put(OfficePerson(n=0, subject=ANN, name="Ann", household="2", added_at=at, consents=consents))
        yield store


@pytest.fixture
def terminal(tmp_path, store):
    opened = []

    def make(*options):
        opened.append(Terminal(tmp_path / "office", *options))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def asked(store, terminal):
    """Give the gate the order and wait for the question before the face is kept. Returns the order's id."""
    terminal.until(store.commands.open, "the order")
    [placed] = store.commands.open()
    store.commands.answer_begin(SITE, placed, "nonce", time.monotonic(), datetime.now(UTC))
    store.commands.store_progress(placed.id, "3 of 5 looks")
    terminal.until(lambda: "gate-1: 3 of 5 looks" in terminal.printed, "what goes on")
    assert not store.commands.answer_commit(placed, "5 good looks were taken", time.monotonic()), "nobody has said yes"
    terminal.until(lambda: "Store this face?" in terminal.printed, "the question")
    return placed.id


def test_a_face_is_stored_only_after_a_yes(store, terminal, tmp_path):
    there = terminal()
    order = asked(store, there)
    assert is_waiting(tmp_path / "office", order), "while it is asked it waits"
    there.type("y\n")
    there.until(lambda: store.commands.get(order).is_confirmed, "the yes")
    assert store.commands.answer_commit(store.commands.get(order), "5 good looks were taken", time.monotonic())
    store.commands.finish(store.commands.get(order), "done", "5 templates")
    assert there.wait() == 0
    assert "gate-1: done: 5 templates" in there.printed


@pytest.mark.parametrize("typed", ["n\n", "\n", "\x03"])
def test_a_no_or_ctrl_c_stores_nothing(store, terminal, typed):
    there = terminal()
    order = asked(store, there)
    there.type(typed)
    assert there.wait() == 1
    assert "will not carry it out later" in there.printed
    assert store.commands.get(order).state == "cancelled"
    assert not store.commands.answer_commit(store.commands.get(order), "", time.monotonic())
    assert "Traceback" not in there.printed


def test_the_yes_option_skips_the_question(store, terminal):
    there = terminal("--yes")
    there.until(store.commands.open, "the order")
    [placed] = store.commands.open()
    assert placed.is_confirmed


def test_the_person_is_named_before_the_enrolment_and_in_the_question(store, terminal):
    there = terminal()
    asked(store, there)
    assert "enrolling Ann (2) at gate-1" in there.printed
    assert "Did Ann (2) stand there, alone?" in there.printed


def test_without_a_terminal_an_enrolment_needs_the_yes_option(tmp_path, store):
    command = [sys.executable, "-m", "gated", "office", "--dir", str(tmp_path / "office"), "enrol", "gate-1", ANN]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, store.commands.open()) == (2, [])
    assert "--yes" in done.stderr
