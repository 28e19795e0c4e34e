"""The latch: a service of its own that owns every pin and outlives the brain.

It serves one brain on a Unix socket. The lock is energised under a lease alone, and the grant's lease ends with the
connection, with the brain's heartbeat, or by itself, whichever is first. The exit button needs no brain.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from gated.config import DoorSettings
from gated.door.hardware import Wiring
from gated.door.machine import Door, Drop, Exit, Input, Leaf, Release, Tick, step
from gated.door.messages import (
    Beat,
    DriveLine,
    FromBrain,
    Goodbye,
    Happened,
    Hello,
    LatchState,
    Refused,
    ReleaseLock,
    Welcome,
)
from gated.door.pins import pin_factory
from gated.errors import ConfigError, LatchError, StateError, WireError
from gated.runtime.channel import Channel
from gated.runtime.lock import FileLock

log = logging.getLogger(__name__)

HELLO_S = 1.0
"""So long a new connection may take to say who it is."""
SILENCE_S = 2.0
"""So long a brain may be silent before it is taken for dead; it beats twice a second."""
RESYNC_S = 0.5
"""Inputs are read again this often, because an edge can be lost."""
REMEMBERED = 1000
"""Facts kept for the next brain while there is none."""


class Latch:
    """The pins, the machine, and the one brain that may ask for a release."""

    def __init__(self, settings: DoorSettings) -> None:
        """Claim the pins, lock off. Raises `LatchError` when there are none to claim."""
        self._settings = settings
        self._door = Door(relock_on_close=settings.relock_on_close)
        self._was_pressed = False
        self._brain: Channel[FromBrain] | None = None
        self._facts: deque[Happened] = deque(maxlen=REMEMBERED)
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._uids = allowed_uids(settings)
        self._wiring = Wiring(settings, pin_factory(settings), self._edge)
        self._read_inputs()

    async def keep(self, idle_exit_s: float | None = None) -> None:
        """Read the inputs for ever, or until no brain has been there for so long; edges only make it sooner."""
        seen = time.monotonic()
        while idle_exit_s is None or time.monotonic() - seen < idle_exit_s:
            self._read_inputs()
            if self._brain is not None:
                seen = time.monotonic()
            await asyncio.sleep(RESYNC_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first word to its end. Whatever happens in it, the lease ends with it."""
        channel = Channel[FromBrain](reader, writer, FromBrain)
        try:
            await self._greet(channel)
            await self._obey(channel)
        except (WireError, LatchError) as error:
            log.warning("connection dropped: %s", error)
            with contextlib.suppress(WireError):
                channel.send(Refused(str(error)))
        except TimeoutError:
            log.warning("connection dropped: the other side is silent")
        except EOFError:
            log.info("the brain has gone")
        finally:
            if self._brain is channel:
                self._brain = None
                self._give(Drop("disconnect"))
            await channel.close()

    def close(self) -> None:
        """Lock off, pins given back."""
        self._give(Drop("stop", exits=True))
        if self._timer is not None:
            self._timer.cancel()
        self._wiring.close()

    async def _greet(self, channel: Channel[FromBrain]) -> None:
        """Let in the one brain that may come in."""
        if channel.peer_uid not in self._uids:
            raise LatchError(f"user {channel.peer_uid} may not command this latch; set [door] brain_user")
        if not isinstance(await channel.receive(HELLO_S), Hello):
            raise WireError("the first word must be hello")
        if self._brain is not None:
            raise LatchError("another brain holds the door")
        self._brain = channel
        channel.send(Welcome())
        while self._facts:
            channel.send(self._facts.popleft())

    async def _obey(self, channel: Channel[FromBrain]) -> None:
        while True:
            match await channel.receive(SILENCE_S):
                case Beat():
                    channel.send(LatchState(self._door.state))
                case ReleaseLock(visit, lease_s, decided_at):
                    self._give(Release(visit, lease_s, decided_at))
                case DriveLine(line, is_active):
                    self._wiring.drive(line, is_active)
                case Goodbye():
                    self._give(Drop("stop"))
                    return
                case Hello():
                    raise WireError("hello is said once")

    def _edge(self) -> None:
        """An edge, on a thread of gpiozero's: read the inputs on ours."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end of the process
            self._loop.call_soon_threadsafe(self._read_inputs)

    def _read_inputs(self) -> None:
        pressed = self._wiring.is_pressed
        if pressed and not self._was_pressed:
            self._give(Exit(self._settings.release_s))
        self._was_pressed = pressed
        self._give(Leaf(self._wiring.is_open))

    def _give(self, given: Input) -> None:
        """One step of the machine: first the lock, then the clock, then the news."""
        self._door, events = step(self._door, given, time.monotonic())
        self._wiring.lock(self._door.is_energised)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._door.until, self._give, Tick()) if self._door.is_energised else None
        for event in events:
            log.info("%s", event)
            self._tell(Happened(time.time(), event))  # type: ignore[arg-type]  # the machine reports door facts only

    def _tell(self, fact: Happened) -> None:
        try:
            if self._brain is None:
                raise WireError("no brain")
            self._brain.send(fact)
        except WireError:
            self._facts.append(fact)


def allowed_uids(settings: DoorSettings) -> frozenset[int]:
    """Who may command the latch: its own user, and the brain's. Raises `ConfigError` for a user that does not exist."""
    if not settings.brain_user:
        return frozenset({os.getuid()})
    try:
        return frozenset({os.getuid(), pwd.getpwnam(settings.brain_user).pw_uid})
    except KeyError as error:
        raise ConfigError("settings", [f"door.brain_user: there is no user {settings.brain_user!r}"]) from error


async def serve(
    settings: DoorSettings, path: Path, ready: Callable[[], None], idle_exit_s: float | None = None
) -> None:
    """Serve the pins on a Unix socket until cancelled, or with `idle_exit_s` until no brain has been there for so long.

    Raises `BusyError` when another latch serves there, `StateError` when the socket cannot be made, and `LatchError`
    when there are no pins.
    """
    lock = FileLock(path.with_suffix(".lock"), "a latch")
    try:
        latch = Latch(settings)
        try:
            path.unlink(missing_ok=True)  # left over by one that was killed: the lock says that nobody serves it
            server = await asyncio.start_unix_server(latch.serve, path)
            path.chmod(0o660 if settings.brain_user else 0o600)
            ready()
            await latch.keep(idle_exit_s)
            server.close()
        except OSError as error:
            raise StateError(f"{path}: the latch cannot listen there ({error})") from error
        finally:
            latch.close()
            path.unlink(missing_ok=True)
    finally:
        lock.close()
