"""What the machine itself knows of time: whether a time server steers it, what its clock chip says, which boot this is.

A Pi 5 always shows `rtc0`, also without a battery. So a chip counts only once it has proved itself (see `timekept`).
"""

import ctypes
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

UNSYNCHRONISED = 0x40
"""STA_UNSYNC in `timex.status` (adjtimex(2)): no time server steers the kernel's clock."""
STATUS_AT = 40
"""Where the status lies in the kernel's `struct timex` on 64-bit Linux."""
TIMEX_BYTES = 256
"""More than the structure needs (208)."""
CHIP = Path("/sys/class/rtc/rtc0/since_epoch")
"""Seconds since 1970 by the chip, in UTC as Linux sets it (Documentation/ABI/testing/sysfs-class-rtc)."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Another text after each start of the machine (random(4))."""


def is_synchronised() -> bool:
    """Whether a time server steers this machine's clock, by what the kernel says."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes 0: only read
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    return not ctypes.c_int.from_buffer(timex, STATUS_AT).value & UNSYNCHRONISED


def steady() -> float:
    """Seconds since the machine began. No time server slews them, and a machine that sleeps counts on.

    CLOCK_MONOTONIC is slewed with the time of day, so that a server which makes a second longer would not be seen.
    """
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) + asleep


def boot_id(path: Path = BOOT) -> str:
    """Which start of the machine this is; empty where the kernel does not say it."""
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def chip_began(steady_s: float, path: Path = CHIP) -> datetime | None:
    """What the time of day was at steady 0 by the chip; None where there is none, or it cannot be read."""
    with suppress(OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(int(path.read_text()), UTC) - timedelta(seconds=steady_s)
    return None
