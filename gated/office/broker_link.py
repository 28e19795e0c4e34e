"""Connects the office to the broker: MQTT 3.1.1 over TLS. `Exchange` makes all decisions.

The broker is not trusted. Messages are answered in order of arrival. Due messages go out as soon as another process
changes the database.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from gated.errors import BusyError
from gated.office.exchange import Exchange
from gated.office.gate_store import NoSuchGateError
from gated.office.mqtt_client import Client, MqttError, ProtocolVersion
from gated.protocol.broker import FIRST_RETRY_S, STEADY_S
from gated.protocol.envelope import Outgoing
from gated.runtime.tasks import Backoff, first_of

log = logging.getLogger(__name__)
client_log = logging.getLogger(f"{__name__}.client")
"""The client library's log, silenced: its messages add nothing to our first warning."""
client_log.setLevel(logging.CRITICAL)
"""The client's own words add nothing to the first failure of a row."""

POLL_S = 0.1
"""Interval in seconds between checks for new data to send."""
DUE_S = 1.0
"""Seconds between calls of `due` while nothing changes."""
BACKOFF_MAX_S = 10.0
"""Upper limit in seconds for the pause between connection attempts."""
MAX_QUEUED = 10_000
"""Limit for messages that wait for an answer. Dropped messages are sent again."""
FAILURES = (MqttError, OSError)


async def run_link(
    exchange: Exchange, host: str, port: int, context: ssl.SSLContext, identifier: str = "gated-OFFICE"
) -> None:
    """Exchange messages with the gates until cancelled. `identifier`: the client id, unique per process at one broker.

    Raises `StateError` when the office's disk fails.
    """
    failures, backoff = 0, Backoff(FIRST_RETRY_S, BACKOFF_MAX_S)
    while True:
        began = time.monotonic()
        try:
            async with _client(host, port, context, identifier) as client:
                log.log(logging.INFO if failures else logging.DEBUG, "connected to the broker")
                await _converse(exchange, client)
        except FAILURES as error:
            if time.monotonic() - began > STEADY_S:
                failures = 0
                backoff.reset()
            failures += 1
            if failures == 1:
                log.warning("cannot connect to the broker, trying again until it works: %s", error)
        _raise_pending_cancellation()
        await asyncio.sleep(backoff.next_s())


def _client(host: str, port: int, context: ssl.SSLContext, identifier: str) -> Client:
    return Client(
        host,
        port,
        identifier=identifier,
        protocol=ProtocolVersion.V311,
        clean_session=True,
        tls_context=context,
        max_queued_incoming_messages=MAX_QUEUED,
        logger=client_log,
    )


async def _converse(exchange: Exchange, client: Client) -> None:
    """Listen and send until the connection is lost, with one of `FAILURES`."""
    await first_of(_receive(exchange, client), _send(exchange, client), name="broker")


async def _receive(exchange: Exchange, client: Client) -> None:
    async for message in client.messages:
        if not isinstance(message.payload, bytes):
            continue
        try:
            messages = exchange.handle_message(
                message.topic.value, message.payload, time.monotonic(), datetime.now(UTC)
            )
        except (BusyError, NoSuchGateError) as error:
            log.warning("a message was not processed; the gate sends it again: %s", error)
            continue
        await _publish(client, messages)


async def _send(exchange: Exchange, client: Client) -> None:
    """Send due messages, and subscribe to every gate. Subscribes first, then sends."""
    subscribed, due_at = set[str](), 0.0
    while True:
        _raise_pending_cancellation()
        if time.monotonic() >= due_at or exchange.changed():
            due_at = time.monotonic() + DUE_S
            try:
                messages = exchange.due(time.monotonic(), datetime.now(UTC))
            except (BusyError, NoSuchGateError) as error:
                log.warning("cannot send messages now, trying again: %s", error)
                continue
            for topic in sorted(exchange.topics - subscribed):
                await client.subscribe(topic, qos=1)
            subscribed = exchange.topics
            await _publish(client, messages)
        await asyncio.sleep(POLL_S)


async def _publish(client: Client, messages: Sequence[Outgoing]) -> None:
    """Publish in order, without waiting for each PUBACK. A PUBACK proves nothing."""
    await asyncio.gather(*(client.publish(out.topic, out.payload, qos=1, retain=out.retain) for out in messages))


def _raise_pending_cancellation() -> None:
    """Raise a pending cancellation. In Python 3.11, `asyncio.wait_for`, which aiomqtt uses, may swallow it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
