"""Reads the machine's time sources: the state of the time server, the clock chip's time, and the boot id.

A Pi 5 always shows `rtc0`, even without a battery. So a chip counts only after it has proved itself (see `clock_file`).
"""

import ctypes
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

UNSYNCHRONISED = 0x40
"""STA_UNSYNC in `timex.status` (adjtimex(2)): no time server steers the kernel's clock."""
STATUS_AT = 40
"""Offset of the status in the kernel's `struct timex` on 64-bit Linux, in bytes."""
TIMEX_BYTES = 256
"""Size of the buffer for the structure, in bytes. The structure needs 208."""
CHIP = Path("/sys/class/rtc/rtc0/since_epoch")
"""The chip's time in seconds since 1970. Linux keeps the chip in UTC (Documentation/ABI/testing/sysfs-class-rtc)."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""A text that differs after each start of the machine (random(4))."""


def is_synchronised() -> bool:
    """Return whether a time server steers this machine's clock, according to the kernel."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes 0: only read
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    return not ctypes.c_int.from_buffer(timex, STATUS_AT).value & UNSYNCHRONISED


def steady() -> float:
    """Return the seconds since the machine started, including sleep. Time servers do not slew them.

    CLOCK_MONOTONIC is slewed together with the time of day. Measured with it, a server that stretches the second would
    go unnoticed.
    """
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) + asleep


def boot_id(path: Path = BOOT) -> str:
    """Return the id of this start of the machine; empty if the kernel does not report one."""
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def chip_began(steady_s: float, path: Path = CHIP) -> datetime | None:
    """Return the chip's time of day (UTC) at steady second 0; None if the chip is missing or cannot be read."""
    with suppress(OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(int(path.read_text()), UTC) - timedelta(seconds=steady_s)
    return None
