"""No terminal, pipe or disk makes a command print a traceback. Each command runs in its own process."""

import json
import os
import pty
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from PIL import Image

from gated.access import qr
from gated.access.passes import issue_pass
from gated.cli import streams
from gated.config import load_own
from gated.people.store import People

ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
PLACES = {
    "ascii": ASCII,
    "strict ascii": {**ASCII, "PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "gbk": {"PYTHONIOENCODING": "gbk"},
    "gbk locale that is not there": {"LC_ALL": "zh_CN.GBK"},
    "plain C": {"LANG": "C", "LC_ALL": "C"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Return a gate on a desk with a resident whose name is not ASCII."""
    file = tmp_path_factory.mktemp("gate") / "gated.toml"
    file.write_text('state_dir = "state"\n[site]\nid = "s"\n[gate]\nid = "g"\n[door]\npins = "mock"\n')
    state = load_own(file).state
    state.mkdir(mode=0o700)
    with closing(People(state).connection) as connection:
        row = ("3f2a9c1b7d00aa11", "王芳 · Ω", "１２", "active", "2026-11-01T00:00:00+00:00")
        connection.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at) VALUES (?, ?, ?, ?, ?)", row
        )
    return file


@pytest.fixture
def office_pass():
    """Return a visitor's signed pass."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    begins = datetime(2026, 5, 1, tzinfo=UTC)
    return issue_pass(pem, "courtyard-2", "front", begins, begins + timedelta(hours=2), door="main", uses=1)


def gated(*words, config=None, **options):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **options.pop("env", {})}
    command = [sys.executable, "-m", "gated", *(["--config", str(config)] if config else []), *words]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60, **options)


@pytest.mark.parametrize("env", PLACES.values(), ids=PLACES)
def test_people_are_listed_in_every_encoding(config, env):
    done = gated("people", "list", config=config, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"3f2a9c1b7d00aa11" in done.stdout


@pytest.mark.parametrize("name", ["strict ascii", "latin-1", "gbk", "utf-8"])
def test_json_has_every_character_in_every_encoding(config, name):
    done = gated("people", "list", "--json", config=config, env=PLACES[name])
    assert json.loads(done.stdout)[0]["name"] == "王芳 · Ω"


def test_a_missing_character_is_replaced_by_a_similar_one_or_its_number(config):
    shown = gated("people", "list", config=config, env=PLACES["strict ascii"]).stdout.decode("ascii")
    assert r"\u738b\u82b3 - \u03a9" in shown
    assert "王芳" in gated("people", "list", config=config, env=PLACES["gbk"]).stdout.decode("gbk")


def test_the_help_of_every_command_is_written_in_ascii_too():
    script = (
        "from gated.cli import COMMANDS, main\n"
        "for name, (_, about) in COMMANDS.items():\n"
        "    main([name, '--help'], standalone_mode=False) if about else None\n"
    )
    env = {"PATH": os.environ["PATH"], **PLACES["strict ascii"]}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert done.stdout.count(b"Usage: ") > 20


def test_an_error_with_a_name_in_it_is_one_line(config):
    done = gated(
        "--config", "/nowhere/门.toml", "people", "list", env={"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"gated: /nowhere/")
    assert b"Traceback" not in done.stderr


def test_bytes_that_cannot_be_decoded_are_refused_by_name(config):
    done = gated("people", "show", b"\xcd\xf5\xb7\xbc", config=config)
    assert done.returncode == 2
    assert b"not valid text in this terminal's encoding" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_file_may_have_any_name(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xcd\xf5.toml"
    Path(os.fsdecode(name)).write_text("[site\n")
    done = gated("--config", name, "people", "list")
    assert done.returncode == 2
    assert b"is not valid TOML" in done.stderr
    assert b"Traceback" not in done.stderr


# -- the other end is closed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["config", "new"], ["--help"], ["people", "list"], ["people", "list", "--json"]])
def test_a_pipe_closed_by_its_reader_is_not_an_error(config, words):
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "gated", "--config", str(config), *words]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(theirs)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize("words", [["config", "new"], ["people", "list"], ["people", "list", "--json"]])
def test_a_full_disk_is_reported_in_one_line(config, words):
    command = [sys.executable, "-m", "gated", "--config", str(config), *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stderr == b"gated: the output cannot be written (No space left on device); free some space\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_raise_nothing(config, closed):
    command = f"exec {sys.executable} -m gated --config {config} people list {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_an_undecodable_answer_is_an_invalid_answer(config):
    done = gated("pair", config=config, input=b"\xcd\xf5\n")
    assert b"Traceback" not in done.stderr
    assert done.returncode in {1, 2}


# -- codes -------------------------------------------------------------------------------------------------------------


def on_a_terminal(command, env):
    """Run a program on a terminal and return its output."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=env, close_fds=True)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    assert child.wait(60) == 0, written
    return written


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "utf-8"])
def test_a_code_is_readable_on_every_terminal(office_pass, encoding):
    """Rebuilds the picture from the terminal output, and reads it as a phone would."""
    text = office_pass
    script = (
        "import sys; from gated.cli import streams; from gated.access import qr; streams.prepare();"
        f"streams.own(qr.on_terminal({text!r}, is_unicode=streams.can_write(qr.BLOCKS)) + chr(10))"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": encoding}
    drawn = on_a_terminal([sys.executable, "-c", script], env).decode(encoding).replace("\r", "")
    rows = by_colour(drawn) if "\x1b" in drawn else by_blocks(drawn)
    picture = Image.new("L", (max(map(len, rows)), len(rows)), 255)
    picture.putdata([0 if dark else 255 for row in rows for dark in row + [False] * (picture.width - len(row))])
    assert zxingcpp.read_barcode(picture.resize((picture.width * 6, picture.height * 6), 0)).text == text


def by_blocks(drawn):
    """Parse a code drawn in blocks: each line holds two rows, and a block is light."""
    rows = []
    for line in drawn.splitlines():
        rows.append([sign in " ▄" for sign in line])
        rows.append([sign in " ▀" for sign in line])
    return [row for row in rows if row]


def by_colour(drawn):
    """Parse a code drawn in colour: each line holds one row, each square is two blanks, reverse or white is light."""
    rows = []
    for line in drawn.splitlines():
        row, light = [], False
        for part in line.split("\x1b[")[1:]:
            code, _, blanks = part.partition("m")
            light = code in {"7", "47", "107"}
            row += [not light] * (len(blanks) // 2)
        rows.append(row)
    return [row for row in rows if row]


def test_a_stream_of_another_type_is_not_changed(monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    streams.prepare()
    streams.finish()
    assert not streams.is_unicode()
    assert qr.BLOCKS
