"""Fixtures of the link's tests: brokers, an office and a gate, as `tests/fakes` makes them."""

import asyncio
import ssl

import pytest

from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity
from tests.fakes.gate_end import Gate, Records
from tests.fakes.link_keys import (
    GATE,
    GATE_PEER,
    IDENTITY,
    OFFICE_PEER,
    PATIENCE_S,
    SITE,
    TOPICS,
    authority,
    issue,
    until,
)
from tests.fakes.local_brokers import FakeBroker, LocalMosquitto, published
from tests.fakes.office_end import FakeOffice, Receiver


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
    broker = LocalMosquitto(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session", name="authority")
def authority_fixture():
    return authority()


@pytest.fixture(scope="session")
def server_kind():
    return FakeOffice


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
    receiver = Receiver(broker, FakeOffice(), OFFICE_PEER)
    task = asyncio.create_task(receiver.run())
    await asyncio.wait_for(receiver.is_up.wait(), PATIENCE_S)
    yield receiver
    while not task.done():  # in Python 3.11, asyncio.wait_for, which aiomqtt uses, may swallow a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=1)
    assert task.cancelled() or task.exception() is None


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
