"""USB card readers and keypads, which to the kernel are keyboards: their events are read, and kept from everybody else.

Events are `struct input_event` of 64-bit Linux (linux/input.h, kernel documentation "Linux Input Subsystem userspace
API"). The kernel's times are used, not ours: a brain that was busy for a second would else take a PIN for a card.
"""

import asyncio
import errno
import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable

from gated.access.typed import Typed, Typist
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

EVENT = struct.Struct("<qqHHi")
"""Seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
EVIOCSCLOCKID = 0x400445A0  # _IOW('E', 0xa0, int)
NO_DEVICE = (errno.ENOTTY, errno.EINVAL)
"""What a pipe in the place of a device answers."""

ODD = "?"
"""Stands for every key that is no part of a number."""
SHIFTS = (42, 54)
SILENT = (*SHIFTS, 69)
"""Keys that say nothing by themselves: Shift, and the Num Lock that some readers press first."""
# Codes by linux/input-event-codes.h: the row of digits, the block of digits, a phone's keys, letters, ends and clears.
KEYS = dict(zip((11, *range(2, 11)), "0123456789", strict=True))
KEYS |= dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True))
KEYS |= dict(zip(range(0x200, 0x20C), "0123456789*#", strict=True))
KEYS |= {30: "A", 48: "B", 46: "C", 32: "D", 18: "E", 33: "F", 28: "\n", 96: "\n", 55: "*"}
SHIFTED = {4: "#", 9: "*", **{code: key for code, key in KEYS.items() if key in "ABCDEF\n"}}

CHUNK_BYTES = 64 * EVENT.size
PAUSE_S = 0.005
"""After each read, so that a flood costs a few per cent of a core; the kernel holds what comes meanwhile, and says so
where it was too much."""


class Keyboard:
    """Bytes of a device into keys. Pure: a chunk in, keys with their times out; holds less than one event."""

    def __init__(self) -> None:
        self._rest, self._shifts = b"", 0

    def feed(self, chunk: bytes) -> list[tuple[str, float]]:
        """The keys that went down in a chunk, and when, in seconds of the kernel's clock; `ODD` for one we do not know.

        A key that is held repeats nothing.
        """
        chunk = self._rest + chunk
        whole = len(chunk) - len(chunk) % EVENT.size
        self._rest = chunk[whole:]
        pressed = []
        for seconds, micros, kind, code, value in EVENT.iter_unpack(chunk[:whole]):
            key = self._key(kind, code, value)
            if key is not None:
                pressed.append((key, seconds + micros / 1e6))
        return pressed

    def _key(self, kind: int, code: int, value: int) -> str | None:
        if kind == EV_SYN and code == SYN_DROPPED:
            self._shifts = 0
            return ODD
        if kind != EV_KEY:
            return None
        if code in SHIFTS:
            bit = 1 << SHIFTS.index(code)
            self._shifts = self._shifts | bit if value else self._shifts & ~bit
        if value != 1 or code in SILENT:
            return None
        return (SHIFTED if self._shifts else KEYS).get(code, ODD)


class UsbReader:
    """One device under /dev/input, for as long as it is there, and again when it is back."""

    def __init__(self, path: str, on_typed: Callable[[Typed], None]) -> None:
        self._path, self._on_typed = path, on_typed
        self._backoff = Backoff(first_s=0.2, most_s=5.0)
        self._why = ""
        self.is_open = False
        """Whether the device is there and ours."""

    async def run(self) -> None:
        """Read it, for ever."""
        while True:
            try:
                await self._read()
                why = "it was unplugged"
            except OSError as error:
                why = error.strerror or str(error)
            if why != self._why:
                log.warning("reader %s cannot be read: %s; plug it in, or mend readers.devices", self._path, why)
            self._why = why
            await asyncio.sleep(self._backoff.next_s())

    async def _read(self) -> None:
        """One life of the device, from its opening to its end. Raises `OSError`."""
        fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _grab(fd)
            self.is_open = True
            await self._listen(fd)
        finally:
            self.is_open = False
            os.close(fd)

    async def _listen(self, fd: int) -> None:
        keyboard, typist = Keyboard(), Typist()
        while chunk := await _chunk(fd):
            if self._why:
                log.info("reader %s is back", self._path)
            self._why = ""
            self._backoff.reset()
            for key, at in keyboard.feed(chunk):
                typed = typist.key(key, at)
                if typed is not None:
                    self._on_typed(typed)
            await asyncio.sleep(PAUSE_S)


def _grab(fd: int) -> None:
    """Have the device to ourselves, its times by the monotonic clock. Raises `OSError` when somebody else has it."""
    for request, argument in ((EVIOCGRAB, 1), (EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))):
        try:
            fcntl.ioctl(fd, request, argument)
        except OSError as error:
            if error.errno not in NO_DEVICE:
                raise


async def _chunk(fd: int) -> bytes:
    """What is there to read, once there is something; nothing at the end. Raises `OSError` when it is unplugged."""
    loop = asyncio.get_running_loop()
    while True:
        with_data = asyncio.Event()
        loop.add_reader(fd, with_data.set)
        try:
            await with_data.wait()
        finally:
            loop.remove_reader(fd)
        try:
            return os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            continue
