"""Whether this machine is fit for a gate: what is red keeps it from becoming one, what is amber is said."""

import asyncio
import platform
import shutil
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.config import Settings
from gated.door.latch import Latch
from gated.errors import GatedError
from gated.health.board import Board, board_at, memory, power, temperature, throttling
from gated.health.clock import kernel_keeps_time
from gated.health.finding import Finding, amber, green, red
from gated.vision import try_camera

MACHINES = ("x86_64", "aarch64")
BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that shows an earlier day is wrong: this was written later."""
LEAST_BYTES, SPARE_BYTES = 300_000_000, 1_000_000_000
"""Models and prompts take 50 MB, a month of journal 50, an update as much as this version (200), and some room."""


def looked_at(state: Path, root: Path = Path("/")) -> Iterator[Finding]:
    """The machine itself, before anything is done to it. `state`: where the gate will keep everything."""
    board = board_at(root)
    yield processor(platform.machine(), struct.calcsize("P") * 8)
    yield memory(root)
    yield from _board(board, root)
    yield free_space(state)
    yield clock(datetime.now(UTC), is_kept=kernel_keeps_time())


def processor(machine: str, bits: int) -> Finding:
    """`bits`: of an address, in this very process; a 64-bit kernel may carry a 32-bit system."""
    if bits != 64 or machine not in MACHINES:
        says = f"{bits} bit on {machine}: onnxruntime and numpy are not to be had for it"
        return red("processor", says, "write Raspberry Pi OS Lite (64-bit) onto the card, and come again")
    return green("processor", f"{machine}, 64 bit")


def free_space(state: Path) -> Finding:
    """On the disk that the gate will keep everything on."""
    there = next(each for each in (state, *state.parents) if each.exists())
    free = shutil.disk_usage(there).free
    says, step = f"{free / 1e6:,.0f} MB free for {state}", "make room, or take a card of at least 16 GB"
    if free < LEAST_BYTES:
        return red("disk", says, step)
    return green("disk", says) if free >= SPARE_BYTES else amber("disk", says, step)


def clock(now: datetime, *, is_kept: bool) -> Finding:
    """`now`: aware. Certificates and codes have a date, so that one which is years off cannot pair."""
    if now < BUILT:
        step = "connect the network until `timedatectl` says synchronized, or set it: `date -s 2026-12-24T12:00`"
        return red("clock", f"shows {now:%Y-%m-%d}, which is past", step)
    if not is_kept:
        return amber("clock", "nothing keeps it right", "reach a time server, or fit a clock chip with a battery")
    return green("clock", f"{now:%Y-%m-%d %H:%M} UTC, kept right")


def parts(settings: Settings) -> Iterator[Finding]:
    """What hangs on the machine, as the settings say: camera and pins, tried."""
    yield _tried(
        "camera",
        lambda: try_camera(settings.camera),
        "see that the ribbon sits at both ends, and `rpicam-hello --list`",
    )
    yield _tried("pins", lambda: asyncio.run(_claim(settings)), "see `gpioinfo` for who has it, or choose another pin")


def _board(board: Board, root: Path) -> Iterator[Finding]:
    if board.is_pi:
        yield power(board, throttling())
        yield temperature(root)


async def _claim(settings: Settings) -> None:
    """Have every pin for a moment, the locks secured, as the latch will. Of mock pins no trace is written."""
    door = msgspec.structs.replace(settings.door, trace="")
    Latch(msgspec.structs.replace(settings, door=door)).close()


def _tried(part: str, attempt: Callable[[], None], next_step: str) -> Finding:
    try:
        attempt()
    except GatedError as error:
        return red(part, str(error), next_step)
    return green(part, "can be used")
