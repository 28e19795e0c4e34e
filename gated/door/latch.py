"""The latch: a service of its own that owns every pin and outlives the brain.

It serves one brain on a Unix socket. A lock is released under a lease alone, and the leases of a grant and of a
schedule end with the connection, with the brain's heartbeat, or by themselves, whichever is first. The exit button and
the fire input need no brain.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing

from gated.config import DoorSettings, Settings
from gated.door.fire import FireFlag
from gated.door.messages import (
    Beat,
    CardRead,
    DriveLine,
    FromBrain,
    Goodbye,
    Happened,
    Hello,
    KeyPressed,
    LatchState,
    Play,
    Refused,
    ReleaseLock,
    SetLockdown,
    Welcome,
)
from gated.door.panel import Panel
from gated.door.pins import claim_output, pin_factory
from gated.door.state import Drop, Lockdown, Release
from gated.errors import ConfigError, LatchError, StateError, WireError
from gated.events import MAIN, Event
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
    """The pins, and the one brain that may ask for a release."""

    def __init__(self, settings: Settings) -> None:
        """Claim the pins, each lock secured, or released where a fire release stands. Raises `LatchError` when there
        are none to claim.
        """
        self._brain: Channel[FromBrain] | None = None
        self._facts: deque[Happened] = deque(maxlen=REMEMBERED)
        self._uids = allowed_uids(settings.door)
        flag = FireFlag(settings.latch_socket.with_suffix(".fire"))
        self._panel = Panel(settings, flag, self._happened, self._on_card, self._on_key)

    async def keep(self, alive: Callable[[], None], idle_exit_s: float | None = None) -> None:
        """Read the inputs for ever, or until no brain has been there for so long; edges only make it sooner.

        `alive` is called after each reading: a latch that cannot read its pins does not live.
        """
        seen = time.monotonic()
        while idle_exit_s is None or time.monotonic() - seen < idle_exit_s:
            self._panel.read()
            alive()
            if self._brain is not None:
                seen = time.monotonic()
            await asyncio.sleep(RESYNC_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first word to its end. Whatever happens in it, the lease ends with it."""
        channel = Channel[FromBrain](reader, writer, FromBrain)
        try:
            await (self._show(channel) if await self._greet(channel) else self._obey(channel))
        except (WireError, LatchError) as error:
            log.warning("connection dropped: %s", error)
            with contextlib.suppress(WireError):
                channel.send(Refused(str(error)))
        except TimeoutError:
            log.warning("connection dropped: the other side is silent")
        except EOFError:
            log.info("%s has gone", "the brain" if self._brain is channel else "an observer")
        finally:
            if self._brain is channel:
                self._brain = None
                self._panel.give_all(Drop("disconnect"))
                self._panel.outputs.show(is_fault=True)
            await channel.close()

    def close(self) -> None:
        """Give the pins back; what that means for each lock is told at `Panel.close`."""
        self._panel.close()

    async def _greet(self, channel: Channel[FromBrain]) -> bool:
        """Let in the one brain that may come in, or an observer; gives whether it is one."""
        if channel.peer_uid not in self._uids:
            raise LatchError(f"user {channel.peer_uid} may not command this latch; set [door] brain_user")
        hello = await channel.receive(HELLO_S)
        if not isinstance(hello, Hello):
            raise WireError("the first word must be hello")
        if hello.observer:
            channel.send(Welcome())
            return True
        if self._brain is not None:
            raise LatchError("another brain holds the door")
        self._brain = channel
        self._panel.outputs.show(is_fault=False)
        channel.send(Welcome())
        while self._facts:
            channel.send(self._facts.popleft())
        return False

    async def _show(self, channel: Channel[FromBrain]) -> None:
        """An observer looks on, and on mock pins may be the outside world; it holds nothing that could end with it."""
        while True:
            match await channel.receive(SILENCE_S):
                case Beat():
                    channel.send(self._state())
                case DriveLine(line, is_active, door):
                    self._panel.drive(door, line, is_active)
                case Goodbye():
                    return
                case _:
                    raise LatchError("an observer may ask for nothing")

    async def _obey(self, channel: Channel[FromBrain]) -> None:
        while True:
            match await channel.receive(SILENCE_S):
                case Beat():
                    channel.send(self._state())
                case ReleaseLock(visit, lease_s, decided_at, door, cause):
                    self._panel.release(door, Release(visit, lease_s, decided_at, cause))
                case SetLockdown(is_on):
                    self._panel.give_all(Lockdown(is_on))
                case Play(line, pattern, repeats):
                    self._panel.outputs.play(line, pattern, repeats)
                case DriveLine(line, is_active, door):
                    self._panel.drive(door, line, is_active)
                case Goodbye():
                    self._panel.give_all(Drop("stop"))
                    return
                case Hello():
                    raise WireError("hello is said once")

    def _state(self) -> LatchState:
        doors: dict[str, str] = {name: each.door.state for name, each in self._panel.doors.items()}
        return LatchState(doors[MAIN], doors, self._panel.lines, self._panel.is_on_fire, self._brain is not None)

    def _on_card(self, bits: str, door: str) -> None:
        self._pass_on(CardRead(bits, door))

    def _on_key(self, key: str, door: str) -> None:
        self._pass_on(KeyPressed(key, door))

    def _pass_on(self, read: CardRead | KeyPressed) -> None:
        """What a reader read is for the brain that is there now; nothing of it is kept, and nothing is logged."""
        if self._brain is not None:
            with contextlib.suppress(WireError):  # whoever listens to it sees the end
                self._brain.send(read)

    def _happened(self, event: Event) -> None:
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
    settings: Settings, ready: Callable[[], None], alive: Callable[[], None], idle_exit_s: float | None = None
) -> None:
    """Serve the pins on the settings' Unix socket until cancelled, or until no brain has been there for `idle_exit_s`.

    `ready` is called once somebody can come, `alive` twice a second.

    Raises `BusyError` when another latch serves there, `StateError` when the socket cannot be made, and `LatchError`
    when there are no pins.
    """
    path = settings.latch_socket
    lock = FileLock(path.with_suffix(".lock"), "a latch")
    try:
        latch = Latch(settings)
        try:
            path.unlink(missing_ok=True)  # left over by one that was killed: the lock says that nobody serves it
            server = await asyncio.start_unix_server(latch.serve, path)
            path.chmod(0o660 if settings.door.brain_user else 0o600)
            ready()
            await latch.keep(alive, idle_exit_s)
            server.close()
        except OSError as error:
            raise StateError(f"{path}: the latch cannot listen there ({error})") from error
        finally:
            latch.close()
            path.unlink(missing_ok=True)
    finally:
        lock.close()


def take_power_off(settings: Settings) -> None:
    """Take the power off every lock, once, when no latch is there to do it: a pin keeps its level when its process is
    killed. A strike is secured by that; a magnet and a reverse strike are as in a power cut.

    Raises `BusyError` while a latch serves, and `LatchError` when there are no pins.
    """
    with closing(FileLock(settings.latch_socket.with_suffix(".lock"), "a latch")):
        factory = pin_factory(settings)
        try:
            for wires in settings.doors.values():
                claim_output(factory, wires.lock_pin, active_high=wires.lock_active_high).close()
        finally:
            factory.close()
