"""Whether another process holds a file: the kernel proves it, and nothing else does."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from gated.access.readers.observing import LOAN_FILE, borrowed, is_borrowed, is_running
from gated.errors import StateError
from gated.office.running_processes import WAITING, is_waiting
from gated.runtime.file_locks import content_if_held, is_held

HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def holder(file):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def without_locks(monkeypatch):
    """A disk whose file system knows no locks, as some network drives."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_file_is_held_while_its_holder_lives(file, holder):
    assert is_held(file)
    assert content_if_held(file) == b"content"
    holder.kill()
    holder.wait()
    assert not is_held(file)
    assert content_if_held(file) is None


def test_the_size_is_limited(file, holder):
    assert content_if_held(file, most_bytes=3) == b"con"


def test_a_missing_file_a_link_a_folder_and_a_pipe_are_not_held(tmp_path, file, holder):
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "link", "folder", "pipe"):
        assert not is_held(tmp_path / name)


def test_on_a_disk_without_locks_nothing_is_held(file, without_locks):
    assert not is_held(file)
    assert content_if_held(file) is None


def test_on_a_disk_without_locks_no_gate_runs_and_no_operator_waits(tmp_path, without_locks):
    (tmp_path / "run.lock").write_text("1")
    (tmp_path / WAITING).mkdir()
    (tmp_path / WAITING / "0a").write_bytes(bytes(8))
    assert not is_running(tmp_path)
    assert not is_waiting(tmp_path, "0a")


def test_on_a_disk_without_locks_the_brain_keeps_its_readers(tmp_path, without_locks):
    """The brain releases its readers while the file is held. A file that stays must not take them for ever."""
    with pytest.raises(StateError, match="cannot be locked"), borrowed(tmp_path):
        pytest.fail("the readers cannot be borrowed here")
    (tmp_path / LOAN_FILE).write_bytes(b"")
    assert not is_borrowed(tmp_path)
