"""Tests the file lock: only one process holds it at a time."""

import os
import subprocess
import sys

import pytest

from gated.errors import BusyError, StateError
from gated.storage.process_lock import FileLock


def test_the_error_of_a_second_holder_names_the_first(tmp_path):
    held = FileLock(tmp_path / "run.lock", "a gate")
    with pytest.raises(BusyError, match=f"a gate runs already .process {os.getpid()}"):
        FileLock(tmp_path / "run.lock", "a gate")
    held.close()
    FileLock(tmp_path / "run.lock", "a gate").close()


def test_a_killed_holder_gives_it_back(tmp_path):
    code = (
        "import os, signal, pathlib; from gated.storage.process_lock import FileLock;"
        f"lock = FileLock(pathlib.Path({str(tmp_path / 'run.lock')!r}), 'a gate'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    FileLock(tmp_path / "run.lock", "a gate").close()


def test_the_folder_is_made(tmp_path):
    FileLock(tmp_path / "a" / "b" / "run.lock", "a gate").close()
    assert (tmp_path / "a" / "b" / "run.lock").is_file()


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="writable"):
        FileLock(tmp_path / "file" / "run.lock", "a gate")
