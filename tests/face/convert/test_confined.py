"""The process of a converter has no rights, and its memory and time are limited."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace

import pytest

from gated.errors import ModelError
from gated.face.convert import confined
from gated.face.convert.confined import convert_confined
from gated.face.convert.minifasnet import convert_minifasnet
from gated.runtime import landlock
from gated.runtime.confined_run import REFUSED

PROBE = """
import os, sys
from gated.face.convert import __main__ as child
def probe(data):
    import socket
    {body}
child.CONVERTERS["probe"] = probe
sys.exit(child.main(["probe", sys.argv[1]]))
"""


@pytest.fixture
def probe(tmp_path):
    """Return a function that runs the body of a converter in the confined process."""

    def run(body):
        (tmp_path / "source").write_bytes(b"data")
        with (tmp_path / "source").open("rb") as source:
            command = [sys.executable, "-c", PROBE.format(body=body), str(source.fileno())]
            env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
            return subprocess.run(
                command, capture_output=True, text=True, pass_fds=[source.fileno()], env=env, check=False, timeout=60
            )

    return run


def test_a_converter_gets_its_source_and_returns_the_model(probe):
    done = probe("return data.upper()")
    assert (done.returncode, done.stdout) == (0, "DATA")


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", sys.executable])
def test_a_converter_opens_no_file(probe, path):
    done = probe(f"return open({path!r}, 'rb').read()")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_converter_writes_no_file(probe, open_folder):
    open_folder.chmod(0o777)
    assert probe(f"open({str(open_folder / 'x')!r}, 'wb')").returncode == 1
    assert list(open_folder.iterdir()) == []


def test_a_converter_has_no_socket(probe):
    done = probe("return repr(socket.socket()).encode()")
    assert done.returncode == 1
    assert done.stdout == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_converter_is_nobody(probe):
    done = probe("return repr((os.getresuid(), os.getresgid(), os.getgroups())).encode()")
    assert done.stdout == "((65534, 65534, 65534), (65534, 65534, 65534), [])"
    assert probe("os.setuid(0); return b''").returncode == 1


def test_one_thread_runs_when_the_rights_are_given_up(probe):
    done = probe("import threading; return str(threading.active_count()).encode()")
    assert done.stdout == "1"


def test_a_converter_that_wants_all_memory_is_refused_in_words(probe):
    done = probe("return bytes(1 << 32)")
    assert done.returncode == REFUSED
    assert done.stderr == "it needs more than 1024 MiB of memory\n"


def test_a_good_file_is_converted(pth):
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(pth)
        source.seek(0)
        convert_confined("minifasnet", [source], target)
        target.seek(0)
        assert target.read() == convert_minifasnet(pth)


def test_the_reason_of_a_refusal_comes_back_in_words():
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.")
        source.seek(0)
        with pytest.raises(ModelError, match=r"^its pickle names 'posix.system', which no state dict needs$"):
            convert_confined("minifasnet", [source], target)


def test_a_converter_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(confined, "LIMITS", replace(confined.LIMITS, time_s=0.01))
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as target,
        pytest.raises(ModelError, match="takes more than"),
    ):
        convert_confined("minifasnet", [source], target)
