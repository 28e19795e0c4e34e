"""Check that each of the three brokers meets the protocol's demands.

The demands: QoS 1 on exact topics, retained messages, a last will, messages of 100 KiB, certificates, and per-gate
topic limits.
"""

import asyncio
import contextlib

import aiomqtt
import pytest
import trustme

from gated.protocol.limits import MAX_BYTES
from gated.protocol.topics import Topics
from tests.fakes.proxy import Proxy

OFFICE = "OFFICE"
PATIENCE_S = 60.0
V5 = aiomqtt.ProtocolVersion.V5
V5_PATIENCE_S = 2.0
"""Timeout in seconds: RabbitMQ 3.10 never answers an MQTT 5 CONNECT."""


async def next_of(client):
    return await asyncio.wait_for(anext(aiter(client.messages)), PATIENCE_S)


async def listening(client, topics):
    for topic in topics:
        await client.subscribe(topic, qos=1)


async def attempt(client, work):
    """Try a forbidden action. One broker refuses it, one ends the connection, and one reports success."""
    tasks = [asyncio.create_task(work), asyncio.create_task(next_of(client))]
    await asyncio.wait(tasks, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def pipe(broker, gate, topics):
    """Send one message each way and return the two received payloads."""
    async with broker.client(OFFICE) as office, broker.client(gate) as client:
        await listening(office, [topics.event])
        await listening(client, [topics.ack])
        await client.publish(topics.event, b"up", qos=1)
        await office.publish(topics.ack, b"down", qos=1)
        return (await next_of(office)).payload, (await next_of(client)).payload


async def test_every_topic_is_delivered_both_ways_in_order(broker, gate, topics):
    async with broker.client(OFFICE) as office, broker.client(gate) as client:
        await listening(office, topics.up)
        await listening(client, topics.down)
        for sender, receiver, ways in ((client, office, topics.up), (office, client, topics.down)):
            for topic in ways:
                for number in range(20):
                    await sender.publish(topic, f"{number}", qos=1)
                got = [await next_of(receiver) for _ in range(20)]
                assert [(m.topic.value, m.payload, m.qos, m.retain) for m in got] == [
                    (topic, f"{number}".encode(), 1, False) for number in range(20)
                ]


async def test_the_newest_status_is_retained_for_later_subscribers(broker, gate, topics):
    async with broker.client(gate) as client:
        for state in (b"old", b"new"):
            await client.publish(topics.status, state, qos=1, retain=True)
        await client.publish(topics.event, b"not retained", qos=1)
    async with broker.client(OFFICE) as office:
        await listening(office, topics.up)
        message = await next_of(office)
        assert (message.payload, message.retain) == (b"new", True)
        async with broker.client(gate) as client:
            await client.publish(topics.event, b"up", qos=1)
        assert (await next_of(office)).payload == b"up", "the event of before was kept"


async def test_the_last_will_of_a_dead_gate_is_delivered_and_retained(broker, gate, topics):
    will = aiomqtt.Will(topics.status, b"offline", qos=1, retain=True)
    async with Proxy("127.0.0.1", broker.port) as wire, broker.client(OFFICE) as office:
        await listening(office, [topics.status])
        with contextlib.suppress(aiomqtt.MqttError):
            async with broker.client(gate, port=wire.port, will=will) as client:
                await client.publish(topics.status, b"online", qos=1, retain=True)
                assert (await next_of(office)).payload == b"online"
                wire.reset()
                assert (await next_of(office)).payload == b"offline"
    async with broker.client(OFFICE) as late:
        await listening(late, [topics.status])
        message = await next_of(late)
        assert (message.payload, message.retain) == (b"offline", True)


async def test_the_longest_message_is_delivered_and_the_connection_stays(broker, gate, topics):
    longest = bytes(range(256)) * (MAX_BYTES // 256)
    async with broker.client(OFFICE) as office, broker.client(gate) as client:
        await listening(office, [topics.event])
        for _ in range(3):
            await client.publish(topics.event, longest, qos=1)
        assert [(await next_of(office)).payload for _ in range(3)] == [longest] * 3


async def test_a_returning_client_replaces_its_hanging_connection(broker, gate, topics):
    async with broker.client(OFFICE) as office:
        await listening(office, [topics.event])
        with contextlib.suppress(aiomqtt.MqttError):
            first, back = (broker.client(gate, identifier=f"gated-{gate}") for _ in range(2))
            async with first, back:
                await back.publish(topics.event, b"here again", qos=1)
                assert (await next_of(office)).payload == b"here again"


@pytest.mark.parametrize("who", ["nobody", "a stranger"])
async def test_without_a_certificate_of_this_authority_no_client_connects(broker, gate, who):
    assert broker.knock(broker.tls(gate)) == broker.accepted
    context = broker.tls()
    if who == "a stranger":
        trustme.CA().issue_cert(f"{gate}.invalid", common_name=gate).configure_cert(context)
    with pytest.raises(OSError, match="alert|reset|EOF"):
        assert broker.knock(context) == b""
        raise OSError("EOF: it hung up")


async def test_a_gate_cannot_publish_where_another_or_the_office_does(broker, gate, topics):
    other = Topics(topics.site, broker.spare())
    elsewhere = Topics("elsewhere", gate)
    async with broker.client(OFFICE) as office, broker.client(other.gate) as victim:
        await listening(office, [*topics.up, *other.up])
        await listening(victim, other.down)
        for topic in (*other.up, *other.down, *topics.down, *elsewhere.up):
            with contextlib.suppress(aiomqtt.MqttError):  # the broker ended the connection
                async with broker.client(gate) as client:
                    await attempt(client, client.publish(topic, b"forged", qos=1, retain=topic == other.status))
        async with broker.client(gate) as client:
            for topic, by in ((topics.event, client), (other.event, victim)):
                await by.publish(topic, b"genuine", qos=1)
                assert (await next_of(office)).payload == b"genuine"
        await office.publish(other.ack, b"genuine", qos=1)
        assert (await next_of(victim)).payload == b"genuine"
    async with broker.client(OFFICE) as late:
        await listening(late, [other.status, topics.event])
        async with broker.client(gate) as client:
            await client.publish(topics.event, b"genuine", qos=1)
        assert (await next_of(late)).payload == b"genuine", "a forged status was kept for who comes later"


async def test_a_client_with_a_forbidden_name_publishes_nothing(broker, gate, topics):
    unknown = Topics(broker.site, f"unknown-{gate}")
    broker.certificate(unknown.gate)
    async with broker.client(OFFICE) as office:
        await listening(office, [unknown.event, topics.event])
        for topic in (unknown.event, topics.event):
            with contextlib.suppress(aiomqtt.MqttError):
                async with broker.client(unknown.gate, timeout=5.0) as client:
                    await attempt(client, client.publish(topic, b"forged", qos=1))
        async with broker.client(gate) as client:
            await client.publish(topics.event, b"genuine", qos=1)
        assert (await next_of(office)).payload == b"genuine"


async def test_a_gate_cannot_read_messages_for_another(broker, gate, topics):
    other = Topics(topics.site, broker.spare())
    async with broker.client(OFFICE) as office, broker.client(other.gate) as neighbour:
        await neighbour.publish(other.status, b"not for you", qos=1, retain=True)
        for topic in (*other.down, *other.up, f"gated/1/{topics.site}/+/down/#", "#"):
            with contextlib.suppress(aiomqtt.MqttError):
                async with broker.client(gate, timeout=5.0) as curious:
                    await attempt(curious, curious.subscribe(topic, qos=1))
                    await curious.subscribe(topics.ack, qos=1)
                    for each in other.down:
                        await office.publish(each, b"not for you", qos=1)
                    await neighbour.publish(other.event, b"not for you", qos=1)
                    await office.publish(topics.ack, b"for you", qos=1)
                    assert (await next_of(curious)).payload == b"for you", topic


async def test_a_gate_that_joins_later_is_admitted(broker, gate):
    """Uses new connections: NATS ends all connections when its rules change."""
    new = Topics(broker.site, f"new-{gate}")
    broker.allow(new.gate)
    async with asyncio.timeout(PATIENCE_S):
        while True:  # a broker needs time to reload its rules
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(3.0):
                    assert await pipe(broker, new.gate, new) == (b"up", b"down")
                    return
            await asyncio.sleep(0.1)


async def test_mqtt_5_works_or_fails_with_an_error_and_3_1_1_follows_at_once(broker, gate, topics):
    """Mosquitto speaks MQTT 5. NATS refuses it in its CONNACK. RabbitMQ before 3.13 does not answer."""
    with contextlib.suppress(aiomqtt.MqttError):
        async with broker.client(gate, protocol=V5, timeout=V5_PATIENCE_S) as client:
            await client.publish(topics.event, b"", qos=1)
    assert await pipe(broker, gate, topics) == (b"up", b"down")


async def test_a_restarted_broker_serves_the_same_gates(broker, gate, topics):
    broker.kill()
    with pytest.raises((aiomqtt.MqttError, OSError)):
        async with broker.client(gate, timeout=3.0):
            pass
    broker.start()
    assert await pipe(broker, gate, topics) == (b"up", b"down")
