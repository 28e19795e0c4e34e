"""Check whether this machine can be a gate. A red finding stops provisioning; an amber finding is a warning. The steps
`Machine` and `Parts` use this module.
"""

import platform
import shutil
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.config import Settings
from gated.doctor.board import Board, board_at, memory, power, temperature, throttling
from gated.doctor.finding import Finding, amber, green, red
from gated.door.claim_trial import try_pins
from gated.door.gpio_lines import busy_lines
from gated.errors import GatedError
from gated.service.clock_chip import is_synchronised
from gated.vision import try_camera

MACHINES = ("x86_64", "aarch64")
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""This code is newer than this date, so a clock that shows an earlier day is wrong."""
PIN_STEP = "`gpioinfo` shows the user of the pin; free it, or choose another pin"
VITAL = ("lock_pin", "rex_pin", "fire_pin", "fire_reset_pin")
"""The pins that the latch needs to go on duty."""
LEAST_BYTES, SPARE_BYTES = 300_000_000, 1_000_000_000
"""Free disk space in bytes: `LEAST_BYTES` is required, `SPARE_BYTES` is recommended. Models and prompts need 50 MB, a
month of journal 50 MB, an update 200 MB (as much as this version).
"""


def findings_before(state: Path, root: Path = Path("/")) -> Iterator[Finding]:
    """Check the machine before provisioning changes it. `state` is the folder for the gate's data."""
    board = board_at(root)
    yield processor(platform.machine(), struct.calcsize("P") * 8)
    yield memory(root)
    yield from _board(board, root)
    yield free_space(state)
    yield clock(datetime.now(UTC), is_kept=is_synchronised())


def processor(machine: str, bits: int) -> Finding:
    """Check the processor. `bits` is the address size of this process: a 64-bit kernel may run a 32-bit system."""
    if bits != 64 or machine not in MACHINES:
        summary = f"{bits} bit on {machine}: onnxruntime and numpy do not support it"
        return red("processor", summary, "write Raspberry Pi OS Lite (64-bit) to the card, and start again")
    return green("processor", f"{machine}, 64 bit")


def free_space(state: Path) -> Finding:
    """Check the free space on the disk of the state folder."""
    nearest = next(each for each in (state, *state.parents) if each.exists())
    free = shutil.disk_usage(nearest).free
    summary, step = f"{free / 1e6:,.0f} MB free for {state}", "free some space, or use a card of at least 16 GB"
    if free < LEAST_BYTES:
        return red("disk", summary, step)
    return green("disk", summary) if free >= SPARE_BYTES else amber("disk", summary, step)


def clock(now: datetime, *, is_kept: bool) -> Finding:
    """Check the clock. `now` is timezone-aware. Pairing fails with a wrong clock, because certificates and codes have
    dates.
    """
    if now < BUILT:
        step = "connect the network until `timedatectl` says synchronized, or set it: `date -s 2026-12-24T12:00`"
        return red("clock", f"shows {now:%Y-%m-%d}, a past date", step)
    if not is_kept:
        return amber(
            "clock", "no source keeps it correct", "connect to a time server, or fit a clock chip with a battery"
        )
    return green("clock", f"{now:%Y-%m-%d %H:%M} UTC, kept correct")


def parts(settings: Settings) -> Iterator[Finding]:
    """Test the camera and the pins that the settings name."""
    yield _camera(settings)
    yield _pins(settings)


def parts_seen(settings: Settings) -> Iterator[Finding]:
    """Test the camera and the pins without claiming a pin. A dry run may do this while people use the door."""
    yield _camera(settings)
    yield _pins_seen(settings)


def _board(board: Board, root: Path) -> Iterator[Finding]:
    if board.is_pi:
        yield power(board, throttling())
        yield temperature(root)


def _pins_seen(settings: Settings) -> Finding:
    """Check that every pin is available. Write nothing for mock pins; only ask the kernel about real pins."""
    try:
        if settings.door.pins == "mock":
            door = msgspec.structs.replace(settings.door, brain_user="")  # the real run creates this user first
            try_pins(msgspec.structs.replace(settings, door=door), makes_files=False)
        busy = busy_lines(settings)
    except GatedError as error:
        return red("pins", str(error), PIN_STEP)
    if not busy:
        return green("pins", "can be used")
    is_vital = any(key.partition(".")[2] in VITAL for key in busy)
    return (red if is_vital else amber)("pins", "; ".join(f"{key}: {why}" for key, why in busy.items()), PIN_STEP)


def _pins(settings: Settings) -> Finding:
    """Claim every pin briefly and secure the locks, as the latch does. Mock pins write no trace."""
    step = PIN_STEP
    door = msgspec.structs.replace(settings.door, trace="")
    try:
        missing = try_pins(msgspec.structs.replace(settings, door=door))
    except GatedError as error:
        return red("pins", str(error), step)
    if missing:
        summary = "; ".join(f"{part} cannot be used: {why}" for part, why in missing.items())
        return amber("pins", f"the gate would run without {', '.join(missing)}: {summary}", step)
    return green("pins", "can be used")


def _camera(settings: Settings) -> Finding:
    """Take one frame from the camera."""
    try:
        doubt = try_camera(settings.camera)
    except GatedError as error:
        return red("camera", str(error), "check both ends of the ribbon cable, and run `rpicam-hello --list`")
    if doubt is not None:
        return amber("camera", doubt, "measure it with a person in view: `gated doctor --measure`")
    return green("camera", "can be used")
