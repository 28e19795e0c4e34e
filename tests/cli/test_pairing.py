"""Tests `gated office init`, `gated office invite` and `gated pair`: an office begins, and a gate joins it."""

import re
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli.office.init import init
from gated.cli.office.invite import invite
from gated.config import load
from gated.errors import OfficeError
from gated.office.mosquitto import Place
from gated.office.store import Store
from gated.protocol.broker import tls_context
from gated.protocol.pairing_code import PairingCode
from gated.protocol.sealed_files import Lock, seal_folders
from gated.protocol.vouching import fingerprint

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import GATE, SITE, Office


@pytest.fixture
def office(tmp_path):
    with closing(Office(tmp_path / "office").open()) as office:
        yield office


@pytest.fixture
def gate(gate):
    gate.write(site={"id": SITE}, gate={"id": GATE})
    return gate


@pytest.fixture
def join(gate):
    """Return a function that runs `gated pair` in this process."""

    def join(*arguments, check=0, **more):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "pair", *map(str, arguments)], **more)
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done

    return join


def code_of(office):
    """Return the code that the office's screen shows."""
    done = CliRunner().invoke(invite, [GATE], obj=office.folder)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_one_command_creates_an_office_and_prints_the_next_step(tmp_path):
    folder = tmp_path / "office"
    arguments = ["--site", SITE, "--host", "Office.lan", "--port", "18883", "--pairing-port", "18884"]
    done = CliRunner().invoke(init, arguments, obj=folder)
    assert done.exit_code == 0, done.output
    assert f"mosquitto -c {folder / 'mosquitto.conf'}" in done.stdout
    assert "serve" in done.stdout
    assert "invite" in done.stdout
    assert Place.load(folder) == Place("office.lan", 18883, 18884)
    with closing(Store.open(folder)) as store:
        assert (store.site, store.gates()) == (SITE, [])


def test_an_office_is_not_created_twice(tmp_path):
    arguments = ["--site", SITE, "--host", "office.lan"]
    assert CliRunner().invoke(init, arguments, obj=tmp_path / "office").exit_code == 0
    again = CliRunner().invoke(init, arguments, obj=tmp_path / "office")
    assert isinstance(again.exception, OfficeError)
    assert "not empty" in str(again.exception)


def test_a_pipe_gets_the_code_as_one_line(office):
    text = code_of(office)
    assert len(text.splitlines()) == 1
    code = PairingCode.parse(text)
    assert (code.host, code.port, code.gate) == ("localhost", office.registrar.place.pairing_port, GATE)


@pytest.mark.parametrize("name", ["gate.1", "a b", "门", "a/b", "x" * 64])
def test_an_invalid_gate_name_is_not_invited(office, name):
    done = CliRunner().invoke(invite, [name], obj=office.folder)
    assert isinstance(done.exception, OfficeError)
    assert "cannot be the name of a gate" in str(done.exception)


def test_without_an_office_no_gate_is_invited(tmp_path):
    done = CliRunner().invoke(invite, [GATE], obj=tmp_path)
    assert isinstance(done.exception, OfficeError)


def test_a_gate_joins_with_one_command_and_prints_its_settings(office, gate, join):
    table = tomllib.loads(join(code_of(office)).stdout)["sync"]
    gate.write(sync=table)
    settings = load(gate.config)
    tls_context(settings.sync, Lock.of(gate.state))
    assert settings.sync.ca == str(gate.state / "pairing" / "ca.pem")
    assert office.store.gate(GATE).gate == GATE


def test_pairing_again_without_the_site_key_reports_the_changed_keys(office, gate, join, tmp_path, monkeypatch):
    """The site key is a systemd credential. A command at a terminal does not have it."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "site-key").write_bytes(bytes(32))
    join(code_of(office))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert seal_folders(gate.state, Lock.of(gate.state))
    assert "other keys" not in join(code_of(office)).output, "they are the same"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    printed = join(code_of(office))
    party = Lock.of(gate.state).identity(gate.state / "pairing" / "gate.keys").party
    assert fingerprint(SITE, GATE, party) in printed.stderr
    assert "gated gates accept" in printed.stderr
    assert tomllib.loads(printed.stdout)["sync"]["url"]
    assert "other keys" not in join(code_of(office)).output


def test_a_code_may_be_typed_in_groups_or_at_a_prompt(office, gate, join):
    where, symbols = code_of(office).rsplit("/", 1)
    assert "has joined its office" in join(f"{where}/", *symbols.lower().split("-")).stderr
    assert "has joined its office" in join(input=code_of(office) + "\n").stderr


def test_the_settings_are_written_into_the_settings_file_on_request(office, gate, join):
    code, before = code_of(office), gate.config.read_text()
    join(code, "--write-to", gate.config)
    assert gate.config.read_text().startswith(before)
    assert load(gate.config).sync.url == office.registrar.place.url
    written = gate.config.read_text()
    assert "already" in join(code, "--write-to", gate.config).stderr
    assert gate.config.read_text() == written
    join(code_of(office), "--write-to", gate.config)
    assert gate.config.read_text() == written


def test_the_table_replaces_the_commented_example(office, gate, join):
    example = gate.run("config", "new", check=0).stdout
    own = {"site": f'id = "{SITE}"', "gate": f'id = "{GATE}"', "door": 'pins = "mock"'}
    for table, line in own.items():
        example = re.sub(rf"(?m)^\[{table}\]\n(id = .*\n)?", f"[{table}]\n{line}\n", example)
    example = f'state_dir = "{gate.state}"\n{example}'
    gate.config.write_text(example)
    gate.config.chmod(0o640)
    join(code_of(office), "--write-to", gate.config)
    assert load(gate.config).sync.url == office.registrar.place.url
    own = re.compile(r'# (url|ca|cert|key|gate_keys|office_keys) = ""(.*)')
    for before, after in zip(example.splitlines(), gate.config.read_text().splitlines(), strict=True):
        commented = own.match(before)
        assert after == before or (commented and after.startswith(f"{commented[1]} = ") and commented[2] in after)
    assert gate.config.stat().st_mode & 0o777 == 0o640


def test_an_unusual_empty_table_is_reported_and_nothing_is_lost(office, gate, join):
    before = gate.config.read_text() + "\n[ 'sync' ] # mine\n"
    gate.config.write_text(before)
    join(code_of(office), "--write-to", gate.config)
    assert gate.config.read_text().startswith(before)
    assert load(gate.config).sync.url == office.registrar.place.url


def test_different_settings_of_a_link_are_not_changed(office, gate, join):
    gate.write(sync={"protocol": "3.1.1"})
    before = gate.config.read_text()
    done = join(code_of(office), "--write-to", gate.config, check=2)
    assert "has another [sync]" in done.stderr
    assert "office_keys" in done.stdout
    assert gate.config.read_text() == before


def test_an_unwritable_file_is_reported_and_nothing_is_lost(office, gate, join, tmp_path):
    done = join(code_of(office), "--write-to", tmp_path / "nowhere" / "gated.toml", check=2)
    assert "add the table above yourself" in done.stderr
    assert tomllib.loads(done.stdout)["sync"]["url"] == office.registrar.place.url


def test_a_code_for_another_gate_is_not_tried(office, gate, join):
    code = code_of(office)
    gate.write(gate={"id": "front"})
    assert f"this code is for {GATE}, and this gate is front" in join(code, check=1).stderr
    gate.write(gate={"id": GATE})
    join(code)


def test_a_typing_error_and_an_absent_office_are_reported(office, gate, join):
    code = code_of(office)
    assert "letter or more" in join(code[:-1] + ("0" if code[-1] != "0" else "2"), check=1).stderr
    office.shut()
    assert "nobody answers" in join(code, check=1).stderr
