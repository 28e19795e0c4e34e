"""Fixtures that run three real MQTT brokers: Mosquitto, NATS and RabbitMQ, in Debian's versions.

Each broker listens on a free local port, demands client certificates, and limits each gate to its own topics. A broker
starts at its first use and keeps running, because RabbitMQ takes seconds to start. A test that kills a broker need not
restart it. Each test gets a `gate` whose topics no earlier test has used.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
import trustme

from gated.config import SyncSettings
from gated.office.mqtt_client import Client
from gated.protocol.topics import Topics
from gated.simulator.network import free_port

SITE, OFFICE = "market-south", "OFFICE"
SPARE_GATES = [f"gate-{number}" for number in range(1, 101)]
PATIENCE_S = 120.0
MAX_PACKET_BYTES = 110_000

MOSQUITTO = """
listener {port} 127.0.0.1
persistence false
user {user}
allow_anonymous false
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/acl
max_queued_messages 0
max_packet_size {packet}
"""

NATS = """
server_name: gated
listen: "127.0.0.1:-1"
max_payload: {packet}
jetstream {{ store_dir: "{folder}/jetstream", max_memory_store: 50MB, max_file_store: 200MB }}
mqtt {{
  listen: "127.0.0.1:{port}"
  tls {{ ca_file: "{folder}/ca.pem", cert_file: "{folder}/server.pem", key_file: "{folder}/server.key"
         verify_and_map: true }}
}}
authorization {{ users: {users} }}
"""

RABBITMQ = """
listeners.tcp = none
mqtt.listeners.tcp = none
mqtt.listeners.ssl.default = 127.0.0.1:{port}
mqtt.ssl_cert_login = true
ssl_cert_login_from = common_name
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
load_definitions = {folder}/definitions.json
disk_free_limit.absolute = 10MB
log.file = {folder}/rabbitmq.log
"""


class Broker:
    """Common part of the three brokers. No other broker uses `folder`; `allow` registers gates."""

    programs: tuple[str, ...] = ()
    package = ""
    accepted = b"\x20\x02\x00\x00"
    """The CONNACK of an accepted connection (MQTT 3.1.1, section 3.2)."""

    def __init__(self, folder, site=SITE):
        for program in self.programs:
            assert _found(program), f"{program} is not installed: these tests need the real broker ({self.package})"
        folder.mkdir(parents=True)
        self.folder, self.site, self.gates, self.process = folder, site, [], None
        self._spare = iter(SPARE_GATES)
        self.port = free_port()
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.certificate("server", "localhost")
        self.certificate(OFFICE)

    @property
    def url(self):
        return f"mqtts://localhost:{self.port}"

    def certificate(self, name, host=None, ca=None):
        """Write `NAME.pem` and `NAME.key`.

        The broker identifies a client by its common name (NATS: by NAME.invalid).
        """
        issued = (ca or self.ca).issue_cert(host or f"{name.lower()}.invalid", common_name=name)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")

    def tls(self, name=None):
        """Return the TLS context of client `name`; without a name, a context that has no client certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def settings(self, gate, **other):
        """Return a gate's [sync] settings."""
        files = {"ca": "ca.pem", "cert": f"{gate}.pem", "key": f"{gate}.key"}
        values = {key: str(self.folder / name) for key, name in files.items()}
        return SyncSettings(**({"url": self.url, "ack_timeout_s": 0.5, "backoff_max_s": 0.3} | values | other))

    def client(self, name, **more):
        """Return an MQTT client for `name`; use it in `async with`."""
        values = {"port": self.port, "tls_context": self.tls(name), "timeout": PATIENCE_S} | more
        return Client("localhost", **values)

    def allow(self, *gates):
        """Register these gates. Each one gets a certificate, may write its own `up`, and may read its own `down`."""
        for gate in gates:
            self.certificate(gate)
        self.gates += gates
        self.write_rules()
        if self.is_running:
            self.reload()

    def spare(self):
        """Return the name of a gate whose topics no test has used yet."""
        return next(self._spare)

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        """Start the broker unless it runs; it keeps its stored data. Return when it takes connections."""
        if self.is_running:
            return
        self.write_rules()
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, start_new_session=True,
                                            env={**os.environ, **self.environment()})  # fmt: skip
        end = time.monotonic() + PATIENCE_S
        while not self.answers():
            said = (self.folder / "output").read_text()[-2000:]
            assert self.is_running, f"{self.programs[0]} ended: {said}"
            assert time.monotonic() < end, f"{self.programs[0]} does not listen: {said}"
            time.sleep(0.05)

    def answers(self):
        """Return whether the broker accepts the office's client."""
        try:
            return self.knock(self.tls(OFFICE), 2.0) == self.accepted
        except OSError:
            return False

    def knock(self, context, patience_s=PATIENCE_S, client_id="knock"):
        """Send a CONNECT over TLS and return the first four bytes of the answer; fewer if the broker hangs up."""
        plain = socket.create_connection(("127.0.0.1", self.port), patience_s)
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(_connect(client_id))
            return secure.recv(4)

    def kill(self):
        """Kill the broker without a goodbye, as a power cut does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def environment(self):
        return {}

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Mosquitto(Broker):
    """A Mosquitto broker. It stores nothing on disk."""

    programs, package = ("mosquitto",), "apt install mosquitto"

    def write_rules(self):
        rules = f"user {OFFICE}\ntopic read gated/1/{self.site}/+/up/#\ntopic write gated/1/{self.site}/+/down/#\n"
        for gate in self.gates:
            own = f"gated/1/{self.site}/{gate}"
            rules += f"user {gate}\ntopic write {own}/up/#\ntopic read {own}/down/#\n"
        _write(self.folder / "acl", rules)
        user = "root" if os.getuid() == 0 else "mosquitto"
        _write(self.folder / "mosquitto.conf",
               MOSQUITTO.format(port=self.port, folder=self.folder, user=user, packet=MAX_PACKET_BYTES))  # fmt: skip

    def command(self):
        return [_found("mosquitto"), "-c", str(self.folder / "mosquitto.conf")]


class Nats(Broker):
    """A NATS broker. It maps topics to dotted subjects, and MQTT itself needs the subjects below `$MQTT.`."""

    programs, package = ("nats-server",), "apt install nats-server"

    def write_rules(self):
        site = f"gated.1.{self.site}"
        users = [self._user(OFFICE, f"{site}.*.down.>", f"{site}.*.up.>")]
        users += [self._user(gate, f"{site}.{gate}.up.>", f"{site}.{gate}.down.>") for gate in self.gates]
        text = NATS.format(port=self.port, folder=self.folder, packet=MAX_PACKET_BYTES, users=json.dumps(users))
        _write(self.folder / "nats.conf", text)

    @staticmethod
    def _user(name, writes, reads):
        return {
            "user": f"{name.lower()}.invalid",
            "permissions": {"publish": [writes], "subscribe": [reads, "$MQTT.sub.>"]},
        }

    def command(self):
        return [_found("nats-server"), "-c", str(self.folder / "nats.conf")]


class RabbitMq(Broker):
    """A RabbitMQ broker.

    It maps topics to dotted routing keys on `amq.topic`. It rejects a client that has no user, even with a valid
    certificate.
    """

    programs, package = ("rabbitmq-server", "rabbitmqctl", "epmd"), "apt install rabbitmq-server"
    scripts = "/usr/lib/rabbitmq/bin"  # the scripts in PATH change the user, or refuse to run

    def __init__(self, folder, site=SITE):
        super().__init__(folder, site)
        self.epmd_port, self.dist_port = free_port(), free_port()

    def write_rules(self):
        one = f"gated\\.1\\.{self.site}"
        rules = [(OFFICE, f"^{one}\\.[^.]+\\.down\\.[a-z]+$", f"^{one}\\.[^.]+\\.up\\.[a-z]+$")]
        rules += [(gate, f"^{one}\\.{gate}\\.up\\.[a-z]+$", f"^{one}\\.{gate}\\.down\\.[a-z]+$") for gate in self.gates]
        own = "^(amq\\.topic|mqtt-subscription-.*)$"
        definitions = {
            "vhosts": [{"name": "/"}],
            "users": [{"name": user, "password_hash": "", "tags": ""} for user, _, _ in rules],
            "permissions": [
                {"user": user, "vhost": "/", "configure": "^mqtt-subscription-.*$", "write": own, "read": own}
                for user, _, _ in rules
            ],
            "topic_permissions": [
                {"user": user, "vhost": "/", "exchange": "amq.topic", "write": writes, "read": reads}
                for user, writes, reads in rules
            ],
        }
        _write(self.folder / "definitions.json", json.dumps(definitions))
        _write(self.folder / "rabbitmq.conf", RABBITMQ.format(port=self.port, folder=self.folder))
        _write(self.folder / "enabled_plugins", "[rabbitmq_mqtt].\n")

    def command(self):
        return [f"{self.scripts}/rabbitmq-server"]

    def answers(self):
        """Also wait for "completed with" in the output: before that, RabbitMQ takes connections and forgets them."""
        return "completed with" in (self.folder / "output").read_text() and super().answers()

    def environment(self):
        """Return variables that keep all files in our folder, run one scheduler without busy waiting, and use our own
        epmd, which ends with this broker.
        """
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            "RABBITMQ_NODENAME": f"gated-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
            "RUNNING_UNDER_SYSTEMD": "yes",  # the script turns into the broker, and does not supervise it
        }

    def reload(self):
        subprocess.run([f"{self.scripts}/rabbitmqctl", "import_definitions", str(self.folder / "definitions.json")],
                       check=True, capture_output=True, env={**os.environ, **self.environment()})  # fmt: skip

    def kill(self):
        super().kill()
        subprocess.run([_found("epmd"), "-kill"], check=False, capture_output=True,
                       env={**os.environ, **self.environment()})  # fmt: skip


def _connect(client_id):
    """Return a CONNECT packet (MQTT 3.1.1, section 3.1): version 4, clean session, keep-alive 60 s, client id."""
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id.encode()
    return bytes([0x10, len(body)]) + body


def _found(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def _write(path, text):
    path.write_text(text)
    path.chmod(0o600)


KINDS = {"mosquitto": Mosquitto, "nats": Nats, "rabbitmq": RabbitMq}


@pytest.fixture(scope="session")
def brokers(tmp_path_factory):
    """The brokers that tests have requested so far, by kind."""
    brokers = {}
    yield brokers
    for broker in brokers.values():
        broker.kill()


@pytest.fixture(params=KINDS)
def broker(brokers, request, tmp_path_factory):
    """One of the three brokers, running."""
    kind = request.param
    if kind not in brokers:
        brokers[kind] = KINDS[kind](tmp_path_factory.mktemp("brokers") / kind)
        brokers[kind].allow(*SPARE_GATES)
    try:
        brokers[kind].start()
    except AssertionError:  # another program may have taken its port: the next test gets another broker
        brokers.pop(kind).kill()
        raise
    return brokers[kind]


@pytest.fixture
def gate(broker):
    """The name of a gate that the broker knows and no earlier test has used."""
    return broker.spare()


@pytest.fixture
def topics(gate):
    return Topics(SITE, gate)
