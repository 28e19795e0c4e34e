"""The broker's settings with the real Mosquitto. From its pairing on, each gate can use its own topics
and no others.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gated.errors import OfficeError
from gated.office import mosquitto as broker
from gated.office.authority import Authority, is_issued
from gated.office.certificates import private_pem, read_csr
from gated.office.mosquitto import Place, acl, tls_context, write_acl
from gated.office.mqtt_client import Client
from gated.office.office_creation import create_office
from gated.protocol.topics import Topics
from gated.simulator.network import free_port

SITE = "market-south"
PATIENCE_S = 30.0
NOW = datetime.now(UTC)


def certify(folder, gate):
    """Store a gate's certificate and private key in the office's folder. Only these tests keep them there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gate)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request = read_csr(csr.public_bytes(serialization.Encoding.PEM).decode(), gate)
    (folder / f"{gate}.pem").write_bytes(Authority.load(folder).admit(request, gate, NOW).pem)
    (folder / f"{gate}.key").write_bytes(private_pem(key))


@pytest.fixture
def office(tmp_path):
    """Create an office with two certified gates. Its folder has a space in its name."""
    folder = tmp_path / "the office"
    create_office(folder, SITE, Place("localhost", free_port(), free_port()), NOW)
    for gate in ("gate-1", "gate-2"):
        certify(folder, gate)
    return folder


@pytest.fixture
def mosquitto(office):
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    assert program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
    process = subprocess.Popen([program, "-c", str(office / "mosquitto.conf")], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", Place.load(office).port), 1):
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


def client(folder, name=None, **more):
    """Return an MQTT client with the certificate of the gate `name`, or of the office if `name` is None."""
    context = tls_context(folder)
    if name is not None:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return Client("localhost", Place.load(folder).port, tls_context=context, timeout=PATIENCE_S, **more)


async def received_topic(listener, speaker, topic):
    """Publish on a topic again and again until the listener receives a message. Return the message's topic."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await speaker.publish(topic, b"!", qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    return (await anext(listener.messages)).topic.value


async def test_a_new_gate_may_publish_at_once_on_its_own_topics_only(office, mosquitto):
    ours, theirs = Topics(SITE, "gate-1"), Topics(SITE, "gate-2")
    async with client(office) as listener, client(office, "gate-1") as gate:
        for topic in (*ours.up, *theirs.up, *ours.down):
            await listener.subscribe(topic, qos=1)
        await gate.publish(ours.event, b"too early", qos=1)
        write_acl(office, SITE, ["gate-1", "gate-2"])
        assert await received_topic(listener, gate, ours.event) == ours.event
        for topic in (theirs.event, theirs.status, ours.ack, ours.command, f"gated/1/{SITE}/gate-1/up/more"):
            await gate.publish(topic, b"?", qos=1)
        await gate.publish(ours.reply, b"last", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            while (message := await anext(listener.messages)).topic.value != ours.reply:
                assert (message.topic.value, message.payload) == (ours.event, b"!")


async def test_a_gate_receives_only_its_own_topics(office, mosquitto):
    write_acl(office, SITE, ["gate-1", "gate-2"])
    ours, theirs = Topics(SITE, "gate-1"), Topics(SITE, "gate-2")
    async with client(office) as speaker, client(office, "gate-1") as gate:
        for topic in (*theirs.down, *theirs.up, *ours.down, "#"):
            await gate.subscribe(topic, qos=1)
        for topic in (theirs.command, theirs.record, theirs.ack):
            await speaker.publish(topic, b"?", qos=1)
        assert await received_topic(gate, speaker, ours.record) == ours.record


async def test_a_removed_gate_can_publish_nothing(office, mosquitto):
    write_acl(office, SITE, ["gate-1", "gate-2"])
    ours, theirs = Topics(SITE, "gate-1"), Topics(SITE, "gate-2")
    async with client(office) as listener, client(office, "gate-1") as gate, client(office, "gate-2") as gone:
        await listener.subscribe(ours.event, qos=1)
        await listener.subscribe(theirs.event, qos=1)
        await listener.subscribe(theirs.reply, qos=1)
        assert await received_topic(listener, gone, theirs.event) == theirs.event
        write_acl(office, SITE, ["gate-1"])
        certify(office, "gate-3")
        async with client(office, "gate-3") as new:
            write_acl(office, SITE, ["gate-1", "gate-3"])
            await listener.subscribe(Topics(SITE, "gate-3").event, qos=1)
            while await received_topic(listener, new, Topics(SITE, "gate-3").event) != Topics(SITE, "gate-3").event:
                pass  # skip messages published before the new access list applied
        await gone.publish(theirs.reply, b"?", qos=1)
        while (topic := await received_topic(listener, gate, ours.event)) != ours.event:
            assert topic != theirs.reply


IDS = [f"gated-{SITE}-gate-1", "gate-1", "OFFICE", "gated-OFFICE", "", "gate-2", f"gated-{SITE}-OFFICE-1"]


def attack(folder, name, ids, seconds, taken):
    """Connect repeatedly with the certificate of `name` and the client ids of others. Count the
    accepted connections.
    """
    context, end = ssl.create_default_context(cafile=str(folder / "ca.pem")), time.monotonic() + seconds
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    while time.monotonic() < end:
        for each in ids:
            body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(each).to_bytes(2, "big") + each.encode()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", Place.load(folder).port)) as raw:
                secure = context.wrap_socket(raw, server_hostname="localhost")
                secure.sendall(bytes([0x10, len(body)]) + body)
                taken[0] += secure.recv(4)[:1] == b"\x20"


async def test_no_client_id_of_a_gate_disconnects_another_client(office, mosquitto):
    """The attacker knows the client ids of the others."""
    write_acl(office, SITE, ["gate-1", "gate-2"])
    ours, taken = Topics(SITE, "gate-1"), [0]
    gate, listener = client(office, "gate-1", identifier=IDS[0]), client(office, identifier=IDS[-1])
    async with gate, listener:
        await listener.subscribe(ours.event, qos=1)
        attacking = asyncio.create_task(asyncio.to_thread(attack, office, "gate-2", IDS, 1.0, taken))
        sent = 0
        while not attacking.done():
            await gate.publish(ours.event, f"{sent}", qos=1)  # raises if the broker cut this gate off
            sent += 1
            await asyncio.sleep(0.01)
        got = [(await anext(listener.messages)).payload for _ in range(sent)]
        assert got == [f"{number}".encode() for number in range(sent)]
    assert taken[0] > len(IDS)


async def test_every_office_process_has_its_own_client_id(office, mosquitto):
    write_acl(office, SITE, ["gate-1"])
    Authority.load(office).write_client(office, "office-2", broker.name_of(1), NOW)
    ours = Topics(SITE, "gate-1")
    first, second = (Client("localhost", Place.load(office).port, tls_context=tls_context(office, number))
                     for number in (0, 1))  # fmt: skip
    async with first, second, client(office, "gate-1") as gate:
        await gate.subscribe(ours.ack, qos=1)
        for each in (first, second):
            await each.subscribe(ours.event, qos=1)
            assert await received_topic(each, gate, ours.event) == ours.event
            assert await received_topic(gate, each, ours.ack) == ours.ack


def test_broker_settings_of_an_older_office_are_repaired_and_manual_lines_kept(office, caplog):
    conf = office / "mosquitto.conf"
    new = conf.read_text()
    conf.write_text(new.replace(f"{broker.OWN_IDS}\n", "") + "listener 1883 127.0.0.1\n")
    (office / "acl").write_text("user OFFICE\n")
    broker.update_broker_settings(office, SITE, ["gate-1"])
    repaired = conf.read_text()
    assert repaired.index("require_certificate") < repaired.index(broker.OWN_IDS) < repaired.index("listener 1883")
    assert (office / "acl").read_text() == acl(SITE, ["gate-1"])
    assert "restart gated-office-broker" in caplog.text
    caplog.clear()
    broker.update_broker_settings(office, SITE, ["gate-1"])
    assert (conf.read_text(), caplog.text) == (repaired, "")


def test_settings_with_a_comment_in_another_encoding_are_repaired_and_the_comment_kept(office):
    conf, remark = office / "mosquitto.conf", "# 社区\n".encode("gb18030")
    conf.write_bytes(remark + conf.read_bytes().replace(f"{broker.OWN_IDS}\n".encode(), b""))
    broker.update_broker_settings(office, SITE, [])
    assert conf.read_bytes().startswith(remark)
    assert broker.OWN_IDS in conf.read_text("utf-8", "replace").splitlines()


def test_an_office_with_another_broker_gets_a_warning_about_client_ids(office, caplog):
    (office / broker.CONF_FILE).unlink()
    broker.update_broker_settings(office, SITE, [])
    assert caplog.messages == [broker.OTHER_BROKER]
    assert "## Brokers" in (Path(broker.__file__).parent / "SCALING.md").read_text("utf-8")


@pytest.mark.parametrize("line", ["use_username_as_clientid false", "use_username_as_clientid"])
def test_settings_that_let_gates_disconnect_each_other_are_kept_and_reported(office, caplog, line):
    conf = office / "mosquitto.conf"
    text = f"{conf.read_text()}{line}\n"
    conf.write_text(text)
    for _ in range(2):
        caplog.clear()
        broker.update_broker_settings(office, SITE, [])
        assert "one gate can disconnect another" in caplog.text
        assert repr(broker.OWN_IDS) in caplog.text
    assert conf.read_text() == text


@pytest.mark.parametrize("name", [None, "server"])
def test_no_client_connects_without_a_certificate(office, mosquitto, name):
    context = ssl.create_default_context(cafile=str(office / "ca.pem"))
    if name is not None:
        context.load_cert_chain(office / f"{name}.pem", office / f"{name}.key")
    with (
        socket.create_connection(("127.0.0.1", Place.load(office).port), PATIENCE_S) as raw,
        pytest.raises(ssl.SSLError, match="certificate"),
        context.wrap_socket(raw, server_hostname="localhost") as channel,
    ):
        channel.recv(1)


def test_the_rules_name_every_topic_and_no_gate_has_the_offices_name():
    rules = acl(SITE, ["gate-2", "gate-1"])
    blocks = [block.splitlines() for block in rules.split("\n\n")]
    offices = ["user OFFICE", *(f"user OFFICE-{number}" for number in range(2, 65))]
    assert [block[0] for block in blocks] == [*offices, "user gate-1", "user gate-2"]
    gates = blocks[len(offices) :]
    assert "+" not in "".join(gates[0] + gates[1])
    assert "#" not in "".join(gates[0] + gates[1])
    assert gates[0][1:] == [f"topic write {t}" for t in Topics(SITE, "gate-1").up] + [
        f"topic read {t}" for t in Topics(SITE, "gate-1").down
    ]


def test_another_process_with_the_brokers_old_number_gets_no_signal(office):
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        (office / "mosquitto.pid").write_text(f"{innocent.pid}\n")
        write_acl(office, SITE, ["gate-1"])
        assert innocent.poll() is None
    finally:
        innocent.kill()
    assert innocent.wait() == -9


BEGINNING = """
import signal, sys, time
open("/proc/self/comm", "w").write("mosquitto")
print("begins", flush=True)
time.sleep(0.3)
signal.signal(signal.SIGHUP, lambda *_: sys.exit(7))
time.sleep(60)
"""


def test_a_starting_broker_is_signalled_only_when_it_listens(office):
    """Before a process installs its handler, SIGHUP terminates it (signal(7))."""
    process = subprocess.Popen([sys.executable, "-c", BEGINNING], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        (office / "mosquitto.pid").write_text(f"{process.pid}\n")
        write_acl(office, SITE, ["gate-1"])
        assert process.wait(PATIENCE_S) == 7
    finally:
        process.kill()


def test_a_broker_that_never_listens_gives_a_warning(office, caplog, monkeypatch):
    monkeypatch.setattr(broker, "LISTENS_S", 0.2)
    process = subprocess.Popen([sys.executable, "-c", BEGINNING.replace("0.3", "60")], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline()
        (office / "mosquitto.pid").write_text(f"{process.pid}\n")
        write_acl(office, SITE, ["gate-1"])
        assert "send it SIGHUP" in caplog.text
        assert process.poll() is None
    finally:
        process.kill()


@pytest.mark.parametrize("pid", [None, "", "no number", str(2**22 + 1)])
def test_a_stopped_broker_is_no_problem(office, pid):
    if pid is not None:
        (office / "mosquitto.pid").write_text(pid)
    write_acl(office, SITE, ["gate-1"])
    assert "gate-1" in (office / "acl").read_text()


def test_a_user_without_a_name_on_this_machine_can_create_an_office(office, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    broker.write_broker(office, Place.load(office))
    assert "\nuser " not in (office / "mosquitto.conf").read_text()


def test_a_place_file_is_read_back_with_the_brokers_address(tmp_path):
    place = Place("office.lan", 8883, 8884)
    place.save(tmp_path)
    assert Place.load(tmp_path) == place
    assert place.url == "mqtts://office.lan:8883"


def test_a_folder_that_is_not_an_office_is_reported(tmp_path):
    with pytest.raises(OfficeError, match="gated office init"):
        Place.load(tmp_path)
    (tmp_path / "place.json").write_text("{}")
    with pytest.raises(OfficeError, match="has no office"):
        Place.load(tmp_path)
    with pytest.raises(OfficeError, match="certificate cannot be read"):
        tls_context(tmp_path)


def test_every_file_of_an_office_is_private(office):
    own = [path for path in Path(office).iterdir() if not path.name.startswith("gate-")]
    assert {path.stat().st_mode & 0o077 for path in (office, *own)} == {0}


def test_an_office_never_overwrites_another(office):
    before = (office / "ca.key").read_bytes()
    with pytest.raises(OfficeError, match="not empty"):
        create_office(office, SITE, Place("localhost", 1, 2), NOW)
    assert (office / "ca.key").read_bytes() == before


@pytest.mark.parametrize(("site", "host"), [("a b", "localhost"), ("Site", "localhost"), ("a/b", "x"), ("a", "x y"),
                                            ("a", "x/y"), ("a", ""), ("a", "x\nuser root")])  # fmt: skip
def test_names_with_special_characters_are_refused(tmp_path, site, host):
    with pytest.raises(OfficeError, match="cannot be|is not"):
        create_office(tmp_path / "office", site, Place(host, 1, 2), NOW)
    assert not (tmp_path / "office").exists()


def test_each_share_announces_itself_once_and_again_after_an_authority_change(office):
    from contextlib import closing

    from gated.office.serve import _prepare_broker
    from gated.office.store import Store

    with closing(Store.open(office)) as store:
        _prepare_broker(office, 1, store)
        first = (office / "office-2.pem").read_bytes()
        _prepare_broker(office, 1, store)
        assert (office / "office-2.pem").read_bytes() == first
        assert x509.load_pem_x509_certificate(first).subject.rfc4514_string() == "CN=OFFICE-2"
        Authority.make(SITE, NOW).save(office)
        _prepare_broker(office, 1, store)
    assert (office / "office-2.pem").read_bytes() != first
    assert is_issued(office, "office-2")
    assert not is_issued(office, "office")
