"""Check that all pins can be claimed before a gate goes on duty. Each is claimed for a moment, as the latch does it."""

import asyncio
import logging

from gated.config import Settings
from gated.door.latch import Latch

PARTS_LOG = "gated.door.optional_parts"


def try_pins(settings: Settings, *, makes_files: bool = True) -> dict[str, str]:
    """Claim every pin with the locks secured, and give them back. Returns the missing optional parts with the reasons.

    Without `makes_files` mock pins write nothing to the disk. Raises `LatchError` when the lock, the exit button or the
    fire input cannot be claimed.
    """
    parts = logging.getLogger(PARTS_LOG)
    parts.disabled = True  # the caller reports the missing parts, and nothing is tried again
    try:
        return asyncio.run(_try(settings, makes_files))
    finally:
        parts.disabled = False


async def _try(settings: Settings, makes_files: bool) -> dict[str, str]:
    latch = Latch(settings, makes_files=makes_files)
    try:
        return latch.missing
    finally:
        latch.close()
