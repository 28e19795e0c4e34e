"""The office on the wire: MQTT 3.1.1 over TLS to a broker that it does not trust. Decides nothing; `OfficeSide` does.

What arrives is answered in its order; what is due goes out as soon as another process has changed something.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from gated.errors import BusyError
from gated.office.client import Client, MqttError, ProtocolVersion
from gated.office.gates import NoSuchGateError
from gated.office.side import OfficeSide
from gated.sync.dial import backoff_s
from gated.sync.wire import Outgoing

log = logging.getLogger(__name__)
client_log = logging.getLogger(f"{__name__}.client")
client_log.setLevel(logging.CRITICAL)
"""The client's own words add nothing to the first failure of a row."""

LOOK_S = 0.1
"""How often it is asked whether there is something new to say."""
DUE_S = 1.0
BACKOFF_MAX_S = 10.0
STEADY_S = 10.0
"""A connection that held for so long was a good one: back-off begins anew."""
MAX_QUEUED = 10_000
"""So many messages may wait for an answer; what is dropped beyond that comes again."""
FAILURES = (MqttError, OSError)


async def run_link(
    side: OfficeSide, host: str, port: int, context: ssl.SSLContext, identifier: str = "gated-OFFICE"
) -> None:
    """Speak with the gates until cancelled. `identifier` is the client id, another for each process at one broker.

    Raises `StateError` when the office's disk fails.
    """
    failures = 0
    while True:
        began = time.monotonic()
        try:
            async with _client(host, port, context, identifier) as client:
                log.log(logging.INFO if failures else logging.DEBUG, "the link to the broker is up")
                await _converse(side, client)
        except FAILURES as error:
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            if failures == 1:
                log.warning("no link to the broker, trying again and again: %s", error)
        _heed_cancellation()
        await asyncio.sleep(backoff_s(failures, BACKOFF_MAX_S, random.random()))  # noqa: S311 - jitter


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


async def _converse(side: OfficeSide, client: Client) -> None:
    """Until the connection is lost (one of `FAILURES`).

    Not a `TaskGroup`: in Python 3.11 one whose part has failed leaves its task marked as cancelled.
    """
    parts = [asyncio.create_task(_listen(side, client)), asyncio.create_task(_speak(side, client))]
    try:
        done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
    for part in done:
        part.result()


async def _listen(side: OfficeSide, client: Client) -> None:
    async for message in client.messages:
        if not isinstance(message.payload, bytes):
            continue
        try:
            said = side.hear(message.topic.value, message.payload, time.monotonic(), datetime.now(UTC))
        except (BusyError, NoSuchGateError) as error:
            log.warning("a message is passed over, and will come again: %s", error)
            continue
        await _publish(client, said)


async def _speak(side: OfficeSide, client: Client) -> None:
    """Say what is due, and listen to every gate there is; to those that were there first before saying anything."""
    heard, due_at = set[str](), 0.0
    while True:
        _heed_cancellation()
        if time.monotonic() >= due_at or side.changed():
            due_at = time.monotonic() + DUE_S
            try:
                said = side.due(time.monotonic(), datetime.now(UTC))
            except (BusyError, NoSuchGateError) as error:
                log.warning("what is due must wait: %s", error)
                continue
            for topic in sorted(side.topics - heard):
                await client.subscribe(topic, qos=1)
            heard = side.topics
            await _publish(client, said)
        await asyncio.sleep(LOOK_S)


async def _publish(client: Client, said: Sequence[Outgoing]) -> None:
    """In their order, without waiting for the broker's word on each; it is worth nothing."""
    await asyncio.gather(*(client.publish(out.topic, out.payload, qos=1, retain=out.retain) for out in said))


def _heed_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11, which aiomqtt waits with, may swallow a cancellation; this one does not."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
