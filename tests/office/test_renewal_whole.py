"""A complete site with certificates that end soon. The gate, Mosquitto and the office are real processes."""

import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509

from gated.office.authority import SERVER_LIFETIME
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.protocol.certificate import end_of
from gated.protocol.certificate_lifetime import gate_end
from gated.protocol.recovery_key import RecoveryKey
from gated.protocol.sealed_files import Lock, is_sealed
from gated.simulator.network import find_mosquitto, free_port, join
from gated.sitetime import DEFAULT

pytestmark = pytest.mark.slow

SITE, GATE = "market-south", "gate-2"
DAYS_LEFT = 40
NOW = datetime.now(UTC)


class Site:
    """A site founded nearly ten years ago, with a gate paired nearly two years ago."""

    def __init__(self, folder, gate):
        self.folder, self.gate, self.processes = folder / "office", gate, []
        self.place = Place("localhost", free_port(), free_port())
        soon = timedelta(days=DAYS_LEFT, hours=1)
        create_office(self.folder, SITE, self.place, NOW - SERVER_LIFETIME + soon, recovery=RecoveryKey.make())
        paired_at = NOW - (gate_end(GATE, NOW, ()) - NOW) + soon
        self.metrics = free_port()
        sync = join(self.folder, gate.state, GATE, paired_at).settings()
        sync |= {"ack_timeout_s": 1.0, "backoff_max_s": 0.5, "status_s": 2.0}
        gate.write(
            site={"id": SITE},
            gate={"id": GATE},
            models={"dir": "nowhere"},
            sync=sync,
            health={"metrics_port": self.metrics},
        )
        self.sync = sync
        self.day = f"{NOW + soon:%Y-%m-%d}"

    def start(self, *command):
        log = (self.folder.parent / "office.log").open("ab")
        self.processes.append(subprocess.Popen([*map(str, command)], stdout=log, stderr=log))
        return self.processes[-1]

    def broker(self):
        return self.start(find_mosquitto(), "-c", self.folder / "mosquitto.conf")

    def serve(self):
        return self.start(*self._office("serve"))

    def office(self, *words):
        return subprocess.run(self._office(*words), capture_output=True, text=True, check=False).stdout

    def _office(self, *words):
        return [sys.executable, "-m", "gated", "office", "--dir", str(self.folder), *words]

    def public_key(self):
        """Return the public key of the gate's certificate."""
        return Lock.of(self.gate.state).key(Path(self.sync["key"])).public_key()

    def ends(self, key):
        """Return the end of the certificate in one of the gate's files."""
        return end_of(Path(self.sync[key]))

    def shown(self):
        """Return the end of the certificate the broker presents, or None without a connection."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        with (
            suppress(OSError),
            socket.create_connection(("localhost", self.place.port), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True)).not_valid_after_utc
        return None

    def days_left(self):
        """Return the remaining days the gate's metrics report, by certificate."""
        said = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics").read().decode()
        rows = [line for line in said.splitlines() if line.startswith("gated_certificate_days{")]
        return {row.split('"')[1]: float(row.rsplit(" ", 1)[1]) for row in rows}

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def site(whole_gate, tmp_path):
    site = Site(tmp_path, whole_gate)
    yield site
    site.close()


def test_certificates_cause_warnings_without_an_office_and_renew_with_one(site, wait_for):
    gate, key = site.gate, site.public_key()
    site.broker()
    wait_for(site.shown)
    gate.start("run")
    _all_is_warned_of(site, wait_for)

    site.serve()
    wait_for(lambda: site.ends("cert") > NOW + timedelta(days=600))
    wait_for(lambda: gate.json("status")["lost"] == ["vision"])
    assert site.public_key() == key
    assert is_sealed(Path(site.sync["key"]))
    assert gate.log().count("was not renewed by itself") == 2  # once alone, once with the broker's
    assert "the gate's certificate was renewed: it ends on" in gate.log()
    assert f"this gate's certificate ends on {site.ends('cert'):%Y-%m-%d}" in gate.run("status").stdout
    assert "good  certificates" in gate.run("check").stdout.splitlines()

    assert site.shown() > NOW + timedelta(days=3000)
    left = site.days_left()
    assert left["gate"] > 600
    assert left["broker"] > 3000  # the link reconnected and read the new certificate

    there = site.ends("cert").astimezone(ZoneInfo(DEFAULT))
    wait_for(lambda: f"{there:%Y-%m-%d}" in site.office("gates"), timeout_s=60)
    (row,) = json.loads(site.office("gates", "--json"))
    assert datetime.fromisoformat(row["certificate_ends"]) == site.ends("cert")
    wait_for(lambda: json.loads(site.office("alarms", "--json")) == [], timeout_s=30)
    output = json.loads(site.office("alarms", "--all", "--json"))
    assert {(each["gate"], each["kind"]) for each in output} <= {(GATE, "certificate_ends")}
    assert row["state"] == "online"


def _all_is_warned_of(site, wait_for):
    """Assert the warning in the log, the journal, the status, the check and the metrics."""
    gate = site.gate
    wait_for(lambda: "the broker's certificate ends on" in gate.log())
    wait_for(lambda: "certificate" in gate.json("status")["lost"])
    said = gate.log()
    assert f"the gate's certificate ends on {site.day}, in {DAYS_LEFT} days" in said
    assert "see `gated doctor`" in said
    assert "certificate" in gate.events("degraded")[-1]["lost"]
    status = gate.run("status").stdout
    assert f"this gate's certificate ends on {site.day}, in {DAYS_LEFT} days" in status
    assert "certificate" in next(line for line in status.splitlines() if line.startswith("lost"))
    (note,) = [line for line in gate.run("check").stdout.splitlines() if "certificates" in line and "note" in line]
    assert f"this gate's ends on {site.day}, in {DAYS_LEFT} days, and was not renewed automatically" in note
    left = site.days_left()
    assert DAYS_LEFT <= left["gate"] < DAYS_LEFT + 1
    assert DAYS_LEFT <= left["broker"] < DAYS_LEFT + 1
    assert left["authority"] > 3000
    assert site.ends("cert") < NOW + timedelta(days=DAYS_LEFT + 1)
