"""A network that is cut and restored: the real broker, a real office, and a paired gate."""

import asyncio
import contextlib
import socket
import ssl
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated.config import SyncSettings
from gated.errors import PairingError
from gated.events import DoorReleased
from gated.journal.journal import Journal
from gated.office.mosquitto import Place
from gated.office.mqtt_client import Client, MqttError
from gated.office.office_creation import create_office
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.jose import Identity, Party
from gated.protocol.pairing_code import PairingRefusal
from gated.protocol.status_messages import Heartbeat, Status
from gated.protocol.topics import Topics
from gated.simulator.network import Network, NetworkError, find_mosquitto, free_port, join

SITE, GATE = "courtyard-2", "front"
TOPICS = Topics(SITE, GATE)
PATIENCE_S = 60.0


@pytest.fixture
def network(tmp_path):
    program = find_mosquitto()
    assert program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
    with contextlib.closing(Network(tmp_path / "network", SITE, GATE, program)) as network:
        network.start()
        yield network


class Gate:
    """A minimal gate: it sends a message until it is answered, over one connection or the next."""

    def __init__(self, network, state):
        self.settings = SyncSettings(**network.settings())
        me, them = Identity.load(Path(self.settings.gate_keys)), Party.load(Path(self.settings.office_keys))
        self.peer = Peer(me, them, SITE, GATE)
        self.journal = Journal.open(state, SITE, GATE)

    def batch(self):
        """All rows of its journal."""
        rows = [WireEvent(e.seq, e.at, e.kind, e.body, e.hash) for e in self.journal.entries()]
        own = self.journal.position()
        return EventBatch(site=SITE, gate=GATE, journal=own.journal, after=0, first=1, last=own.head,
                          prev=own.base_hash, events=rows)  # fmt: skip

    async def exchange(self, topic, message, *kinds):
        """Send a message and return the office's answer."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(MqttError, TimeoutError):
                async with self.client() as client, asyncio.timeout(2.0):
                    await client.subscribe(TOPICS.ack, qos=1)
                    await client.publish(topic, self.peer.write(message), qos=1)
                    return self.peer.read((await anext(client.messages)).payload, *kinds)
            await asyncio.sleep(0.1)
        raise AssertionError("the office does not answer")

    def client(self):
        context = ssl.create_default_context(cafile=self.settings.ca)
        context.load_cert_chain(self.settings.cert, self.settings.key)
        host, port = self.settings.url.removeprefix("mqtts://").split(":")
        return Client(host, int(port), tls_context=context, timeout=2.0)


@pytest.fixture
def gate(network, tmp_path):
    gate = Gate(network, tmp_path / "state")
    yield gate
    gate.journal.close()


async def test_events_wait_during_a_cut_and_arrive_afterwards(network, gate):
    gate.journal.append(DoorReleased("rex", 3.0), datetime.now(UTC))
    assert (await gate.exchange(TOPICS.event, gate.batch(), Ack)).seq == 1
    network.cut()
    with pytest.raises(MqttError):
        await gate.client().__aenter__()
    gate.journal.append(DoorReleased("rex", 3.0), datetime.now(UTC))
    network.restore()
    ack = await gate.exchange(TOPICS.event, gate.batch(), Ack)
    assert (ack.seq, ack.hash) == (2, gate.journal.entries()[-1].hash)
    with closing(Store.open(network.office)) as store, store.file.reading() as connection:
        assert [tuple(row) for row in connection.execute("SELECT seq, kind FROM events ORDER BY seq")] == [
            (1, "door_released"),
            (2, "door_released"),
        ]


async def test_the_office_answers_a_status_with_its_challenge(network, gate):
    status = Status(site=SITE, gate=GATE, version="0", at=datetime.now(UTC).isoformat(), challenge="c" * 32)
    assert (await gate.exchange(TOPICS.status, status, Heartbeat)).challenge == "c" * 32


def test_a_broker_that_does_not_start_is_one_clear_error(tmp_path):
    network = Network(tmp_path / "network", SITE, GATE, "/bin/false")
    with pytest.raises(NetworkError, match="does not listen"):
        network.start()
    network.close()


def test_cut_and_close_are_idempotent(network):
    network.cut()
    network.cut()
    network.close()


def test_one_office_can_have_many_gates(tmp_path):
    office = tmp_path / "office"
    create_office(office, SITE, Place("localhost", 1, 2), datetime.now(UTC))
    paired = [join(office, tmp_path / gate, gate) for gate in ("front", "back")]
    assert paired[0].url == paired[1].url == "mqtts://localhost:1"
    assert len({(pairing.folder / "gate.keys").read_bytes() for pairing in paired}) == 2
    with closing(Store.open(office)) as store:
        assert [gate.gate for gate in store.gates()] == ["back", "front"]


def test_a_refused_gate_gets_the_reason(tmp_path, monkeypatch):
    office = tmp_path / "office"
    create_office(office, SITE, Place("localhost", 1, 2), datetime.now(UTC))
    monkeypatch.setattr(Registrar, "answer", lambda *_: PairingRefusal(why="old"))
    with pytest.raises(PairingError, match="old"):
        join(office, tmp_path / "state", GATE)


def test_a_free_port_is_outside_the_kernels_range(tmp_path):
    lent = tmp_path / "ip_local_port_range"
    lent.write_text("10100\t60999\n")
    chosen = {free_port(lent) for _ in range(20)}
    assert min(chosen) >= 10_000
    assert max(chosen) < 10_100
    with contextlib.ExitStack() as stack:
        for port in chosen:
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", port))
        assert not chosen & {free_port(lent) for _ in range(20)}


def test_a_machine_without_a_free_port_is_one_clear_error(tmp_path, monkeypatch):
    lent = tmp_path / "ip_local_port_range"
    lent.write_text("10100\t60999\n")
    monkeypatch.setattr(socket.socket, "bind", lambda *_: (_ for _ in ()).throw(OSError))
    with pytest.raises(NetworkError, match="no free port"):
        free_port(lent)
