"""Read USB card readers and keypads exclusively. The kernel treats them as keyboards.

Events are `struct input_event` of 64-bit Linux (linux/input.h, kernel documentation "Linux Input Subsystem userspace
API"). The timing uses the kernel's times. Times of the brain would be wrong after a busy second, and a PIN could be
mistaken for a card.
"""

import asyncio
import errno
import fcntl
import logging
import os
import select
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from gated.access.readers.keystrokes import NumberCollector, TypedNumber
from gated.config import UsbSettings
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

EVENT = struct.Struct("<qqHHi")
"""Seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
EVIOCSCLOCKID = 0x400445A0  # _IOW('E', 0xa0, int)
NO_DEVICE = (errno.ENOTTY, errno.EINVAL)
"""The errors of an ioctl on a pipe that is used instead of a device."""

ODD_KEY = "\0"
"""Stands for every key that is not part of a number."""
SHIFTS = (42, 54)
SILENT = (*SHIFTS, 58, 69)
"""Keys without an effect of their own: Shift, and Caps Lock and Num Lock, which some readers press first."""
# Codes of linux/input-event-codes.h: the rows of an English keyboard, the number pad with and without Num Lock, the
# number keys of a phone, and the keys that end and clear.
KEY_ROWS = {2: "1234567890-=", 16: "QWERTYUIOP[]", 30: "ASDFGHJKL;'`", 43: "\\ZXCVBNM,./"}
UPPER = {2: "!@#$%^&*()_+", 16: "QWERTYUIOP{}", 30: 'ASDFGHJKL:"~', 43: "|ZXCVBNM<>?"}
NUMBER_PAD = {82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9"}
NO_NUM_LOCK = {110: "0", 107: "1", 108: "2", 109: "3", 105: "4", 106: "6", 102: "7", 103: "8", 104: "9"}
OTHER_KEYS = {
    28: "\n",
    96: "\n",
    15: "\t",
    57: " ",
    14: "\b",
    1: "\b",
    111: "\b",
    55: "*",
    74: "-",
    78: "+",
    83: ".",
    98: "/",
}
BOTH = NUMBER_PAD | NO_NUM_LOCK | OTHER_KEYS | dict(zip(range(0x200, 0x20C), "0123456789*#", strict=True))
KEYBOARD_KEYS = {first + at: key for first, row in KEY_ROWS.items() for at, key in enumerate(row)} | BOTH
SHIFTED = {first + at: key for first, row in UPPER.items() for at, key in enumerate(row)} | BOTH

EVENTS_BYTES = 64 * EVENT.size
LOAN_CHECK_S = 1.0
"""The interval in seconds at which the brain checks for a request of another process for the readers."""
READ_PAUSE_S = 0.005
"""The pause after each read, in seconds. It limits the cost of an event flood to a few per cent of a core. The kernel
buffers events meanwhile, and reports an overflow.
"""


class Keyboard:
    """Decodes the bytes of one device into keys. Pure: a chunk in, keys with times out. Holds less than one event."""

    def __init__(self) -> None:
        self._rest, self._shifts = b"", 0

    def feed(self, chunk: bytes) -> list[tuple[str, float]]:
        """Return the keys that went down in a chunk, with their times in seconds of the kernel's clock. `ODD_KEY` is an
        unknown key.

        Key repeats of a held key are ignored.
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
            return ODD_KEY
        if kind != EV_KEY:
            return None
        if code in SHIFTS:
            bit = 1 << SHIFTS.index(code)
            self._shifts = self._shifts | bit if value else self._shifts & ~bit
        if value != 1 or code in SILENT:
            return None
        return (SHIFTED if self._shifts else KEYBOARD_KEYS).get(code, ODD_KEY)


def open_device(path: str) -> int:
    """Open a device for non-blocking reads. Raises `OSError`."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


class UsbReader:
    """One device under /dev/input. It is opened again when it returns after being unplugged."""

    def __init__(
        self,
        path: str,
        on_typed: Callable[[TypedNumber], None],
        on_loss: Callable[[str | None], None] = lambda _: None,
        settings: UsbSettings | None = None,
        may_read: Callable[[], bool] = lambda: True,
        *,
        open_device: Callable[[str], int] = open_device,
    ) -> None:
        """`on_loss` receives the reason when the device becomes unreadable, and None when it is readable again.
        `may_read` returns False while another process needs the readers: it cannot read a device that this process has
        grabbed. `open_device` opens the device.
        """
        self._path, self._on_typed, self._on_loss = path, on_typed, on_loss
        self._settings, self._may_read, self._opened = settings, may_read, open_device
        self._backoff = Backoff(first_s=0.2, most_s=5.0)
        self._why = ""
        self.is_open = False
        """Whether the device is present and held exclusively."""

    async def run(self) -> None:
        """Read the device. Runs until cancelled."""
        while True:
            if not self._may_read():
                self._on_loss("`gated readers learn` has it for a moment")
            while not self._may_read():  # noqa: ASYNC110 - the lock is a file of another process
                await asyncio.sleep(LOAN_CHECK_S)
            try:
                why = await self._read()
            except OSError as error:
                why = error.strerror or str(error)
                self._on_loss(why)
            if why and why != self._why:
                log.warning("reader %s cannot be read: %s; plug it in, or correct readers.devices", self._path, why)
            self._why = why
            if why:
                await asyncio.sleep(self._backoff.next_s())

    async def _read(self) -> str:
        """Open and read the device until it ends. Return the reason, or an empty text if another process wants the
        readers.

        Raises `OSError`.
        """
        fd = self._opened(self._path)
        try:
            grab_device(fd)
            self.is_open = True
            self._on_loss(None)
            return await self._read_keys(fd)
        finally:
            self.is_open = False
            os.close(fd)

    async def _read_keys(self, fd: int) -> str:
        keyboard, collector, silent_s = Keyboard(), NumberCollector(self._settings), 0.0
        while self._may_read():
            wait_s = min(LOAN_CHECK_S, max(0.0, (collector.wait_s or LOAN_CHECK_S) - silent_s))
            chunk = await chunk_of(fd, wait_s)
            if chunk is None:
                silent_s += wait_s
                if collector.wait_s is not None and silent_s >= collector.wait_s:
                    self._forward(collector.silence())
                continue
            if not chunk:
                return "it was unplugged"
            silent_s = 0.0
            if self._why:
                log.info("reader %s is back", self._path)
            self._why = ""
            self._backoff.reset()
            for key, at in keyboard.feed(chunk):
                self._forward(collector.add_key(key, at))
            await asyncio.sleep(READ_PAUSE_S)
        return ""

    def _forward(self, typed: TypedNumber | None) -> None:
        if typed is not None:
            self._on_typed(typed)


def grab_device(fd: int) -> None:
    """Hold the device exclusively, and let its times use the monotonic clock. Raises `OSError` if another process holds
    it.
    """
    for request, argument in ((EVIOCGRAB, 1), (EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))):
        try:
            fcntl.ioctl(fd, request, argument)
        except OSError as error:
            if error.errno not in NO_DEVICE:
                raise


async def chunk_of(fd: int, wait_s: float) -> bytes | None:
    """Return the next data: empty bytes at the end of the file, None after `wait_s` seconds without data.

    Raises `OSError` when the device is unplugged.
    """
    loop, with_data = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, with_data.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await with_data.wait()
    finally:
        loop.remove_reader(fd)
    if not select.select([fd], [], [], 0)[0]:  # a busy loop may see timeout and data at once
        return None
    try:
        return os.read(fd, EVENTS_BYTES)
    except BlockingIOError:
        return None
