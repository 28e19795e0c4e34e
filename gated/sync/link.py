"""The wire to the community server: MQTT 3.1.1 over TLS with certificates on both sides. The only home of aiomqtt.

The link decides nothing: the journal holds what is to be sent, the outbox says when, the server's ack says what has
arrived. It may be down for a month, and the door neither knows nor waits.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import aiomqtt
from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import GatedError, WireError
from gated.journal.entry import stamp
from gated.journal.journal import Journal
from gated.sync.dial import address, backoff_s, tls_context
from gated.sync.drain import Drain
from gated.sync.messages import StatusMessage, encode
from gated.sync.topics import Topics

log = logging.getLogger(__name__)
client_log = logging.getLogger(f"{__name__}.client")
client_log.setLevel(logging.ERROR)  # it would warn of every single message that finds its queue full
"""The client's own words, which name the TLS alert, go with the first failure of a row; see `run_link`."""

KEEPALIVE_S = 30
STEADY_S = 10.0
"""A connection that held for so long was a good one: back-off begins anew."""
LOOK_S = 1.0
"""The journal is looked at so often anyway: another process may have appended."""
FAREWELL_S = 0.2
"""For each of the two steps of leaving: saying that we are offline, and closing the connection."""
MAX_QUEUED_ACKS = 100

FAILURES = (aiomqtt.MqttError, OSError, GatedError)


async def run_link(
    settings: SyncSettings,
    topics: Topics,
    open_journal: Callable[[], Journal],
    status: Callable[[], StatusMessage],
    wake: asyncio.Event,
    *,
    on_link: Callable[[str | None], None] = lambda _: None,
) -> None:
    """Keep the server in step until cancelled; then say goodbye within half a second.

    `open_journal` opens a journal for the link alone, on a thread of its own. `status` is asked on the event loop,
    often, and must not wait. Set `wake` when there is something new to tell. `on_link` is told why there is no link,
    and with None that there is one.
    """
    failures = 0
    while True:
        drain = Drain(open_journal, settings.ack_timeout_s)
        session = _Session(settings, topics, drain, status, wake)
        session.on_up = lambda: on_link(None)
        began, client_log.disabled = time.monotonic(), failures > 0
        try:
            await session.run(was_down=failures > 0)
        except FAILURES as error:
            failures = 1 if session.is_up and time.monotonic() - began > STEADY_S else failures + 1
            if failures == 1:
                log.warning("no link to the server, trying again and again: %s", error)
                on_link(str(error))
        _heed_cancellation()
        await asyncio.sleep(backoff_s(failures, settings.backoff_max_s, random.random()))  # noqa: S311 - jitter


class _Session:
    """One connection, from dialling to losing it."""

    def __init__(
        self,
        settings: SyncSettings,
        topics: Topics,
        drain: Drain,
        status: Callable[[], StatusMessage],
        wake: asyncio.Event,
    ) -> None:
        self.on_up: Callable[[], None] = lambda: None
        self._settings, self._topics, self._drain, self._status, self._wake = settings, topics, drain, status, wake
        self._told: StatusMessage | None = None
        self._told_at = 0.0
        self.is_up = False

    async def run(self, was_down: bool) -> None:
        """Until the connection is lost (one of `FAILURES`) or this is cancelled."""
        try:
            async with self._connected() as client:
                await client.subscribe(self._topics.ack, qos=1)
                _heed_cancellation()
                self.is_up = True
                self.on_up()
                log.log(logging.INFO if was_down else logging.DEBUG, "the link to the server is up")
                try:
                    await _first_of(self._receive(client), self._send(client))
                except asyncio.CancelledError:
                    await self._farewell(client)
                    raise
        finally:
            self._drain.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiomqtt.Client]:
        """A client that is connected; it is left within `FAREWELL_S`, whatever the network does."""
        context = await asyncio.to_thread(tls_context, self._settings)
        host, port = address(self._settings.url)
        client = aiomqtt.Client(
            host,
            port,
            identifier=f"gated-{self._topics.site}-{self._topics.gate}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            tls_context=context,
            will=aiomqtt.Will(self._topics.status, self._offline(), qos=1, retain=True),
            max_queued_incoming_messages=MAX_QUEUED_ACKS,
            logger=client_log,
        )
        await client.__aenter__()
        try:
            _heed_cancellation()
            yield client
        finally:
            client.timeout = FAREWELL_S
            with suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    async def _send(self, client: aiomqtt.Client) -> None:
        """Publish what is due, for ever; the status whenever it has changed, events whenever some wait."""
        pause_s = min(LOOK_S, self._settings.ack_timeout_s)
        while True:
            _heed_cancellation()
            self._wake.clear()
            payload = await self._drain.look()
            await self._tell_status(client)
            if payload is not None:
                await client.publish(self._topics.event, payload, qos=1)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _receive(self, client: aiomqtt.Client) -> None:
        """Take acks, for ever. What is retained, forged or garbage changes nothing; the first of a row is logged."""
        ignored = 0
        async for message in client.messages:
            if message.retain or message.topic.value != self._topics.ack or not isinstance(message.payload, bytes):
                continue
            try:
                if await self._drain.settle(message.payload):
                    self._wake.set()
                ignored = 0
            except WireError as error:
                ignored += 1
                if ignored == 1:
                    log.warning("the server's word is ignored: %s", error)

    async def _tell_status(self, client: aiomqtt.Client) -> None:
        """Publish the status when it says something new, or nothing was said for `status_s`."""
        status, now = self._status(), time.monotonic()
        if status == self._told and now - self._told_at < self._settings.status_s:
            return
        await client.publish(self._topics.status, self._stamped(status, "online"), qos=1, retain=True)
        self._told, self._told_at = status, now

    async def _farewell(self, client: aiomqtt.Client) -> None:
        """Say that we go, unless the network takes too long."""
        with suppress(aiomqtt.MqttError):
            await client.publish(self._topics.status, self._offline(), qos=1, retain=True, timeout=FAREWELL_S)

    def _offline(self) -> bytes:
        return self._stamped(self._status(), "offline")

    def _stamped(self, status: StatusMessage, state: str) -> bytes:
        return encode(replace(status, state=state, at=stamp(datetime.now(UTC)), journal=self._drain.mark))


async def _first_of(*works: Coroutine[None, None, None]) -> None:
    """Until one of them fails, with its error; the others end with it.

    Not a `TaskGroup`: in Python 3.11 one that fails while it is cancelled forgets that it was.
    """
    tasks = [asyncio.create_task(work, name=f"link-{number}") for number, work in enumerate(works)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _heed_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11, which aiomqtt waits with, may swallow a cancellation; this one does not."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
