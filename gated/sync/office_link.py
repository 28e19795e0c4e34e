"""The network side of the gate's link: one connection to the office after another, on the event loop.

The link decides nothing. `GateSide`, on a separate thread, chooses the messages to send. `perform` carries out
commands. The link may be down for a month: the door neither knows nor waits.
"""

import asyncio
import logging
import ssl
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from gated.config import SyncSettings
from gated.errors import GatedError
from gated.protocol.broker import FIRST_RETRY_S, STEADY_S, Dialect, address, tls_context
from gated.protocol.certificate import check_name
from gated.protocol.command_messages import Command
from gated.protocol.envelope import Outgoing
from gated.protocol.flood import Bucket
from gated.protocol.mqtt import Arrived, Connection, NotSpokenError
from gated.protocol.sealed_files import UNLOCKED, Lock
from gated.protocol.wire_types import Message
from gated.runtime.tasks import Backoff, first_of
from gated.sync.command_desk import CommandOutcome
from gated.sync.operator_dialog import OperatorDialog
from gated.sync.session import GateSide, Handled
from gated.sync.status_reports import Vitals

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

JOURNAL_POLL_S = 1.0
"""Longest pause between two looks at the journal, in seconds. Another process may append to it without a wake-up."""
FAREWELL_S = 0.2
"""Time limit, in seconds, for each of the two steps of leaving: to send the state offline, and to close
the connection.
"""
JUNK, JUNK_PER_S = 100, 20
"""Rate limit for invalid or repeated messages: burst in messages, sustained in messages per second."""
FLOOD_REST_S = 1.0
"""Pause in reading after the limit `JUNK` is exceeded, in seconds."""
MOST_PARCELS = 100
"""Most messages that wait for a connection or for the next send. More push out the oldest."""

FAILURES = (OSError, GatedError)
Perform = Callable[[Command, OperatorDialog], Awaitable[CommandOutcome]]
"""Carries out a command, and talks about it with the waiting operator at the office."""


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
    """Keep the office in step until cancelled. Then send the state offline within half a second, and close `side`.

    `side` is used on `thread` only; `thread` has one worker and ends with this call. `vitals` and `wall` are called on
    the event loop, often, and must not wait. `wall` returns the time of day, None while the clock is not trusted.
    `perform` carries out a command in a task of its own, and raises nothing. The caller sets `wake` when new data is
    ready to send. `on_link` receives the reason why the link is down, or None once it is up. `lock` opens the key of
    the gate's certificate. `succeed` runs on a thread when the broker's certificate is not from this office's
    authority. It returns whether the office was handed over; if so, this call ends.
    """
    link = _Link(settings, side, thread, vitals, wall, perform, wake, on_link, lock, succeed)
    try:
        await link.run()
    finally:
        link.drop_commands()
        thread.submit(side.close)
        thread.shutdown(wait=False)


@dataclass
class _Link:
    """State that outlives a connection: the MQTT version that works, the rate limit, and the commands in progress."""

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
        """Messages to send on the current or the next connection."""
        self._queued: deque[Message] = deque(maxlen=MOST_PARCELS)
        self._talks: dict[str, OperatorDialog] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._failures, self._backoff = 0, Backoff(FIRST_RETRY_S, self.settings.backoff_max_s)
        self._up_at: float | None = None

    async def run(self) -> None:
        """Open one connection after another, until the office is replaced."""
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
                await asyncio.sleep(self._backoff.next_s())

    def drop_commands(self) -> None:
        """Cancel the commands in progress."""
        for task in self._running:
            task.cancel()

    def _failed(self, error: Exception) -> None:
        if self._up_at is not None and time.monotonic() - self._up_at > STEADY_S:
            self._failures = 0
            self._backoff.reset()
        self._failures += 1
        if self._failures == 1:
            log.warning("cannot connect to the office, trying again until it works: %s", error)
        if self._failures == 1 or self._up_at is not None:
            self.on_link(str(error))

    async def _session(self) -> None:
        """Run one connection until it is lost, is to be dialled again, or this task is cancelled.

        A lost connection raises one of `FAILURES`.
        """
        connection = await self._dial()
        try:
            await connection.connect()
            self._dialect.worked()
            await connection.subscribe(self.side.topics.down)
            await self._on_thread(self.side.start_connection, time.monotonic())
            await self._on_thread(self.side.check_certificates, connection.broker_ends, datetime.now(UTC))
            self._is_up()
            await first_of(self._receive(connection), self._send(connection), name="link")
        except asyncio.CancelledError:
            await self._farewell(connection)
            raise
        finally:
            connection.cut()

    async def _dial(self) -> Connection:
        await self._on_thread(self.side.check_certificates, None, datetime.now(UTC))
        context = await asyncio.to_thread(tls_context, self.settings, self.lock)
        await asyncio.to_thread(check_name, self.settings, self.side.topics.gate)
        office_address = address(self.settings.url)
        will = await self._on_thread(self.side.last_will, datetime.now(UTC), self.vitals())
        return Connection(office_address, self.side.client_id, self._dialect.version, context, will)

    def _is_up(self) -> None:
        self._up_at = time.monotonic()
        log.log(logging.INFO if self._failures else logging.DEBUG, "connected to the office")
        self.on_link(None)

    async def _send(self, connection: Connection) -> None:
        """Publish what is due. Return when a renewed certificate requires a new connection."""
        pause_s = min(JOURNAL_POLL_S, self.settings.ack_timeout_s)
        while True:
            self.wake.clear()
            while self._parcels:
                await connection.publish(self._parcels[0])
                self._parcels.popleft()
            queued = [self._queued.popleft() for _ in range(len(self._queued))]
            for out in await self._on_thread(self.side.encode, queued) if queued else ():
                await connection.publish(out)
            for out in await self._on_thread(self.side.due, time.monotonic(), datetime.now(UTC), self.vitals()):
                await connection.publish(out)
            if self.side.is_stale and not self._running:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.wake.wait()

    async def _receive(self, connection: Connection) -> None:
        """Handle arriving messages, for ever. Pause for `FLOOD_REST_S` when invalid messages exceed the rate limit."""
        while True:
            handled = await self._handle(await connection.message())
            if handled.command is not None:
                self._start_command(handled.command)
            if handled.confirmation is not None and handled.confirmation.command in self._talks:
                self._talks[handled.confirmation.command].handle_confirmation(handled.confirmation)
            for out in handled.outgoing:
                await connection.publish(out)
            if not handled.is_invalid:
                self.wake.set()
            elif not self._bucket.spend_token(time.monotonic()):
                await asyncio.sleep(FLOOD_REST_S)

    async def _handle(self, arrived: Arrived) -> Handled:
        """Handle one message on the side's thread. Reject a retained message: it is from the past.

        An unexpected error in the handling is logged and counts as an invalid message.
        """
        if arrived.retain:
            return Handled(is_invalid=True)
        try:
            return await self._on_thread(
                self.side.handle_message, arrived.topic, arrived.payload, time.monotonic(), self.wall()
            )
        except Exception as error:  # noqa: BLE001 - no message may end the gate
            log.error("a message from the office could not be handled: %s", _place(error))
            return Handled(is_invalid=True)

    def _start_command(self, command: Command) -> None:
        talk = self._talks[command.id] = OperatorDialog(command, self._queue_message)
        task = asyncio.create_task(self._carry_out(command, talk), name=f"order-{command.number}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _queue_message(self, message: Message) -> None:
        self._queued.append(message)
        self.wake.set()

    async def _carry_out(self, command: Command, talk: OperatorDialog) -> None:
        """Carry out a command, and queue its outcome for the current or the next connection."""
        try:
            outcome = await self.perform(command, talk)
        finally:
            del self._talks[command.id]
        self._parcels.extend(await self._on_thread(self.side.finish_command, command, outcome, time.monotonic()))
        self.wake.set()

    async def _farewell(self, connection: Connection) -> None:
        """Send the state offline and disconnect. After a timeout, the broker sends the last will."""
        if self._up_at is None:
            return
        with suppress(*FAILURES):
            async with asyncio.timeout(FAREWELL_S):
                last = await self._on_thread(self.side.last_will, datetime.now(UTC), self.vitals())
                await connection.publish(last)
            await connection.leave(FAREWELL_S)

    async def _on_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.thread, lambda: work(*args, **kwargs))


def _place(error: Exception) -> str:
    """Return the error's type and the place where it arose. Leaves out its message, which may contain personal data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
