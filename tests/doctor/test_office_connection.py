"""The doctor's checks of keys and network, with a real server behind a real Mosquitto.

Each fault comes with its next step. The doctor only makes a handshake with the broker.
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from gated.config import SyncSettings, parse
from gated.doctor import office_connection as looking
from gated.doctor.keys import keys, of_end
from gated.doctor.office_connection import network, resolved, routes
from gated.gallery.register import Register
from gated.simulator.network import Network, find_mosquitto, free_port

NOW = datetime.now(UTC)
SITE, GATE = "market-south", "gate-2"


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    with closing(Network(folder, SITE, GATE, find_mosquitto())) as outside:
        outside.restore()
        yield outside


@pytest.fixture
def settings(outside, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = parse({"state_dir": str(state), "site": {"id": SITE}, "gate": {"id": GATE}}, tmp_path)
    return msgspec.structs.replace(made, sync=SyncSettings(**outside.settings()))


def with_sync(settings, **changes):
    return msgspec.structs.replace(settings, sync=msgspec.structs.replace(settings.sync, **changes))


def lights(findings):
    findings = list(findings)
    assert all(finding.next_step for finding in findings if finding.light != "green")
    return {finding.part: finding.light for finding in findings}


def test_a_well_paired_gate_has_green_keys_and_connection(settings):
    with closing(Register.open(settings.state, SITE)):
        pass
    found = lights(keys(settings, NOW))
    assert found == dict.fromkeys(("site key", "link keys", "gate certificate", "office authority"), "green")
    way = lights(network(settings, NOW))
    assert way["broker"] == way["broker certificate"] == "green"


def test_before_the_first_start_a_missing_site_key_is_no_fault(settings):
    assert lights(keys(settings, NOW))["site key"] == "amber"


def test_a_lost_site_key_is_red(settings):
    with closing(Register.open(settings.state, SITE)):
        pass
    (settings.state / "keys/site.key").unlink()
    assert lights(keys(settings, NOW))["site key"] == "red"


def test_a_key_that_others_may_read_is_red(settings, tmp_path):
    loose = tmp_path / "gate.key"
    loose.write_bytes(Path(settings.sync.key).read_bytes())
    loose.chmod(0o644)
    found = {f.part: f for f in keys(with_sync(settings, key=str(loose)), NOW)}
    assert found["link keys"].light == "red"
    assert "other users can read" in found["link keys"].result


@pytest.mark.parametrize("name", ["key", "gate_keys", "office_keys"])
def test_a_missing_key_is_red(settings, name):
    assert lights(keys(with_sync(settings, **{name: "/nowhere/key"}), NOW))["link keys"] == "red"


def test_a_certificate_of_another_gate_is_red_and_names_that_gate(settings):
    gate = msgspec.structs.replace(settings.gate, id="gate-9")
    found = {f.part: f for f in keys(msgspec.structs.replace(settings, gate=gate), NOW)}
    assert found["gate certificate"].light == "red"
    assert "gate-2" in found["gate certificate"].result


def test_an_invalid_certificate_is_red(settings, tmp_path):
    (tmp_path / "x.pem").write_text("x")
    assert lights(keys(with_sync(settings, cert=str(tmp_path / "x.pem")), NOW))["gate certificate"] == "red"


@pytest.mark.parametrize(("days", "light"), [(365, "green"), (40, "amber"), (5, "red"), (-1, "red")])
def test_the_end_of_a_certificate_is_reported_in_time(days, light):
    assert of_end("x", NOW + timedelta(days=days, hours=1), NOW, "renew it").light == light


def test_a_gate_without_an_office_gets_the_command_to_join_one(settings):
    alone = with_sync(settings, url="")
    assert lights(network(alone, NOW))["office"] == "amber"
    assert set(lights(keys(alone, NOW))) == {"site key"}


def test_an_unreachable_broker_is_amber_because_the_gate_works_without_it(settings):
    found = lights(network(with_sync(settings, url=f"mqtts://localhost:{free_port()}"), NOW))
    assert found["broker"] == "amber"


def test_an_unresolvable_name_is_amber(settings, monkeypatch):
    monkeypatch.setattr(looking, "resolved", lambda host, port: None)
    assert lights(network(with_sync(settings, url="mqtts://no-such-office.invalid"), NOW))["broker"] == "amber"


def test_a_broker_of_another_authority_is_red(settings, tmp_path):
    import trustme

    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    found = {f.part: f for f in network(with_sync(settings, ca=str(tmp_path / "other.pem")), NOW)}
    assert found["broker"].light == "red"
    assert "do not trust each other" in found["broker"].result


def test_the_default_route_is_read_from_the_kernels_table(tmp_path):
    (tmp_path / "proc/net").mkdir(parents=True)
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    rows = "eth0 00000000 0102A8C0 0003 0 0 100 00000000 0 0 0\nwlan0 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
    (tmp_path / "proc/net/route").write_text(head + rows)
    assert routes(tmp_path) == {"eth0"}
    assert routes(tmp_path / "nowhere") == set()


def test_a_host_name_is_resolved_and_an_invalid_one_is_not():
    assert resolved("localhost", 1) in {"127.0.0.1", "::1"}
    assert resolved("a" * 70 + ".invalid", 1) is None
