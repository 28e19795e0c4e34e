"""The latch: a separate service that owns every GPIO pin and outlives the brain.

It serves one brain on a Unix socket. A lock is released only under a lease or a fire release. A grant or schedule lease
ends as soon as the connection ends, the brain's heartbeat stops, or the lease expires. The exit button and the fire
input need no brain.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import time
from collections import deque
from collections.abc import Callable

from gated import wording
from gated.config import DoorSettings, Settings
from gated.door.door_state import EndLeases, LockdownInput, ReleaseRequest
from gated.door.fire import FireFlag
from gated.door.latch_messages import (
    CardRead,
    DriveLine,
    EventReport,
    FromBrain,
    Goodbye,
    Hello,
    KeyPressed,
    LatchHeartbeat,
    LatchState,
    PlayPattern,
    Refused,
    ReleaseLock,
    SetLockdown,
    Welcome,
)
from gated.door.panel import LatchPanel
from gated.errors import ConfigError, LatchError, WireError
from gated.events import MAIN, Event
from gated.runtime.channel import Channel

log = logging.getLogger(__name__)

HELLO_S = 1.0
"""The time that a new connection has to send its hello."""
BRAIN_SILENCE_S = 2.0
"""The longest silence of a brain before its connection is closed. It sends a heartbeat twice a second."""
RESYNC_S = 0.5
"""The interval for reading all inputs again: the kernel can lose an edge."""
MOST_STORED_EVENTS = 1000
"""The most events kept for the next brain while no brain is connected."""


class Latch:
    """The server side of the latch: the pins, and the one brain that may request a release."""

    def __init__(self, settings: Settings, *, makes_files: bool = True) -> None:
        """Claim the pins with each lock secured, or released if a fire release is active.

        `makes_files` as at `pin_factory`. Raises `LatchError` as `LatchPanel` does.
        """
        self._brain: Channel[FromBrain] | None = None
        self._pending: deque[EventReport] = deque(maxlen=MOST_STORED_EVENTS)
        self._uids = _uids_or_own(settings.door)
        flag = FireFlag(settings.latch_socket.with_suffix(".fire"))
        self._panel = LatchPanel(settings, flag, self._on_event, self._on_card, self._on_key, makes_files=makes_files)

    async def read_inputs(self, alive: Callable[[], None], idle_exit_s: float | None = None) -> None:
        """Read the inputs every `RESYNC_S`. Return after `idle_exit_s` without a connected brain (None: never).

        An edge makes the next reading earlier. Calls `alive` after each reading. So the watchdog ends a latch that
        cannot read its pins.
        """
        connected_at = time.monotonic()
        while idle_exit_s is None or time.monotonic() - connected_at < idle_exit_s:
            self._panel.read()
            alive()
            if self._brain is not None:
                connected_at = time.monotonic()
            await asyncio.sleep(RESYNC_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends. The leases of a brain end with its connection, in every case."""
        channel = Channel[FromBrain](reader, writer, FromBrain)
        try:
            await (self._serve_observer(channel) if await self._accept(channel) else self._serve_brain(channel))
        except (WireError, LatchError) as error:
            log.warning("connection dropped: %s", error)
            with contextlib.suppress(WireError):
                channel.send(Refused(str(error)))
        except TimeoutError:
            log.warning("connection dropped: the other side is silent")
        except EOFError:
            log.info("%s has disconnected", "the brain" if self._brain is channel else "an observer")
        finally:
            if self._brain is channel:
                self._brain = None
                self._panel.step_all(EndLeases("disconnect"))
                self._panel.outputs.show(is_fault=True)
            await channel.close()

    @property
    def missing(self) -> dict[str, str]:
        """The optional parts whose pins cannot be used now, each with the reason."""
        return self._panel.missing

    def close(self) -> None:
        """Give the pins back. `LatchPanel.close` describes the effect on each lock."""
        self._panel.close()

    async def _accept(self, channel: Channel[FromBrain]) -> bool:
        """Accept an observer, or the brain if none is connected. Returns whether it is an observer.

        Raises `LatchError` for a user that is not allowed or a second brain, and `WireError` without a hello.
        """
        if channel.peer_uid not in self._uids:
            raise LatchError(f"user {channel.peer_uid} may not command this latch; set [door] brain_user")
        hello = await channel.receive(HELLO_S)
        if not isinstance(hello, Hello):
            raise WireError("the first message must be hello")
        if hello.observer:
            channel.send(Welcome())
            return True
        if self._brain is not None:
            raise LatchError("another brain is connected")
        self._brain = channel
        self._panel.outputs.show(is_fault=False)
        channel.send(Welcome())
        while self._pending:
            channel.send(self._pending.popleft())
        return False

    async def _serve_observer(self, channel: Channel[FromBrain]) -> None:
        """Answer an observer's heartbeats, and let it drive mock lines. It has no lease."""
        while True:
            match await channel.receive(BRAIN_SILENCE_S):
                case LatchHeartbeat():
                    channel.send(self._state())
                case DriveLine(line, is_active, door):
                    self._panel.drive(door, line, is_active)
                case Goodbye():
                    return
                case _:
                    raise LatchError("an observer may only ask for the state")

    async def _serve_brain(self, channel: Channel[FromBrain]) -> None:
        while True:
            match await channel.receive(BRAIN_SILENCE_S):
                case LatchHeartbeat():
                    channel.send(self._state())
                case ReleaseLock(visit, lease_s, decided_at, door, cause, holder):
                    self._panel.release(door, ReleaseRequest(visit, lease_s, decided_at, cause, holder))
                case SetLockdown(is_on):
                    self._panel.step_all(LockdownInput(is_on))
                case PlayPattern(line, pattern, repeats):
                    self._panel.outputs.play(line, pattern, repeats)
                case DriveLine(line, is_active, door):
                    self._panel.drive(door, line, is_active)
                case Goodbye():
                    self._panel.step_all(EndLeases("stop"))
                    return
                case Hello():
                    raise WireError("the brain sent hello twice")

    def _state(self) -> LatchState:
        doors: dict[str, str] = {name: each.door.state for name, each in self._panel.doors.items()}
        panel = self._panel
        state, has_brain = doors.get(MAIN, "unknown"), self._brain is not None
        return LatchState(state, doors, panel.lines, panel.is_on_fire, has_brain, panel.missing)

    def _on_card(self, bits: str, door: str) -> None:
        self._send_reading(CardRead(bits, door))

    def _on_key(self, key: str, door: str) -> None:
        self._send_reading(KeyPressed(key, door))

    def _send_reading(self, reading: CardRead | KeyPressed) -> None:
        """Send a card or a key to the connected brain. It is never stored and never logged."""
        if self._brain is not None:
            with contextlib.suppress(WireError):  # `serve` notices the end of the connection
                self._brain.send(reading)

    def _on_event(self, event: Event) -> None:
        log.info("%s", wording.fact(event))
        self._send_event(EventReport(time.time(), event))  # type: ignore[arg-type]  # the machine reports door events only

    def _send_event(self, event: EventReport) -> None:
        """Send an event to the brain, or keep it for the next brain."""
        try:
            if self._brain is None:
                raise WireError("no brain")
            self._brain.send(event)
        except WireError:
            self._pending.append(event)


def allowed_uids(settings: DoorSettings) -> frozenset[int]:
    """Return the user ids that may command the latch. That is the brain's user, or the latch's user if the settings
    name no brain user.

    Raises `ConfigError` for a user that does not exist.
    """
    if not settings.brain_user:
        return frozenset({os.getuid()})
    try:
        return frozenset({pwd.getpwnam(settings.brain_user).pw_uid})
    except KeyError as error:
        raise ConfigError("settings", [f"door.brain_user: there is no user {settings.brain_user!r}"]) from error


def _uids_or_own(settings: DoorSettings) -> frozenset[int]:
    """Return `allowed_uids`, or the own user if the configured user does not exist. The exit button must still work."""
    try:
        return allowed_uids(settings)
    except ConfigError as error:
        log.error("%s; until that is fixed, only user %d may command this latch", error, os.getuid())
        return frozenset({os.getuid()})
