"""A confined process has no rights, its memory and time are limited, and what it writes is cleaned."""

import ctypes.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gated.bounded import MIB
from gated.errors import ConfinedError
from gated.runtime import confined_run, landlock
from gated.runtime.confined_run import REFUSED, Limits, _reason, run
from gated.runtime.confinement import STEPS, WORDS

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
def test_a_confined_process_opens_no_file(probe, path):
    done = probe(f"print(open({path!r}, 'rb').read())")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ermission" in done.stderr


def test_a_confined_process_has_no_socket(probe):
    done = probe("print(socket.socket())")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_confined_process_runs_as_the_user_nobody(probe):
    done = probe("print(os.getresuid(), os.getresgid(), os.getgroups())")
    assert done.stdout == "(65534, 65534, 65534) (65534, 65534, 65534) []\n"
    assert probe("os.setuid(0)").returncode == 1


HAS_SECCOMP = ctypes.util.find_library("seccomp") is not None


@pytest.mark.skipif(not HAS_SECCOMP, reason="this machine has no libseccomp")
@pytest.mark.parametrize(
    "start", ["os.fork()", "os.posix_spawn('/bin/true', ['true'], {})", "os.execv('/bin/true', ['true'])"]
)
def test_a_confined_process_starts_no_process_and_no_program(probe, start):
    done = probe(f"{start}; print('started')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not permitted" in done.stderr


def test_a_confined_process_may_start_threads(probe):
    """The decoder of HEIC pictures works in a thread of its own."""
    done = probe("thread = threading.Thread(target=print, args=('ran',)); thread.start(); thread.join()")
    assert (done.returncode, done.stdout) == (0, "ran\n")


FORKING = """
import os, time
from gated.bounded import MIB
from gated.runtime import confined_run
confined_run.give_up(confined_run.Limits(memory_bytes=1024 * MIB, cpu_s=20, output_bytes=10_000, time_s=60))
if os.fork() == 0:
    time.sleep(1)
    os.write(1, b"from the child")
"""


@pytest.mark.skipif(not HAS_SECCOMP, reason="this machine has no libseccomp")
def test_a_hostile_module_leaves_no_process_behind(module):
    with tempfile.TemporaryFile() as target:
        with pytest.raises(ConfinedError, match="status 1 .*not permitted"):
            run(module(FORKING), (), [], target, LIMITS)
        assert target.seek(0, os.SEEK_END) == 0


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


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that makes a module with this body, and returns its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(body):
        (tmp_path / "confined_probe.py").write_text(body)
        return "confined_probe"

    return make


LACKING = """
import sys
from gated.bounded import MIB
from gated.runtime import confined_run, landlock
landlock.restrict = lambda *_: "no_landlock"
confined_run.give_up(confined_run.Limits(memory_bytes=1024 * MIB, cpu_s=20, output_bytes=10_000, time_s=60))
"""


def test_a_kernel_without_landlock_is_reported_once(module, caplog):
    confined_run._warn.cache_clear()
    for _ in range(2):
        with tempfile.TemporaryFile() as target:
            run(module(LACKING), (), [], target, LIMITS)
    confined_run._warn.cache_clear()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([each for each in warnings if WORDS["no_landlock"] in each and STEPS["no_landlock"] in each]) == 1


def test_the_name_of_a_lack_is_no_reason_for_a_failure(module):
    with tempfile.TemporaryFile() as target, pytest.raises(ConfinedError, match="status 1 .no message"):
        run(module(LACKING + "sys.exit(1)"), (), [], target, LIMITS)


def test_the_last_line_of_a_long_error_output_is_the_reason(module):
    body = "import sys\nfor n in range(500): print('line', n, file=sys.stderr)\nsys.exit(1)"
    with tempfile.TemporaryFile() as target, pytest.raises(ConfinedError, match=r"status 1 \(line 499\)"):
        run(module(body), (), [], target, LIMITS)


STAYING = """
import os, time
from gated.bounded import MIB
from gated.runtime import confined_run
confined_run.give_up(confined_run.Limits(memory_bytes=1024 * MIB, cpu_s=20, output_bytes=10_000, time_s=60))
os.write(1, b"%d\\n" % os.getpid())
time.sleep(60)
"""
CALLER = """
import sys
from gated.runtime.confined_run import Limits, run
with open(sys.argv[2], "wb") as target:
    run(sys.argv[1], (), [], target, Limits(memory_bytes=1 << 30, cpu_s=20, output_bytes=10_000, time_s=60))
"""


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(holds):
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def test_a_process_whose_caller_is_killed_ends(module, tmp_path):
    target = tmp_path / "target"
    caller = subprocess.Popen([sys.executable, "-c", CALLER, module(STAYING), str(target)])
    try:
        assert eventually(lambda: target.exists() and target.read_bytes().endswith(b"\n"))
        process = int(target.read_bytes())
        assert is_alive(process)
    finally:
        caller.kill()
        caller.wait()
    assert eventually(lambda: not is_alive(process))


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
def test_the_output_of_a_confined_process_is_cleaned(status, words, said):
    assert said in _reason(status, words, LIMITS)
    assert _reason(status, words, LIMITS).isprintable()


def test_a_limit_cannot_be_raised_again(probe):
    done = probe("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))")
    assert done.returncode == 1
    assert "not allowed to raise maximum limit" in done.stderr
