"""Tests of one connection with hostile brokers: whatever they send, the worst result is the end of the connection."""

import asyncio
import random
import socket
import time
import tracemalloc

import pytest

from gated.protocol import mqtt
from gated.protocol.envelope import Outgoing
from gated.protocol.limits import MAX_PACKET_BYTES
from gated.protocol.mqtt import MOST_WAITING, READS_PER_S, Arrived, Connection, NotSpokenError

WILL = Outgoing("gated/1/s/g/up/status", b"offline", retain=True)


@pytest.fixture
async def connection_to(fake):
    """A factory of connections to the hostile broker; the connections are not dialled yet."""
    made = []

    def connection_to(version="3.1.1", port=None):
        address = "localhost", port or fake.port
        made.append(Connection(address, "gated-s-g", version, fake.client_context(), WILL))
        return made[-1]

    yield connection_to
    for connection in made:
        connection.cut()


@pytest.fixture
async def connection(connection_to):
    connection = connection_to()
    await connection.connect()
    return connection


@pytest.fixture
def briefly(monkeypatch):
    """Shorten the timeouts to 0.5 s."""
    monkeypatch.setattr(mqtt, "CONNECT_S", 0.5)
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.5)


# -- normal use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "level"), [("3.1.1", 4), ("5", 5)])
async def test_a_connection_subscribes_publishes_and_receives(fake, connection_to, published, version, level):
    connection = connection_to(version)
    await connection.connect()
    await connection.subscribe(["a", "b", "c"])
    await connection.publish(Outgoing("up", b"x" * 100_000))
    properties = b"\x00" if version == "5" else b""
    await fake.send(published("down", properties + b"hello") + published("down", properties + b"again", first=0x31))
    assert await connection.message() == Arrived("down", b"hello", False)
    assert (await connection.message()).retain
    assert fake.levels == [level]


async def test_a_closed_connection_sends_a_goodbye_and_a_broken_one_does_not(fake, connection_to, until):
    for leave, last in ((True, 0xE0), (False, 0x10)):
        connection = connection_to()
        await connection.connect()
        if leave:
            await connection.leave(5.0)
        connection.cut()
        connection.cut()
        await until(fake.is_gone, "the end")
        assert fake.packets[-1] == last


async def test_using_an_ended_connection_raises(connection):
    connection.cut()
    for work in (connection.message(), connection.publish(WILL), connection.subscribe(["a"])):
        with pytest.raises(ConnectionAbortedError, match="hung up"):
            await work


async def test_waiting_on_a_connection_ends_when_the_broker_closes_it(fake, connection):
    waiting = asyncio.create_task(connection.message())
    fake.is_confirming = False
    confirming = asyncio.create_task(connection.publish(WILL))
    await asyncio.sleep(0.1)
    fake.writer.transport.abort()
    for task in (waiting, confirming):
        with pytest.raises(ConnectionAbortedError, match="hung up"):
            await task


# -- brokers that do not answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "answer"), [("3.1.1", b"\x20\x02\x00\x01"), ("5", b"\x20\x03\x00\x84\x00")])
async def test_a_broker_without_this_version_is_recognised(fake, connection_to, version, answer):
    fake.connack = {4: answer, 5: answer}
    with pytest.raises(NotSpokenError):
        await connection_to(version).connect()


async def test_an_mqtt_3_broker_refuses_mqtt_5_in_its_own_format(fake, connection_to):
    fake.connack = {5: b"\x20\x02\x00\x01"}
    with pytest.raises(NotSpokenError):
        await connection_to("5").connect()


@pytest.mark.parametrize(("version", "answer"), [("3.1.1", b"\x20\x02\x00\x05"), ("5", b"\x20\x03\x00\x87\x00")])
async def test_a_refusal_of_the_broker_has_its_reason(fake, connection_to, version, answer):
    fake.connack = {4: answer, 5: answer}
    with pytest.raises(ConnectionRefusedError, match="refuses the connection: Not authorized"):
        await connection_to(version).connect()


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 100, b"\x00\x00"])
async def test_garbage_or_silence_instead_of_an_answer_is_an_error(fake, connection_to, briefly, answer):
    fake.connack = {4: answer}
    with pytest.raises(NotSpokenError):
        await connection_to().connect()


async def test_a_silent_broker_is_not_awaited(fake, connection_to, briefly):
    fake.connack = {4: b""}
    with pytest.raises(NotSpokenError, match="does not answer"):
        await connection_to().connect()


async def test_a_server_that_is_silent_during_tls_is_not_awaited(connection_to, briefly):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="timed out"):
        await connection_to(port=silent.getsockname()[1]).connect()


async def test_garbage_instead_of_tls_is_reported_at_once(connection_to):
    async def chatter(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async with await asyncio.start_server(chatter, "127.0.0.1", 0) as server:
        with pytest.raises(OSError, match="SSL"):
            await connection_to(port=server.sockets[0].getsockname()[1]).connect()


async def test_a_cancelled_dial_leaves_nothing_open(fake, connection_to, until):
    fake.connack = {4: b""}
    connection = connection_to()
    dialling = asyncio.create_task(connection.connect())
    await asyncio.sleep(0)
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling
    connection.cut()
    await until(lambda: fake.writer is None or fake.is_gone(), "the end")


async def test_a_broker_without_confirmations_is_disconnected(fake, connection, briefly):
    fake.is_confirming = False
    with pytest.raises(ConnectionAbortedError, match="confirmed nothing"):
        await connection.publish(WILL)


# -- brokers that send too much --------------------------------------------------------------------------------------


async def test_a_256_mb_message_is_cut_off_before_it_uses_memory(fake, connection):
    tracemalloc.start()
    try:
        await fake.send(b"\x30\xff\xff\xff\x7f\x00\x04down" + b"x" * 500_000)
        with pytest.raises(ConnectionAbortedError, match="268435455 bytes begins"):
            await connection.message()
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


async def test_the_longest_allowed_message_is_received(fake, connection, published):
    long = b"x" * (MAX_PACKET_BYTES - 6)
    await fake.send(published("down", long))
    assert (await connection.message()).payload == long
    await fake.send(published("down", long + b"x"))
    with pytest.raises(ConnectionAbortedError, match="110001 bytes begins"):
        await connection.message()


async def test_a_qos_2_message_ends_the_connection(fake, connection, published):
    await fake.send(published("down", b"\x00\x07kept", first=0x34))
    with pytest.raises(ConnectionAbortedError, match="QoS 2"):
        await connection.message()


async def test_the_socket_is_read_only_while_messages_are_fetched(fake, connection, published):
    sending = asyncio.create_task(fake.send(published("down", b"x" * 10_000) * 2000))
    await asyncio.sleep(1.0)
    assert len(connection._arrived) <= MOST_WAITING
    assert not sending.done()  # 20 MB wait in the network and at the sender
    for _ in range(100):
        assert len((await connection.message()).payload) == 10_000
    assert len(connection._arrived) <= MOST_WAITING
    sending.cancel()


async def test_invalid_messages_are_read_at_a_limited_rate(fake, connection, monkeypatch):
    reads, read = [0], connection._paho.loop_read

    def counted():
        reads[0] += 1
        return read()

    monkeypatch.setattr(connection._paho, "loop_read", counted)
    began = time.monotonic()
    sending = asyncio.create_task(fake.send(b"\xd0\x00" * 1_000_000))
    await asyncio.sleep(1.5)
    elapsed = time.monotonic() - began
    sending.cancel()
    assert READS_PER_S * 0.5 < reads[0] <= READS_PER_S * (elapsed + 2)


async def test_random_bytes_end_the_connection_or_are_ignored(fake, connection_to, published):
    dice = random.Random(20261123)
    whole = published("down", b"x" * 300) + b"\x90\x05\x00\x01\x01\x01\x01\x40\x02\x00\x09\xd0\x00\x62\x02\x00\x01"
    for turn in range(25):
        connection = connection_to("5" if turn % 2 else "3.1.1")
        await connection.connect()
        data = bytearray(whole if turn % 3 else dice.randbytes(400))
        for _ in range(dice.randint(0, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        await fake.send(bytes(data))
        fake.writer.close()
        with pytest.raises(ConnectionAbortedError):
            while True:
                await connection.message()
