"""A confined process has no rights, its memory and time are limited, and what it writes is cleaned."""

import os
import subprocess
import sys
import tempfile

import pytest

from gated.bounded import MIB
from gated.errors import ConfinedError
from gated.runtime import landlock
from gated.runtime.confined_run import REFUSED, Limits, _reason, give_up, run

LIMITS = Limits(memory_bytes=1024 * MIB, cpu_s=20, output_bytes=10_000, time_s=60)
PROBE = """
import sys, os, threading, socket
from gated.runtime.confined_run import Limits, give_up
give_up(Limits(memory_bytes=1024 << 20, cpu_s=20, output_bytes=10000, time_s=60))
{body}
"""


@pytest.fixture
def probe():
    """Return a function that runs a program without rights."""

    def run(body):
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROBE.format(body=body)]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)

    return run


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", sys.executable])
def test_it_opens_no_file(probe, path):
    done = probe(f"print(open({path!r}, 'rb').read())")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ermission" in done.stderr


def test_it_has_no_socket(probe):
    done = probe("print(socket.socket())")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_it_is_nobody(probe):
    done = probe("print(os.getresuid(), os.getresgid(), os.getgroups())")
    assert done.stdout == "(65534, 65534, 65534) (65534, 65534, 65534) []\n"
    assert probe("os.setuid(0)").returncode == 1


def test_its_memory_is_limited(probe):
    assert "MemoryError" in probe("bytes(1 << 32)").stderr


def test_its_output_is_limited(probe):
    with tempfile.TemporaryFile() as target:
        command = [sys.executable, "-c", PROBE.format(body="os.write(1, bytes(20000)); os.write(1, bytes(20000))")]
        assert subprocess.run(command, stdout=target, stderr=subprocess.DEVNULL, check=False).returncode != 0
        assert target.seek(0, os.SEEK_END) <= LIMITS.output_bytes


def test_a_module_that_fails_gives_its_reason_and_the_advice():
    with tempfile.TemporaryFile() as target, pytest.raises(ConfinedError, match="status 1 .*1024 MiB.*free some"):
        run("gated.no_such_module", (), [], target, LIMITS)


def test_a_module_that_takes_too_long_is_ended():
    with tempfile.TemporaryFile() as target, pytest.raises(ConfinedError, match="takes more than 0 s"):
        run("gated", (), [], target, Limits(memory_bytes=1024 * MIB, cpu_s=20, output_bytes=1, time_s=0.001))


@pytest.mark.parametrize(
    ("status", "words", "said"),
    [
        (REFUSED, b"reason\n", "reason"),
        (REFUSED, b"one\n\x1b[2Jtwo\n", "\\u001b[2Jtwo"),
        (1, b"Traceback\nOSError: [Errno 28] No space left\n", "status 1 (OSError: [Errno 28] No space left)"),
        (-9, b"", "status -9 (no message)"),
        (1, b"\xff\xfe", "status 1"),
    ],
)
def test_what_it_writes_is_cleaned(status, words, said):
    assert said in _reason(status, words, LIMITS)
    assert _reason(status, words, LIMITS).isprintable()


def test_a_limit_cannot_be_raised_again(probe):
    done = probe("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))")
    assert os.geteuid() != 0 or done.returncode == 1
    assert callable(give_up)
