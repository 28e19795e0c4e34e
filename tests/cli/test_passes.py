"""`gated pass`: signed at a desk, shown, and read by the gate it is for."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import zxingcpp
from click.testing import CliRunner
from PIL import Image

from gated.access.passes import VisitorPass, pass_key, read_pass
from gated.cli import main


@pytest.fixture
def keys(tmp_path):
    """As the help says to make them."""
    secret, public = tmp_path / "site.key", tmp_path / "site.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True, capture_output=True)
    return secret, public


def gated(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def issue(keys, *words, until="2099-12-31 18:00"):
    return gated("pass", "issue", "--key", keys[0], "--site", "s", "--gate", "g", "--until", until, *words)


def test_a_pass_from_the_desk_opens_the_gate_it_is_for(keys):
    done = issue(keys, "--uses", 3, "--door", "second")
    assert done.exit_code == 0
    read = read_pass(done.output.strip(), pass_key(keys[1]), "s", "g", "second", at=datetime.now(UTC))
    assert isinstance(read, VisitorPass)
    assert read.uses == 3


def test_times_are_the_sites_own(keys):
    text = issue(keys, "--from", "2098-05-01 09:00").output.strip()
    shown = json.loads(gated("pass", "show", text, "--key", keys[1], "--json").output)
    assert shown["from"] == "2098-05-01T09:00:00+08:00"
    assert shown["until"] == "2099-12-31T18:00:00+08:00"
    assert (shown["now"], shown["uses"], shown["door"]) == ("not_yet", 1, "main")


def test_the_picture_is_the_pass(keys, tmp_path):
    done = issue(keys, "--png", tmp_path / "pass.png")
    assert zxingcpp.read_barcode(Image.open(tmp_path / "pass.png")).text == done.output.strip()


def test_in_a_pipe_there_is_the_text_alone(keys):
    output = issue(keys).output
    assert output.startswith("G1.")
    assert len(output.splitlines()) == 1


def test_site_gate_and_key_come_from_the_settings(gate, keys):
    gate.write(readers={"pass_key": str(keys[1])})
    text = gate.run("pass", "issue", "--key", keys[0], "--until", "2099-12-31", check=0).stdout.strip()
    shown = gate.json("pass", "show", text, check=0)
    assert (shown["site"], shown["gate"], shown["now"]) == ("courtyard-2", "front", "good")


def test_a_pass_is_shown_for_people_too(keys):
    shown = gated("pass", "show", issue(keys).output.strip(), "--key", keys[1])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == [
        "pass", "site", "gate", "door", "from", "until", "uses", "now",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "hello", "G1.AAAA"])
def test_what_the_site_did_not_sign_is_said(keys, text):
    shown = gated("pass", "show", text, "--key", keys[1])
    assert shown.exit_code == 1
    assert "no pass of the site" in shown.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--until", "2001-01-01"], "end before it begins"),
        (["--uses", 0], "0 uses"),
        (["--key", "nowhere.pem"], "nowhere.pem cannot be read"),
        (["--png", "nowhere/pass.png"], "cannot be written"),
    ],
)
def test_what_cannot_be_signed_is_one_clear_line(keys, words, says):
    done = issue(keys, *words)
    assert done.exit_code in (2, 3)
    assert says in done.output
    assert "Traceback" not in done.output


def test_without_settings_the_place_must_be_named(keys, gate):
    gate.config.unlink()
    done = gate.run("pass", "issue", "--key", keys[0], "--until", "2099-12-31")
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("gated: ")


def test_without_the_sites_key_nothing_is_shown(keys, gate):
    done = gate.run("pass", "show", "G1.AAAA")
    assert done.returncode == 2
    assert "readers.pass_key" in done.stderr


def test_on_a_terminal_the_code_is_drawn_too(keys, tmp_path):
    """`script` gives a command a terminal of its own."""
    words = f"-m gated pass issue --key {keys[0]} --site s --gate g --until 2099-12-31"
    done = subprocess.run(
        ["script", "-qec", f"{sys.executable} {words}", "/dev/null"], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) > 20
    assert done.stdout.strip().splitlines()[-1].startswith("G1.")
