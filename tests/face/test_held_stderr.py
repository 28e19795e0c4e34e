"""`held_stderr` captures all writes to standard error, from Python and C, and then restores it."""

import os
import subprocess
import sys

import pytest

from gated.face.held_stderr import held_stderr


def test_output_of_python_and_of_c_is_held_in_order():
    """Runs in its own process, because pytest replaces standard error here."""
    script = (
        "import os, sys; from gated.face.held_stderr import held_stderr\n"
        "with held_stderr() as lines:\n"
        "    print('of Python', file=sys.stderr); os.write(2, b'of C\\n')\n"
        "print(lines); print('afterwards', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['of Python', 'of C']\n", "afterwards\n")


def test_the_stream_is_restored_after_an_error_and_its_text_is_kept(capfd):
    with pytest.raises(ImportError), held_stderr() as lines:
        os.write(2, b"a reason\n")
        raise ImportError
    os.write(2, b"afterwards\n")
    assert lines == ["a reason"]
    assert capfd.readouterr().err == "afterwards\n"


def test_a_process_without_standard_error_has_nothing_to_hold():
    script = "from gated.face.held_stderr import held_stderr\nwith held_stderr() as lines: pass\nprint(lines)"
    command = f"exec {sys.executable} -c '{script}' 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout == "[]\n"
