"""An office moves to another host name. Gates connect by either name until each has moved, and trust it as before."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography import x509

from gated.cli import main
from gated.cli.office.office import office as group
from gated.config import load_own
from gated.errors import OfficeError
from gated.office.mosquitto import Place, write_broker
from gated.office.office_creation import change_host, forget_host
from gated.sync.pairing import Pairing

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import GATE, SITE, Office, new_office

NOW = datetime.now(UTC)
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin")


@pytest.fixture
def folder(tmp_path):
    new_office(tmp_path / "office")
    return tmp_path / "office"


def names(folder):
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    there = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in there]


def test_the_certificate_names_the_new_host_and_the_former_ones(folder):
    authority = (folder / "ca.pem").read_bytes()
    change_host(folder, "office.lan", NOW)
    place = change_host(folder, "courtyard.example.org", NOW)
    assert (place.host, place.former) == ("courtyard.example.org", ("office.lan", "localhost"))
    assert names(folder) == ["courtyard.example.org", "office.lan", "localhost", "127.0.0.1"]
    assert Place.load(folder) == place
    assert (folder / "ca.pem").read_bytes() == authority, "gates trust it as before"
    assert "listener" in (folder / "mosquitto.conf").read_text()
    assert "127.0.0.1" not in (folder / "mosquitto.conf").read_text(), "others than this machine come now"


def test_a_forgotten_former_host_is_not_in_the_certificate(folder):
    change_host(folder, "office.lan", NOW)
    change_host(folder, "courtyard.example.org", NOW)
    assert forget_host(folder, "office.lan", NOW).former == ("localhost",)
    assert "office.lan" not in names(folder)
    with pytest.raises(OfficeError, match="is not a former host"):
        forget_host(folder, "office.lan", NOW)


def test_moving_back_to_a_former_host_is_an_ordinary_move(folder):
    change_host(folder, "office.lan", NOW)
    place = change_host(folder, "localhost", NOW)
    assert (place.host, place.former) == ("localhost", ("office.lan",))


@pytest.mark.parametrize("host", ["", "Office.lan", "a b", "a/b", "x" * 300])
def test_an_invalid_host_changes_nothing(folder, host):
    before = (folder / "server.pem").read_bytes()
    with pytest.raises(OfficeError, match="is not a host"):
        change_host(folder, host, NOW)
    assert (folder / "server.pem").read_bytes() == before


def test_an_older_office_has_no_former_hosts(folder):
    (folder / "place.json").write_text('{"host": "office.lan", "port": 8883, "pairing_port": 8884}')
    assert Place.load(folder).hosts == ("office.lan", "localhost", "127.0.0.1")


def command(folder, *words):
    return CliRunner().invoke(group, ["--dir", str(folder), "host", *words])


@pytest.fixture
def paired(tmp_path, gate):
    """Yield an office and a gate that has joined it."""
    with closing(Office(tmp_path / "office").open()) as office:
        gate.write(site={"id": SITE}, gate={"id": GATE})
        code = office.invite().text()
        done = CliRunner().invoke(main, ["--config", str(gate.config), "pair", code])
        assert done.exit_code == 0, done.output
        gate.write(sync=tomllib.loads(done.stdout)["sync"])
        yield office, gate


def test_the_command_names_the_step_at_each_gate(paired):
    office, _ = paired
    done = command(office.folder, "Office.lan")
    assert done.exit_code == 0, done.output
    port = office.registrar.place.port
    assert f"at {GATE}: sudo gated pair --moved office.lan:{port}" in done.output
    assert "gated office host --forget localhost" in done.output
    assert "use the new certificate from their next start" in done.output
    shown = command(office.folder)
    assert "host: office.lan" in shown.output
    assert "former hosts, still valid until you forget them: localhost" in shown.output


@contextlib.contextmanager
def broker(folder):
    conf = folder / "mosquitto.conf"
    process = subprocess.Popen([MOSQUITTO, "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        port, end = Place.load(folder).port, time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def moved(gate, where):
    return CliRunner().invoke(main, ["--config", str(gate.config), "pair", "--moved", where])


def test_a_gate_moves_only_after_it_has_verified_the_office_at_the_address(paired):
    office, gate = paired
    gate.config.write_text(gate.config.read_text() + "\n# mine\n")
    port = office.registrar.place.port
    url = load_own(gate.config).sync.url
    write_broker(office.folder, Place("everywhere", port, office.registrar.place.pairing_port))
    with broker(office.folder):
        done = moved(gate, f"127.0.0.2:{port}")
        assert done.exit_code == 1, "this is the office, and nobody has certified it for that name"
        assert "gated office host 127.0.0.2" in done.output
        assert load_own(gate.config).sync.url == url
    assert command(office.folder, "127.0.0.2").exit_code == 0
    with broker(office.folder):
        assert moved(gate, f"127.0.0.2:{port}").exit_code == 0
        assert moved(gate, f"localhost:{port}").exit_code == 0, "and by the one of before"
        done = moved(gate, f"127.0.0.2:{port}")
    assert "systemctl restart gated" in done.output
    assert load_own(gate.config).sync.url == f"mqtts://127.0.0.2:{port}"
    assert Pairing.find(gate.state).url == f"mqtts://127.0.0.2:{port}"
    assert gate.config.read_text().endswith("# mine\n")


def test_a_gate_does_not_move_to_another_office(paired, tmp_path):
    office, gate = paired
    place = office.registrar.place
    other = tmp_path / "other"
    from gated.office.office_creation import create_office

    create_office(other, SITE, place, NOW)
    before = gate.config.read_text()
    with broker(other):
        done = moved(gate, f"localhost:{place.port}")
    assert done.exit_code == 1
    assert "is not certified as this office" in done.output
    assert gate.config.read_text() == before


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("localhost:1", "does not answer"),
        ("", "is not such an address"),
        ("http://x", "write HOST or HOST:PORT"),
        ("x:99999", "is not an address"),
    ],
)
def test_an_invalid_or_silent_address_changes_nothing(paired, where, says):
    _, gate = paired
    before = gate.config.read_text()
    done = moved(gate, where)
    assert done.exit_code in (1, 2)
    assert says in done.output
    assert gate.config.read_text() == before


def test_a_gate_without_an_office_gets_the_command_to_join_one(gate):
    done = moved(gate, "localhost:1")
    assert "`gated pair CODE`" in done.output


def test_an_older_office_reads_the_place_file_of_a_newer_one(folder):
    change_host(folder, "office.lan", NOW)
    kinds = [("host", str), ("port", int), ("pairing_port", int)]
    before = msgspec.defstruct("Place", kinds, frozen=True)
    assert msgspec.json.decode((folder / "place.json").read_bytes(), type=before).host == "office.lan"
