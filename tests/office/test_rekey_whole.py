"""An office gets new keys while its gate is on duty. The gate, Mosquitto and the office are real processes."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.protocol.recovery_key import RecoveryKey
from gated.simulator.network import find_mosquitto, free_port, join

pytestmark = pytest.mark.slow

SITE, GATE = "market-south", "gate-2"


class Site:
    def __init__(self, folder, gate):
        self.folder, self.gate, self.processes, self.key = folder / "office", gate, [], RecoveryKey.make()
        create_office(
            self.folder, SITE, Place("localhost", free_port(), free_port()), datetime.now(UTC), recovery=self.key
        )
        sync = {
            **join(self.folder, gate.state, GATE).settings(),
            "ack_timeout_s": 1.0,
            "backoff_max_s": 0.5,
            "status_s": 5.0,
        }
        gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync)

    def start(self):
        log = (self.folder.parent / "office.log").open("ab")
        for command in ((find_mosquitto(), "-c", self.folder / "mosquitto.conf"), self._office("serve")):
            self.processes.append(subprocess.Popen([*map(str, command)], stdout=log, stderr=log))

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []

    def office(self, *words):
        return subprocess.run(self._office(*words), capture_output=True, text=True, check=False)

    def _office(self, *words):
        return [sys.executable, "-m", "gated", "office", "--dir", str(self.folder), *words]

    def takes(self, folder, name):
        """Return whether the broker accepts a client with these files."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        try:
            with (
                socket.create_connection(("localhost", Place.load(self.folder).port), 10) as line,
                context.wrap_socket(line, server_hostname="localhost") as safe,
            ):
                safe.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x")
                return safe.recv(4)[3:] == b"\x00"
        except OSError:
            return False

    def seen_at(self):
        (row,) = json.loads(self.office("gates", "--json").stdout)
        return row["seen_at"] if row["state"] == "online" else None


@pytest.fixture
def site(whole_gate, tmp_path):
    site = Site(tmp_path, whole_gate)
    yield site
    site.stop()


def test_a_running_gate_follows_a_hand_over_by_itself(site, wait_for, tmp_path):
    gate, file = site.gate, tmp_path / "recovery.txt"
    file.write_text(site.key.text())
    site.start()
    gate.start("run")
    wait_for(site.seen_at)
    assert "stop it first" in site.office("rekey", "--recovery", str(file)).stderr

    site.stop()
    before, stolen = site.seen_at(), shutil.copytree(site.folder, tmp_path / "stolen")
    assert "has new keys (hand-over " in site.office("rekey", "--recovery", str(file)).stdout
    site.start()
    wait_for(lambda: (site.seen_at() or before) > before, timeout_s=60)
    assert "accepted a hand-over signed with the recovery key" in gate.log()
    assert (gate.state / "pairing" / "ca.pem").read_bytes() == (site.folder / "ca.pem").read_bytes()
    assert json.loads(site.office("alarms", "--json").stdout) == []
    for name in ("office", "server"):
        assert not site.takes(stolen, name), "nobody comes in with what lay in the folder before"
    assert site.takes(site.folder, "office")
