"""Check whether the GPIO lines of a gate are free. It asks the kernel only.

It claims no line, changes no level and makes no file. (lgpio makes a file on import, and changes the working folder.)
It uses the GPIO character device, version 2 (linux/gpio.h, since Linux 5.10).
"""

import errno
import fcntl
import os
import struct
from pathlib import Path

from gated.config import Settings
from gated.config.wiring import used_pins
from gated.door.gpio_errors import chip_trouble

DEVICE_FOLDER = Path("/dev")
CHIP_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""The kernel's labels of the header's GPIO chip: Pi 5; Pi 4; Pi 3, Zero 2 and older.

The chip's number depends on the kernel: 0, 4, or 11 to 15 on a Pi 5."""
CHIP_INFO = struct.Struct("32s32sI")
GET_CHIP_INFO = 0x8044B401
LINE_INFO = struct.Struct("32s32sIIQ160x16x")
GET_LINE_INFO = 0xC100B405
USED = 1
"""GPIO_V2_LINE_FLAG_USED: a program or the kernel holds the line."""


def busy_lines(settings: Settings) -> dict[str, str]:
    """Return the settings keys whose line is not free, each with the reason. Empty for mock pins.

    Raises `LatchError` when this machine has no usable GPIO chip.
    """
    if settings.door.pins == "mock":
        return {}
    pins = used_pins(settings.door, settings.second_door, settings.readers, settings.cues)
    chip = _chip()
    try:
        return {key: why for key, pin in pins if (why := _trouble(chip, pin))}
    finally:
        os.close(chip)


def _chip() -> int:
    """Open the header's GPIO chip and return its file descriptor.

    Raises `LatchError` if there is no such chip, or if this user may not open the chip.
    """
    seen = []
    for path in sorted(DEVICE_FOLDER.glob("gpiochip*")):
        try:
            chip = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            seen.append(f"{path.name}: {error.strerror}")
            continue
        label = _label(chip)
        if label in CHIP_LABELS:
            return chip
        seen.append(f'{path.name} is "{label}"')
        os.close(chip)
    raise chip_trouble("; ".join(seen) or "there is no /dev/gpiochip")


def _label(chip: int) -> str:
    try:
        return _text(CHIP_INFO.unpack(fcntl.ioctl(chip, GET_CHIP_INFO, bytes(CHIP_INFO.size)))[1])
    except OSError as error:
        return f"no GPIO chip ({error.strerror})"


def _trouble(chip: int, pin: int) -> str:
    """Return the reason why a line is not free, or an empty string."""
    try:
        answer = fcntl.ioctl(chip, GET_LINE_INFO, LINE_INFO.pack(b"", b"", pin, 0, 0))
    except OSError as error:
        why = "this board has no such line" if error.errno == errno.EINVAL else error.strerror
        return f"pin {pin} cannot be checked ({why})"
    _, holder, _, _, flags = LINE_INFO.unpack(answer)
    return f"pin {pin} is in use by {_text(holder) or 'the kernel'}" if flags & USED else ""


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
