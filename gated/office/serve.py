"""The office at work: the conversation with its gates, and the door through which new ones join."""

import asyncio
import logging
import re
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zlib import crc32

from gated.errors import OfficeError
from gated.office.broker import Place, tls_context
from gated.office.link import run_link
from gated.office.pairing import Registrar, serve_pairing
from gated.office.side import OfficeSide
from gated.office.store import Store
from gated.runtime.lock import FileLock

log = logging.getLogger(__name__)

LOCALHOST = "localhost"
MOST_SHARES = 64


def share_of(text: str) -> tuple[int, int]:
    """The share 2/4 as a number from 0 on, and how many there are. Raises `OfficeError`."""
    found = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count <= MOST_SHARES:
        raise OfficeError(f"{text!r} is no share; write 2/4 for the second of four, of at most {MOST_SHARES}")
    return number - 1, count


def owner(number: int, count: int) -> Callable[[str], bool]:
    """Whether a gate is one of those that the process with that number speaks for."""
    return lambda gate: crc32(gate.encode()) % count == number


async def serve(folder: Path, number: int = 0, count: int = 1) -> None:
    """Be the office, or one of several processes that are, until SIGTERM or SIGINT. The first one lets gates join.

    Raises `OfficeError`, `StateError`, and `BusyError` when that one is at work already.
    """
    with (
        closing(FileLock(folder / f"serve-{number + 1}-{count}.lock", "this office")),
        closing(Store.open(folder)) as store,
        closing(Registrar(folder, store)) as registrar,
    ):
        side = OfficeSide(store, owner(number, count))
        place, identifier = Place.load(folder), f"gated-{store.site}-OFFICE-{number + 1}"
        async with asyncio.TaskGroup() as group:
            parts = [run_link(side, LOCALHOST, place.port, tls_context(folder), identifier)]
            if number == 0:
                parts.append(serve_pairing(registrar))
            tasks = [group.create_task(part) for part in parts]
            for signal_ in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(signal_, lambda: [task.cancel() for task in tasks])
            log.info("the office of %s is at work with %d gates", store.site, len(store.gates()))
