"""Fixtures of the link's tests: a real Mosquitto with certificates on both sides and an ACL, an office, and a gate's
link.
"""

import asyncio
import contextlib
import functools
import shutil
import signal
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import trustme

from gated.config import SyncSettings
from gated.errors import WireError
from gated.events import DoorReleased
from gated.journal.chain import genesis
from gated.journal.journal import Journal
from gated.office.mqtt_client import Client, MqttError
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Progress, Reply
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, EventBatch, first_altered
from gated.protocol.face_messages import SharedFace
from gated.protocol.jose import Identity
from gated.protocol.record_keys import digest_of
from gated.protocol.record_messages import QuarantineList, RecordRequest, RemovalReceipt
from gated.protocol.status_messages import Heartbeat, RecordMark, Status
from gated.protocol.topics import Topics
from gated.simulator.network import free_port
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.office_link import run_link
from gated.sync.session import GateSide
from gated.sync.status_reports import Vitals

SITE, GATE = "market-south", "gate-2"
TOPICS = Topics(SITE, GATE)
PATIENCE_S = 60.0

ACL = f"""
user {GATE}
topic write gated/1/{SITE}/{GATE}/up/#
topic read gated/1/{SITE}/{GATE}/down/#
user office
topic read gated/1/+/+/up/#
topic readwrite gated/1/+/+/down/#
topic readwrite gated/1/{SITE}/{GATE}/up/status
"""
IDENTITY, OFFICE = Identity.make(), Identity.make()
GATE_PEER = Peer(IDENTITY, OFFICE.party, SITE, GATE)
OFFICE_PEER = Peer(OFFICE, IDENTITY.party, SITE, GATE)

DENYING = ACL.replace(f"topic write gated/1/{SITE}/{GATE}/up/#", f"topic write {TOPICS.status}")


async def until(claim, what):
    """Wait until `claim()` holds; fail with `what` in the message after `PATIENCE_S` seconds."""
    end = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < end, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        await asyncio.sleep(0.02)


authority = functools.cache(trustme.CA)


@functools.cache
def issue(ca, host, name):
    return ca.issue_cert(host, common_name=name)


class Server:
    """The office's state for one gate, as gated/protocol/README.md requires: the rows it holds, and its heartbeat."""

    def __init__(self):
        self.beat, self.version, self.digest = 0, 0, digest_of([])
        self.forget()

    def forget(self, held=0):
        """Forget all rows after row `held`, as after a restored backup."""
        self.events = {seq: e for seq, e in getattr(self, "events", {}).items() if seq <= held}
        self.journal = self.journal if self.events else None
        self.lost = {seq for seq in getattr(self, "lost", ()) if seq < max(self.events, default=0)}
        self.altered, self.news = [], {}

    @property
    def last(self):
        return next(reversed(self.events), 0)

    def ack(self):
        """Return the ack of the rows held; None if the office knows no journal."""
        if self.journal is None:
            return None
        last = self.events[self.last].hash if self.events else genesis(SITE, GATE, self.journal)
        return Ack(site=SITE, gate=GATE, journal=self.journal, seq=self.last, hash=last)

    def take(self, batch):
        """Store the new rows of a batch and return an ack.

        Keep a batch sent ahead of its turn apart, and return None.
        """
        if batch.journal != self.journal:
            self.events, self.lost, self.news, self.journal = {}, set(), {}, batch.journal
        if batch.is_ahead:
            self.news |= {e.seq: e for e in batch.events}
            return None
        if batch.after <= self.last:
            self.altered += [seq for seq in [first_altered(batch, batch.prev)] if seq is not None]
            self.lost |= set(range(self.last + 1, batch.first))
            self.events |= {e.seq: e for e in batch.events if e.seq > self.last}
        return self.ack()

    def see(self, status):
        """Answer a status with a heartbeat; add an ack if the gate believes that the office holds more than it does."""
        mark = status.journal
        if mark is not None and self.journal != mark.id:
            self.events, self.lost, self.journal = {}, set(), mark.id
        lost = mark is not None and mark.acked > self.last
        return [self.word(status.challenge), *([self.ack()] if lost else [])]

    def word(self, challenge):
        """Return the next heartbeat (`Heartbeat`), with a higher beat number."""
        self.beat += 1
        at = "2027-01-15T12:00:00Z"
        about = {"version": self.version, "digest": self.digest}
        return Heartbeat(site=SITE, gate=GATE, challenge=challenge, number=self.beat, at=at, **about)


class Records:
    """A stand-in for the gate's records, with only what the link needs: a mark, and a list of received messages."""

    def __init__(self):
        self.mark = RecordMark(0, digest_of([]))
        self.heard, self.words, self.restarts, self.is_closed = [], [], 0, False
        self.answers, self.requests, self.held, self.revoked = [], [], [], []
        self.trouble, self.office_version = None, (0, False)
        self.is_office_outdated = False

    def close(self):
        self.is_closed = True

    def restart(self):
        self.restarts += 1

    def handle_records(self, message, now):
        if self.trouble:
            raise self.trouble
        self.heard.append(message)
        return self.answers

    def deny_unstored(self, message):
        self.held.append(message)

    def revoke(self, subject, n):
        self.revoked.append((subject, n))

    def handle_heartbeat(self, word, now):
        self.words.append(word)
        return []

    def quarantined(self):
        return []

    def due(self, now):
        due, self.requests = self.requests, []
        return due


class Receiver:
    """An office that subscribes, stores, and answers each batch and status. It reconnects forever."""

    def __init__(self, broker, server, peer):
        self.broker, self.server, self.peer = broker, server, peer
        self.statuses, self.batches, self.replies, self.requests, self.refused = [], 0, [], [], 0
        self.waiting, self.asked, self.told = {}, [], []
        self.gives_up_at = None
        self.is_up = asyncio.Event()
        self.is_acking = True
        self.client = None

    async def run(self):
        while True:
            with contextlib.suppress(MqttError):
                async with self.broker.client("office") as self.client:
                    await self.client.subscribe([(topic, 1) for topic in TOPICS.up])
                    self.is_up.set()
                    async for message in self.client.messages:
                        await self._take(message.topic.value, message.payload)
            self.is_up.clear()
            await asyncio.sleep(0.05)

    async def _take(self, topic, payload):
        try:
            answers = self._answers(topic, payload)
        except WireError:
            self.refused += 1
            return
        for answer in answers:
            if answer is not None and self.is_acking:
                await self.say(answer)

    def _answers(self, topic, payload):
        if topic == TOPICS.status:
            self.statuses.append(self.peer.read(payload, Status))
            return self.server.see(self.statuses[-1])
        if topic == TOPICS.event:
            batch = self.peer.read(payload, EventBatch)
            self.batches += not batch.is_ahead
            return [self.server.take(batch)]
        if topic == TOPICS.request:
            self.requests.append(self.peer.read(payload, RecordRequest))
        else:
            said = self.peer.read(
                payload, Reply, ConfirmationRequest, Progress, QuarantineList, RemovalReceipt, SharedFace
            )
            if isinstance(said, ConfirmationRequest):
                return self._asked(said)
            (self.replies if isinstance(said, Reply | RemovalReceipt | SharedFace) else self.told).append(said)
        return []

    async def order(self, number, action):
        """Offer a command. An operator waits for it as long as `waiting` contains it."""
        order = f"{number:032x}"
        self.waiting[order] = (number, action)
        await self.say(Offer(site=SITE, gate=GATE, command=order))

    def _asked(self, ask):
        about = {"site": SITE, "gate": GATE}
        self.asked.append(ask)
        if ask.step == self.gives_up_at:
            self.waiting.clear()
        if ask.command not in self.waiting:
            return [Confirmation(**about, command=ask.command, nonce=ask.nonce)]
        if ask.step == "commit":
            return [Confirmation(**about, command=ask.command, nonce=ask.nonce, is_wanted=True)]
        number, action = self.waiting[ask.command]
        who = {"operator": "li", "reason": "a drill", "at": datetime.now(UTC).isoformat()}
        return [
            Command(**about, id=ask.command, number=number, challenge=ask.nonce, is_live=True, action=action, **who)
        ]

    async def say(self, message):
        """Publish a message of the office on its topic."""
        topics = dict.fromkeys((Command, Offer, Confirmation), TOPICS.command) | {
            Ack: TOPICS.ack,
            Heartbeat: TOPICS.ack,
        }
        topic = topics.get(type(message), TOPICS.record)
        await self.client.publish(topic, self.peer.write(message), qos=1)

    until = staticmethod(until)

    @property
    def states(self):
        return [status.state for status in self.statuses]


class Broker:
    """One Mosquitto of our own on a free local port. It stores nothing on disk."""

    def __init__(self, folder):
        self.program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert self.program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
        self.folder, self.process = folder, None
        self.port = free_port()
        self.ca = authority()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.certificate("server", "localhost")
        for name in (GATE, "office"):
            self.certificate(name)
        IDENTITY.save(folder / "gate.jwks")
        (folder / "office.jwks").write_bytes(OFFICE.party.dump())
        self._write_acl(ACL)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\npersistence false\nuser root\nallow_anonymous false\n"
            f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
            f"require_certificate true\nuse_identity_as_username true\nuse_username_as_clientid true\n"
            f"acl_file {folder}/acl\nset_tcp_nodelay true\n"
            f"log_dest file {folder}/log\nlog_type all\nmax_queued_messages 0\nmax_packet_size 110000\n"
        )

    def certificate(self, name, host=None, ca=None):
        issued = issue(ca or self.ca, host or f"{name}.invalid", name)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")

    def deny_events(self):
        """Deny the gate the right to publish events, without telling it."""
        self._write_acl(DENYING)
        self.process.send_signal(signal.SIGHUP)

    def allow_events(self):
        self._write_acl(ACL)
        self.process.send_signal(signal.SIGHUP)

    def _write_acl(self, acl):
        (self.folder / "acl").write_text(acl)
        (self.folder / "acl").chmod(0o600)

    def start(self):
        self.process = subprocess.Popen([self.program, "-c", str(self.folder / "mosquitto.conf")])
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, f"mosquitto ended: {(self.folder / 'log').read_text()}"
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self):
        """Kill the broker without a goodbye, as a power cut does; it keeps no data."""
        self.process.kill()
        self.process.wait()

    def client(self, name, **more):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return Client("localhost", self.port, tls_context=context, **more)

    def settings(self, **other):
        f = self.folder
        values = {"ca": f"{f}/ca.pem", "cert": f"{f}/{GATE}.pem", "key": f"{f}/{GATE}.key", "ack_timeout_s": 0.5}
        values |= {"gate_keys": f"{f}/gate.jwks", "office_keys": f"{f}/office.jwks", "status_s": 1.0}
        return SyncSettings(**({"url": f"mqtts://localhost:{self.port}", "backoff_max_s": 0.3} | values | other))


class FakeBroker:
    """A hostile broker. It speaks just enough MQTT over TLS, and then sends the bytes that the test chooses."""

    def __init__(self, folder, context):
        self.folder, self.context = folder, context
        self.connack = {4: b"\x20\x02\x00\x00", 5: b"\x20\x03\x00\x00\x00"}
        """The CONNACK for each protocol level; level 4 is MQTT 3.1.1."""
        self.levels, self.packets, self.writer = [], [], None
        self.is_confirming = True

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]

    async def send(self, data):
        """Send raw bytes. Return when the network has taken them, or when the other end is gone."""
        with contextlib.suppress(OSError):
            for start in range(0, len(data), 100_000):
                self.writer.write(data[start : start + 100_000])
                await self.writer.drain()

    def is_gone(self):
        """Return whether the other end has closed the connection."""
        return self.writer is not None and self.writer.is_closing()

    async def _serve(self, reader, writer):
        self.writer = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                kind, body = await self._packet(reader)
                self.packets.append(kind)
                if kind >> 4 == 1:
                    self.levels.append(body[6])
                    answer = self.connack[body[6]]
                elif kind >> 4 == 3 and self.is_confirming:
                    start = 2 + int.from_bytes(body[:2])
                    answer = b"\x40\x02" + body[start : start + 2]
                elif kind >> 4 == 8:
                    five = self.levels[-1] == 5
                    answer = bytes([0x90, 2 + five + 3]) + body[:2] + b"\x00" * five + b"\x01" * 3
                else:
                    answer = b""
                if answer is None:
                    break
                await self.send(answer)
        writer.close()

    @staticmethod
    async def _packet(reader):
        kind, length, shift = (await reader.readexactly(1))[0], 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            if byte < 128:
                return kind, await reader.readexactly(length)
            shift += 7

    def client_context(self):
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def settings(self, **other):
        f = self.folder
        values = {"ca": f"{f}/ca.pem", "cert": f"{f}/{GATE}.pem", "key": f"{f}/{GATE}.key", "ack_timeout_s": 0.5}
        return SyncSettings(**({"url": f"mqtts://localhost:{self.port}", "backoff_max_s": 0.3} | values | other))


def published(topic, payload, first=0x30):
    """Return a PUBLISH packet of QoS 0 (MQTT 3.1.1)."""
    body = len(topic).to_bytes(2) + topic.encode() + payload
    length, rest = bytearray(), len(body)
    while not length or rest:
        length.append(rest % 128 | (128 if rest > 127 else 0))
        rest //= 128
    return bytes([first]) + bytes(length) + body


@pytest.fixture(name="published")
def published_fixture():
    return published


@pytest.fixture
async def fake(tmp_path):
    """A hostile broker with valid certificates; no other client uses it."""
    folder = tmp_path / "fake"
    folder.mkdir()
    authority().cert_pem.write_to_path(folder / "ca.pem")
    gate = issue(authority(), f"{GATE}.invalid", GATE)
    (folder / f"{GATE}.pem").write_bytes(b"".join(blob.bytes() for blob in gate.cert_chain_pems))
    gate.private_key_pem.write_to_path(folder / f"{GATE}.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issue(authority(), "localhost", "server").configure_cert(context)
    fake = FakeBroker(folder, context)
    await fake.start()
    yield fake
    fake.server.close()
    if fake.writer is not None:
        fake.writer.close()


@pytest.fixture
def broker(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session", name="authority")
def authority_fixture():
    return authority()


@pytest.fixture(scope="session")
def server_kind():
    return Server


@pytest.fixture(scope="session")
def records_kind():
    return Records


@pytest.fixture(scope="session")
def gate_peer():
    return GATE_PEER


@pytest.fixture(scope="session")
def office_peer():
    return OFFICE_PEER


@pytest.fixture(scope="session")
def stranger():
    """A peer with its own keys that pretends to be the office."""
    return Peer(Identity.make(), IDENTITY.party, SITE, GATE)


@pytest.fixture
async def receiver(broker):
    receiver = Receiver(broker, Server(), OFFICE_PEER)
    task = asyncio.create_task(receiver.run())
    await asyncio.wait_for(receiver.is_up.wait(), PATIENCE_S)
    yield receiver
    while not task.done():  # in Python 3.11, asyncio.wait_for, which aiomqtt uses, may swallow a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=1)
    assert task.cancelled() or task.exception() is None


class Gate:
    """A gate's journal and link, connected in the same way as in `app.py`."""

    def __init__(self, state, settings):
        self.state, self.settings, self.opener = state, settings, functools.partial(Journal.open, state, SITE, GATE)
        self.journal = self.opener()
        self.records, self.facts, self.orders = None, [], []
        self.wake = asyncio.Event()
        self.degraded, self.count, self.task = [], 0, None
        self.links = []
        """For each attempt: the reason why no link came up, or None if the link came up."""

    def vitals(self):
        return Vitals("0.1.0", self.degraded, "secured", 72, 216, "site")

    async def perform(self, command, talk):
        self.orders.append(command)
        return CommandOutcome("done")

    def side(self):
        self.records = Records()
        return GateSide(
            GATE_PEER,
            TOPICS,
            self.settings,
            open_journal=self.opener,
            replica=self.records,
            desk=CommandDesk(self.state, SITE, GATE),
            report=self.facts.append,
            now=time.monotonic(),
        )

    def start(self):
        thread = ThreadPoolExecutor(1)
        link = run_link(
            self.settings,
            self.side(),
            self.vitals,
            lambda: datetime.now(UTC),
            self.perform,
            wake=self.wake,
            thread=thread,
            on_link=self.links.append,
        )
        self.task = asyncio.create_task(link)

    async def stop(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def happen(self, count=1):
        """Write `count` events to the gate's journal."""
        visits = range(self.count, self.count + count)
        events = [DoorReleased(cause="grant", lease_s=8.0, visit=f"v{n}") for n in visits]
        self.count += count
        now = datetime.now(UTC)
        for start in range(0, count, 500):
            self.journal.extend([(event, now) for event in events[start : start + 500]])
        self.wake.set()

    @property
    def acked(self):
        return self.journal.position().acked


@pytest.fixture
async def fooled(fake, tmp_path):
    """A gate that can reach only the hostile broker."""
    gate = Gate(tmp_path / "state", fake.settings())
    yield gate
    if gate.task:
        await gate.stop()
    gate.journal.close()


@pytest.fixture
async def gate(broker, tmp_path):
    gate = Gate(tmp_path / "state", broker.settings())
    yield gate
    if gate.task:
        await gate.stop()
    gate.journal.close()


@pytest.fixture
def delivered():
    """Wait until the office holds all rows and the gate knows it; then check that no row is missing, doubled or
    altered.
    """

    async def delivered(gate, receiver):
        await until(lambda: gate.acked == gate.count, "the ack of the last event")
        held, written = receiver.server.events, gate.journal.entries(limit=gate.count + 1)
        assert list(held) == list(range(1, gate.count + 1))
        assert [(e.at, e.kind, e.body, e.hash) for e in held.values()] == [
            (e.at, e.kind, e.body, e.hash) for e in written
        ]
        assert (receiver.server.lost, receiver.server.altered, receiver.refused) == (set(), [], 0)

    return delivered


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture
def topics():
    return TOPICS
