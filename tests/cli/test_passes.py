"""Tests `gated pass`: signed at a desk, shown, and read by its gate."""

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zxingcpp
from click.testing import CliRunner
from PIL import Image

from gated.access.pass_keys import pass_key_pem, read_pass_key
from gated.access.passes import VisitorPass, read_pass
from gated.cli import main
from gated.config import load_own
from gated.errors import ConfigError
from gated.office.store import Store
from gated.protocol.jose import Identity

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import SITE, new_office


@pytest.fixture
def keys(tmp_path):
    """Return a key pair made by openssl, for a site that gets its keys there."""
    secret, public = tmp_path / "site.key", tmp_path / "site.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True, capture_output=True)
    return secret, public


def gated(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def issue(keys, *words, until="2099-12-31 18:00"):
    return gated("pass", "issue", "--key", keys[0], "--site", "s", "--gate", "g", "--until", until, *words)


def test_a_pass_made_at_the_desk_opens_its_gate(keys):
    done = issue(keys, "--uses", 3, "--door", "second")
    assert done.exit_code == 0
    read = read_pass(done.output.strip(), read_pass_key(keys[1]), "s", "g", "second", at=datetime.now(UTC))
    assert isinstance(read, VisitorPass)
    assert read.uses == 3


def test_times_are_in_the_zone_of_the_site(keys):
    text = issue(keys, "--from", "2098-05-01 09:00").output.strip()
    shown = json.loads(gated("pass", "show", text, "--key", keys[1], "--json").output)
    assert shown["from"] == "2098-05-01T09:00:00+08:00"
    assert shown["until"] == "2099-12-31T18:00:00+08:00"
    assert (shown["now"], shown["uses"], shown["door"]) == ("not_yet", 1, "main")


def test_the_picture_contains_the_pass(keys, tmp_path):
    done = issue(keys, "--png", tmp_path / "pass.png")
    assert zxingcpp.read_barcode(Image.open(tmp_path / "pass.png")).text == done.output.strip()


def test_a_pipe_gets_only_the_text(keys):
    output = issue(keys).output
    assert output.startswith("G1.")
    assert len(output.splitlines()) == 1


def test_site_gate_and_key_come_from_the_settings(gate, keys):
    gate.write(readers={"pass_key": str(keys[1])})
    text = gate.run("pass", "issue", "--key", keys[0], "--until", "2099-12-31", check=0).stdout.strip()
    shown = gate.json("pass", "show", text, check=0)
    assert (shown["site"], shown["gate"], shown["now"]) == ("courtyard-2", "front", "good")


def test_a_pass_is_shown_in_readable_form_too(keys):
    shown = gated("pass", "show", issue(keys).output.strip(), "--key", keys[1])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == [
        "pass", "site", "gate", "door", "from", "until", "uses", "now",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "hello", "G1.AAAA"])
def test_a_pass_not_signed_by_the_site_is_reported(keys, text):
    shown = gated("pass", "show", text, "--key", keys[1])
    assert shown.exit_code == 1
    assert "not a pass of this site" in shown.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--until", "2001-01-01"], "end before it begins"),
        (["--uses", 0], "0 is not a valid number of uses"),
        (["--key", "nowhere.pem"], "nowhere.pem cannot be read"),
        (["--png", "nowhere/pass.png"], "cannot be written"),
    ],
)
def test_an_unsignable_pass_gives_one_clear_line(keys, words, says):
    done = issue(keys, *words)
    assert done.exit_code in (2, 3)
    assert says in done.output
    assert "Traceback" not in done.output


def test_without_settings_site_and_gate_must_be_named(keys, gate):
    gate.config.unlink()
    done = gate.run("pass", "issue", "--key", keys[0], "--until", "2099-12-31")
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("gated: ")


def test_without_the_sites_key_no_pass_is_shown(keys, gate):
    done = gate.run("pass", "show", "G1.AAAA")
    assert done.returncode == 2
    assert "readers.pass_key" in done.stderr


def test_on_a_terminal_the_code_is_drawn_too(keys, tmp_path):
    """`script` gives a command its own terminal."""
    words = f"-m gated pass issue --key {keys[0]} --site s --gate g --until 2099-12-31"
    done = subprocess.run(
        ["script", "-qec", f"{sys.executable} {words}", "/dev/null"], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) > 20
    assert done.stdout.strip().splitlines()[-1].startswith("G1.")


# -- without openssl --------------------------------------------------------------------------------------------------


def test_a_key_is_created_once_and_only_its_owner_can_read_it(tmp_path):
    first = gated("pass", "key", tmp_path / "site.key")
    assert first.exit_code == 0, first.output
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert gated("pass", "key", tmp_path / "site.key").output == first.output


def test_a_key_made_by_openssl_is_shown_too(keys):
    text = gated("pass", "key", keys[0]).output.strip()
    assert pass_key_pem(text) == keys[1].read_bytes()


@pytest.mark.parametrize("spell", [str.lower, lambda text: text.replace("-", " "), lambda text: text.replace("-", "")])
def test_a_public_key_is_accepted_as_it_is_printed(keys, spell):
    text = gated("pass", "key", keys[0]).output.strip()
    assert pass_key_pem(spell(text)) == keys[1].read_bytes()


def test_every_wrong_letter_of_a_public_key_is_found(keys):
    text = gated("pass", "key", keys[0]).output.strip()
    for place in range(4, len(text)):
        for letter in "ACIQY" if text[place] != "-" else "":
            if letter != text[place]:
                with pytest.raises(ConfigError, match="a letter or more is wrong"):
                    pass_key_pem(text[:place] + letter + text[place + 1 :])


@pytest.mark.parametrize("text", ["", "GK1-", "x" * 500, "G1.ABC", "\u5bc6"])
def test_an_invalid_public_key_is_reported(text):
    with pytest.raises(ConfigError, match="a letter or more is wrong"):
        pass_key_pem(text)


@pytest.fixture
def office(tmp_path):
    folder = tmp_path / "office"
    new_office(folder)
    with closing(Store.open(folder)) as store:
        store.add_gate("gate-2", Identity.make().party.dump(), "1")
    return folder


def test_the_office_sends_the_pass_key_to_the_gate_without_a_manual_copy(office, gate):
    """The whole path: the gate trusts the office's key and accepts a pass."""
    gate.state.mkdir(mode=0o700)
    gate.write(site={"id": SITE}, gate={"id": "gate-2"})
    shown = gated("office", "--dir", office, "pass", "key")
    text = shown.stdout.strip()
    assert f"At gate-2: sudo gated pass trust {text}" in shown.stderr
    done = gated("--config", gate.config, "pass", "trust", text)
    assert done.exit_code == 0, done.output
    settings = load_own(gate.config)
    assert settings.readers.pass_key == str(gate.state / "pass.pub")
    signed = gated("office", "--dir", office, "pass", "issue", "Gate-2", "--until", "2099-12-31", "--uses", 2).output
    read = read_pass(
        signed.strip(), read_pass_key(gate.state / "pass.pub"), SITE, "gate-2", "main", at=datetime.now(UTC)
    )
    assert isinstance(read, VisitorPass)
    assert datetime.fromtimestamp(read.not_after, UTC).isoformat() == "2099-12-31T16:00:00+00:00", "the day is whole"
    assert json.loads(gated("--config", gate.config, "pass", "show", signed.strip(), "--json").output)["now"] == "good"


def test_an_unknown_gate_gets_no_pass(office):
    done = gated("office", "--dir", office, "pass", "issue", "gate-9", "--until", "2099-12-31")
    assert done.exit_code == 1
    assert "gate-9" in done.output


def test_a_different_key_is_accepted_only_on_request(keys, office, gate):
    gate.state.mkdir(mode=0o700)
    first, second = gated("pass", "key", keys[0]).output.strip(), gated("office", "--dir", office, "pass", "key").stdout
    assert gated("--config", gate.config, "pass", "trust", first).exit_code == 0
    assert gated("--config", gate.config, "pass", "trust", first).exit_code == 0
    refused = gated("--config", gate.config, "pass", "trust", second.strip())
    assert refused.exit_code == 2
    assert "add --replace" in refused.output
    assert (gate.state / "pass.pub").read_bytes() == keys[1].read_bytes()
    assert gated("--config", gate.config, "pass", "trust", "--replace", second.strip()).exit_code == 0
    assert (gate.state / "pass.pub").read_bytes() == pass_key_pem(second)


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("2099-12-31", "2100-01-01T00:00:00+08:00"),  # the last day counts in full
        ("2099-12-31 24:00", "2100-01-01T00:00:00+08:00"),
        ("2099-12-31 18:00", "2099-12-31T18:00:00+08:00"),
        ("2099-12-31T18:00", "2099-12-31T18:00:00+08:00"),
    ],
)
def test_a_pass_until_a_day_ends_with_that_day_at_the_site(keys, until, ends):
    text = issue(keys, "--from", "2098-05-01", until=until).output.strip()
    shown = json.loads(gated("pass", "show", text, "--key", keys[1], "--json").output)
    assert (shown["from"], shown["until"]) == ("2098-05-01T00:00:00+08:00", ends)
    assert "Asia/Shanghai" in gated("pass", "show", text, "--key", keys[1]).output


@pytest.mark.parametrize(
    "wrong", ["tomorrow", "2099-13-01", "2099-12-31 25:00", "2099-12-31 24:01", "2099-12-31T18:00Z"]
)
def test_an_invalid_time_of_a_pass_is_named(keys, wrong):
    done = issue(keys, until=wrong)
    assert done.exit_code == 2
    assert wrong in done.output


@pytest.mark.parametrize("option", ["--site", "--gate"])
def test_site_and_gate_are_recognised_in_every_spelling(keys, option):
    text = issue(keys, option, "Ｍain–１").output.strip()
    assert json.loads(gated("pass", "show", text, "--key", keys[1], "--json").output)[option[2:]] == "main-1"
