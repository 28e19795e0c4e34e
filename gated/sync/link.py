"""The gate's wire to its office: one connection after the other, over a network that comes and goes.

It decides nothing. `GateSide`, on a thread of its own, knows what is to be said; orders are carried out by somebody
else. The link may be down for a month, and the door neither knows nor waits.
"""

import asyncio
import logging
import random
import ssl
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from gated.config import SyncSettings
from gated.errors import GatedError
from gated.sync.certificate import check_name
from gated.sync.commands import Outcome
from gated.sync.dial import Dialect, address, backoff_s, tls_context
from gated.sync.flood import Bucket
from gated.sync.gate import GateSide, Heard, Vitals
from gated.sync.messages import Command, Message
from gated.sync.mqtt import Arrived, Connection, NotSpokenError
from gated.sync.sealing import UNLOCKED, Lock
from gated.sync.talk import Talk
from gated.sync.wire import Outgoing

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

STEADY_S = 10.0
"""A connection that held for so long was a good one: back-off begins anew."""
LOOK_S = 1.0
"""The journal is looked at so often anyway: another process may have appended."""
FAREWELL_S = 0.2
"""For each of the two steps of leaving: saying that we are offline, and closing the connection."""
JUNK, JUNK_PER_S = 100, 20
"""So much of what says nothing is heard at once, and so much of it for ever."""
REST_S = 1.0
"""With more than that, nothing is heard for so long."""
MOST_PARCELS = 100

FAILURES = (OSError, GatedError)
Perform = Callable[[Command, Talk], Awaitable[Outcome]]
"""Carries out an order, and talks about it with whoever waits at the office."""


async def run_link(
    settings: SyncSettings,
    side: GateSide,
    vitals: Callable[[], Vitals],
    wall: Callable[[], datetime | None],
    perform: Perform,
    *,
    wake: asyncio.Event,
    thread: ThreadPoolExecutor,
    on_link: Callable[[str | None], None] = lambda _: None,
    lock: Lock = UNLOCKED,
    succeed: Callable[[], bool] = lambda: False,
) -> None:
    """Keep the office in step until cancelled; then say goodbye within half a second, and close `side`.

    `side` is used on `thread` alone, which has one worker and ends with this. `vitals` and `wall` (the time of day,
    None while it is not trusted) are asked on the event loop, often, and must not wait. `perform` carries out an order
    in a task of its own, and raises nothing. Set `wake` when there is something new to tell. `on_link` is told why
    there is no link, and with None that there is one. `lock` opens the key of our certificate. `succeed`
    is asked, on a thread, when the broker is not our office's: whether the office was handed over; then this ends.
    """
    link = _Link(settings, side, thread, vitals, wall, perform, wake, on_link, lock, succeed)
    try:
        await link.run()
    finally:
        link.drop_orders()
        thread.submit(side.close)
        thread.shutdown(wait=False)


@dataclass
class _Link:
    """What outlives a connection: which MQTT worked, how much junk came, orders that are being carried out."""

    settings: SyncSettings
    side: GateSide
    thread: ThreadPoolExecutor
    vitals: Callable[[], Vitals]
    wall: Callable[[], datetime | None]
    perform: Perform
    wake: asyncio.Event
    on_link: Callable[[str | None], None]
    lock: Lock
    succeed: Callable[[], bool]

    def __post_init__(self) -> None:
        self._dialect, self._bucket = Dialect(self.settings.protocol), Bucket(JUNK, JUNK_PER_S)
        self._parcels: deque[Outgoing] = deque(maxlen=MOST_PARCELS)
        """What is to be said whenever there is a connection."""
        self._said: deque[Message] = deque(maxlen=MOST_PARCELS)
        self._talks: dict[str, Talk] = {}
        self._orders: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._up_at: float | None = None

    async def run(self) -> None:
        """One connection after the other, until the office is another one."""
        while True:
            self._up_at = None
            try:
                await self._session()
            except NotSpokenError as error:
                if not self._dialect.failed():
                    self._failed(error)
            except FAILURES as error:
                self._failed(error)
                if isinstance(error, ssl.SSLCertVerificationError) and await asyncio.to_thread(self.succeed):
                    return
            if self._failures:
                dice = random.random()  # noqa: S311 - jitter
                await asyncio.sleep(backoff_s(self._failures, self.settings.backoff_max_s, dice))

    def drop_orders(self) -> None:
        """What is being carried out is given up."""
        for order in self._orders:
            order.cancel()

    def _failed(self, error: Exception) -> None:
        was_steady = self._up_at is not None and time.monotonic() - self._up_at > STEADY_S
        self._failures = 1 if was_steady else self._failures + 1
        if self._failures == 1:
            log.warning("no link to the server, trying again and again: %s", error)
        if self._failures == 1 or self._up_at is not None:
            self.on_link(str(error))

    async def _session(self) -> None:
        """One connection, until it is lost (one of `FAILURES`) or this is cancelled."""
        connection = await self._dial()
        try:
            await connection.connect()
            self._dialect.worked()
            await connection.subscribe(self.side.topics.down)
            await self._on_thread(self.side.connected, time.monotonic())
            await self._on_thread(self.side.met, connection.broker_ends, datetime.now(UTC))
            self._is_up()
            await _first_of(self._receive(connection), self._send(connection))
        except asyncio.CancelledError:
            await self._farewell(connection)
            raise
        finally:
            connection.cut()

    async def _dial(self) -> Connection:
        await self._on_thread(self.side.met, None, datetime.now(UTC))
        context = await asyncio.to_thread(tls_context, self.settings, self.lock)
        await asyncio.to_thread(check_name, self.settings, self.side.topics.gate)
        where = address(self.settings.url)
        will = await self._on_thread(self.side.will, datetime.now(UTC), self.vitals())
        return Connection(where, self.side.client_id, self._dialect.version, context, will)

    def _is_up(self) -> None:
        self._up_at = time.monotonic()
        log.log(logging.INFO if self._failures else logging.DEBUG, "the link to the server is up")
        self.on_link(None)

    async def _send(self, connection: Connection) -> None:
        """Publish what is due, until the link is to be dialled anew for its certificates."""
        pause_s = min(LOOK_S, self.settings.ack_timeout_s)
        while True:
            self.wake.clear()
            while self._parcels:
                await connection.publish(self._parcels[0])
                self._parcels.popleft()
            said = [self._said.popleft() for _ in range(len(self._said))]
            for out in await self._on_thread(self.side.said, said) if said else ():
                await connection.publish(out)
            for out in await self._on_thread(self.side.due, time.monotonic(), datetime.now(UTC), self.vitals()):
                await connection.publish(out)
            if self.side.is_stale and not self._orders:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.wake.wait()

    async def _receive(self, connection: Connection) -> None:
        """Hear what arrives, for ever, and hear less while it says nothing."""
        while True:
            heard = await self._hear(await connection.message())
            if heard.act is not None:
                self._order(heard.act)
            if heard.answer is not None and heard.answer.order in self._talks:
                self._talks[heard.answer.order].hear(heard.answer)
            for out in heard.out:
                await connection.publish(out)
            if not heard.is_junk:
                self.wake.set()
            elif not self._bucket.take(time.monotonic()):
                await asyncio.sleep(REST_S)

    async def _hear(self, arrived: Arrived) -> Heard:
        """Nothing is expected to be retained: it would be from the past. What we did not foresee harms nobody else."""
        if arrived.retain:
            return Heard(is_junk=True)
        try:
            return await self._on_thread(self.side.hear, arrived.topic, arrived.payload, time.monotonic(), self.wall())
        except Exception as error:  # noqa: BLE001 - the border of the thread: no message may end the gate
            log.error("a message of the server's could not be dealt with: %s", _place(error))
            return Heard(is_junk=True)

    def _order(self, command: Command) -> None:
        talk = self._talks[command.id] = Talk(command, self._say)
        order = asyncio.create_task(self._carry_out(command, talk), name=f"order-{command.number}")
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)

    def _say(self, message: Message) -> None:
        self._said.append(message)
        self.wake.set()

    async def _carry_out(self, command: Command, talk: Talk) -> None:
        """Have an order carried out, and say what came of it over whichever connection there is then."""
        try:
            outcome = await self.perform(command, talk)
        finally:
            del self._talks[command.id]
        self._parcels.extend(await self._on_thread(self.side.settle, command, outcome, time.monotonic()))
        self.wake.set()

    async def _farewell(self, connection: Connection) -> None:
        """Say that we go, and go; where that takes too long, the last will says it."""
        if self._up_at is None:
            return
        with suppress(*FAILURES):
            async with asyncio.timeout(FAREWELL_S):
                last = await self._on_thread(self.side.goodbye, datetime.now(UTC), self.vitals())
                await connection.publish(last)
            await connection.leave(FAREWELL_S)

    async def _on_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.thread, lambda: work(*args, **kwargs))


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


def _place(error: Exception) -> str:
    """Which error, and where it arose; not its words, which might be about somebody."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
