"""An installer can listen to the readers. Nobody else can, and no reader waits for a listener."""

import os
import subprocess
import sys

import pytest

from gated.access.readers.keystrokes import TypedNumber
from gated.access.readers.observing import (
    LOAN_FILE,
    READINGS_SOCKET,
    ReaderReading,
    ReadingSender,
    borrowed,
    is_borrowed,
    is_running,
    next_reading,
    reading_socket,
)
from gated.access.readers.reader_set import ReaderSet
from gated.config import ReaderSettings
from gated.errors import BusyError, StateError
from gated.storage.process_lock import FileLock

CARD = ReaderReading("usb", "main", "card", "0006729715", "a card, 10 keys")


def test_an_observer_receives_each_report(tmp_path):
    teller = ReadingSender(tmp_path)
    with reading_socket(tmp_path) as listening:
        teller.send(CARD)
        assert next_reading(listening, 5.0) == CARD
        assert next_reading(listening, 0.01) is None


def test_without_an_observer_nothing_is_stored_or_created(tmp_path):
    ReadingSender(tmp_path).send(CARD)
    ReadingSender(None).send(CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_observer_delays_nobody(tmp_path):
    with reading_socket(tmp_path):
        os.link(tmp_path / READINGS_SOCKET, tmp_path / "left")
    (tmp_path / "left").rename(tmp_path / READINGS_SOCKET)
    ReadingSender(tmp_path).send(CARD)
    with reading_socket(tmp_path) as listening:
        ReadingSender(tmp_path).send(CARD)
        assert next_reading(listening, 5.0) == CARD


def test_an_observer_that_does_not_read_delays_nobody(tmp_path):
    with reading_socket(tmp_path) as listening:
        for _ in range(2000):
            ReadingSender(tmp_path).send(CARD)
        assert next_reading(listening, 5.0) == CARD


def test_garbage_on_the_socket_is_ignored(tmp_path):
    with reading_socket(tmp_path) as listening:
        listening.sendto(b"rubbish", str(tmp_path / READINGS_SOCKET))
        assert next_reading(listening, 1.0) is None


def test_only_the_owner_can_use_the_socket(tmp_path):
    with reading_socket(tmp_path):
        assert (tmp_path / READINGS_SOCKET).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / READINGS_SOCKET).exists()


def test_without_a_socket_the_error_names_the_next_step(tmp_path):
    (tmp_path / "none").touch()
    with pytest.raises(StateError, match="run this as root"), reading_socket(tmp_path / "none"):
        pass


async def test_the_brain_reports_card_numbers_but_only_the_kind_of_a_pin(tmp_path):
    class Credentials:
        async def handle_card(self, number, door, reader):
            return False

        async def handle_pin(self, digits, door, reader, flat):
            pass

        def is_flat(self, digits):
            return False

    readers = ReaderSet(ReaderSettings(), Credentials(), tmp_path)
    with reading_socket(tmp_path) as listening:
        readers.handle_number(TypedNumber("card", "0006729715"))
        readers.handle_number(TypedNumber("pin", "492716"))
        readers.handle_frame("10" * 13, "main")
        said = [next_reading(listening, 5.0) for _ in range(3)]
    assert said[0] == CARD
    assert said[1] == ReaderReading("usb", "main", "pin")
    assert said[2].kind == "odd"
    assert "26 bits, parity wrong" in said[2].detail


def test_one_process_at_a_time_borrows_the_readers_and_they_return(tmp_path):
    assert not is_borrowed(tmp_path)
    assert not is_borrowed(None)
    with borrowed(tmp_path):
        assert is_borrowed(tmp_path)
        with pytest.raises(BusyError), borrowed(tmp_path):
            pass
        assert is_borrowed(tmp_path)
    assert not is_borrowed(tmp_path)
    assert not (tmp_path / LOAN_FILE).exists()


def test_without_an_earlier_run_no_file_is_created(tmp_path):
    with borrowed(tmp_path / "state"):
        assert not is_borrowed(tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


def test_readers_come_back_from_a_borrower_that_is_killed(tmp_path):
    script = (
        "import pathlib, sys, time; from gated.access.readers.observing import borrowed\n"
        "with borrowed(pathlib.Path(sys.argv[1])):\n print('mine', flush=True); time.sleep(60)"
    )
    borrower = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert borrower.stdout.readline() == b"mine\n"
        assert is_borrowed(tmp_path)
    finally:
        borrower.kill()
        borrower.communicate()
    assert not is_borrowed(tmp_path)


def test_checking_for_a_running_gate_leaves_no_file(tmp_path):
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []
    lock = FileLock(tmp_path / "run.lock", "a gate")
    assert is_running(tmp_path)
    lock.close()
    assert not is_running(tmp_path)
