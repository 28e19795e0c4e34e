"""A wish lasts exactly as long as its command runs."""

import os
import subprocess
import sys

import pytest

from gated.errors import StateError
from gated.runtime.file_locks import MOST_BYTES
from gated.runtime.local_request import forget, wished, wishing

HOLD = """
import sys
from pathlib import Path
from gated.runtime.local_request import wishing
with wishing(Path(sys.argv[1]), b"of a child"):
    print("there", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "wish"


def test_a_request_exists_while_its_command_runs_and_leaves_nothing(path):
    assert wished(path) is None
    with wishing(path, b"this") as stands:
        assert wished(path) == b"this"
        assert wished(path) == b"this", "looking takes nothing of it"
        assert stands()
    assert wished(path) is None
    assert list(path.parent.iterdir()) == []


def test_a_request_ends_with_its_process(path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "there\n"
        assert wished(path) == b"of a child"
    finally:
        child.kill()
        child.communicate()
    assert path.exists(), "what it said is left behind"
    assert wished(path) is None


def test_an_unlocked_file_is_no_request(path):
    path.write_bytes(b"written by hand")
    assert wished(path) is None


def test_a_newer_request_replaces_an_older_one(path):
    with wishing(path, b"older") as older:
        with wishing(path, b"newer") as newer:
            assert wished(path) == b"newer"
            assert (older(), newer()) == (False, True)
        assert wished(path) is None, "the older one does not come back"
    assert wished(path) is None


def test_an_ending_older_request_removes_no_newer_one(path):
    older = wishing(path, b"older")
    older.__enter__()
    with wishing(path, b"newer"):
        older.__exit__(None, None, None)
        assert wished(path) == b"newer"


def test_a_link_pipe_or_folder_is_no_request(path, tmp_path):
    real = tmp_path / "real"
    with wishing(real, b"elsewhere"):
        path.symlink_to(real)
        assert wished(path) is None
        path.unlink()
        os.mkfifo(path)
        assert wished(path) is None
        path.unlink()
        path.mkdir()
        assert wished(path) is None


def test_a_request_is_in_a_private_folder(path):
    with wishing(path, b"this"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_too_long_request_is_truncated(path):
    with wishing(path, bytes(10 * MOST_BYTES)):
        assert len(wished(path)) == MOST_BYTES


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path):
    with pytest.raises(StateError, match="cannot be written"), wishing(tmp_path / "nowhere" / "wish", b"this"):
        pass


def test_requests_left_by_a_crash_are_deleted_and_current_ones_stay(path):
    forget(path)
    with wishing(path, b"this"):
        forget(path)
        assert wished(path) == b"this"
    path.write_bytes(b"left behind")
    forget(path)
    assert not path.exists()
