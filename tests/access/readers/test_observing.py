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


def test_what_is_told_is_heard(tmp_path):
    teller = ReadingSender(tmp_path)
    with reading_socket(tmp_path) as listening:
        teller.send(CARD)
        assert next_reading(listening, 5.0) == CARD
        assert next_reading(listening, 0.01) is None


def test_with_nobody_listening_nothing_is_kept_and_nothing_is_made(tmp_path):
    ReadingSender(tmp_path).send(CARD)
    ReadingSender(None).send(CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_listener_that_was_killed_holds_up_nobody(tmp_path):
    with reading_socket(tmp_path):
        os.link(tmp_path / READINGS_SOCKET, tmp_path / "left")
    (tmp_path / "left").rename(tmp_path / READINGS_SOCKET)
    ReadingSender(tmp_path).send(CARD)
    with reading_socket(tmp_path) as listening:
        ReadingSender(tmp_path).send(CARD)
        assert next_reading(listening, 5.0) == CARD


def test_a_listener_that_does_not_listen_holds_up_nobody(tmp_path):
    with reading_socket(tmp_path):
        for _ in range(2000):
            ReadingSender(tmp_path).send(CARD)


def test_rubbish_at_the_socket_is_nothing(tmp_path):
    with reading_socket(tmp_path) as listening:
        listening.sendto(b"rubbish", str(tmp_path / READINGS_SOCKET))
        assert next_reading(listening, 1.0) is None


def test_the_socket_is_the_owners_alone(tmp_path):
    with reading_socket(tmp_path):
        assert (tmp_path / READINGS_SOCKET).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / READINGS_SOCKET).exists()


def test_where_no_socket_can_be_made_it_is_said_what_to_do(tmp_path):
    (tmp_path / "none").touch()
    with pytest.raises(StateError, match="run this as root"), reading_socket(tmp_path / "none"):
        pass


async def test_the_brain_tells_cards_and_of_a_pin_only_that_it_was_one(tmp_path):
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
    assert "26 bits, parity wrong" in said[2].what


def test_readers_are_borrowed_by_one_at_a_time_and_come_back(tmp_path):
    assert not is_borrowed(tmp_path)
    assert not is_borrowed(None)
    with borrowed(tmp_path):
        assert is_borrowed(tmp_path)
        with pytest.raises(BusyError), borrowed(tmp_path):
            pass
        assert is_borrowed(tmp_path)
    assert not is_borrowed(tmp_path)
    assert not (tmp_path / LOAN_FILE).exists()


def test_where_no_gate_has_ever_run_nothing_is_made(tmp_path):
    with borrowed(tmp_path / "state"):
        assert not is_borrowed(tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


def test_readers_come_back_from_a_borrower_that_is_killed(tmp_path):
    script = (
        "import pathlib, sys, time; from gated.access.readers.observing import borrowed\n"
        "with borrowed(pathlib.Path(sys.argv[1])):\n print('mine', flush=True); time.sleep(60)"
    )
    borrower = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert borrower.stdout.readline() == b"mine\n"
    assert is_borrowed(tmp_path)
    borrower.kill()
    borrower.wait()
    borrower.stdout.close()
    assert not is_borrowed(tmp_path)


def test_whether_a_gate_runs_is_seen_without_leaving_a_file(tmp_path):
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []
    lock = FileLock(tmp_path / "run.lock", "a gate")
    assert is_running(tmp_path)
    lock.close()
    assert not is_running(tmp_path)
