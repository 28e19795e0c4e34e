"""Serve a latch on the Unix socket of the settings. Used by `gated latch`."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from gated.config import Settings
from gated.door.latch import Latch
from gated.door.power import note_locks
from gated.errors import StateError
from gated.runtime.tasks import Backoff
from gated.storage.process_lock import FileLock

log = logging.getLogger(__name__)

LISTEN_S, MOST_LISTEN_S = 0.5, 30.0
"""The first and the longest wait before another attempt to open the socket."""


async def serve_latch(
    settings: Settings, ready: Callable[[], None], alive: Callable[[], None], idle_exit_s: float | None = None
) -> None:
    """Serve the pins on the Unix socket of the settings until cancelled, or until `idle_exit_s` without a brain.

    `ready` is called once the pins are claimed, `alive` twice a second. If the socket or the lock file cannot be made,
    the server tries again. The exit button and the fire input work during that time.

    Raises `BusyError` if another latch serves there, and `LatchError` without pins.
    """
    path = settings.latch_socket
    with contextlib.ExitStack() as last:
        _lock(path, last)
        note_locks(settings)  # before the pins are claimed: after that a lock may have power
        latch = Latch(settings)
        last.callback(latch.close)
        tried = asyncio.Event()
        mode = 0o660 if settings.door.brain_user else 0o600
        listening = asyncio.create_task(_listen(latch, path, mode, tried), name="listen")
        try:
            await tried.wait()
            ready()
            await latch.read_inputs(alive, idle_exit_s)
        finally:
            listening.cancel()
            await asyncio.wait([listening])


def _lock(path: Path, last: contextlib.ExitStack) -> None:
    """Lock the socket's lock file until `last` ends. Raises `BusyError` when another latch holds it."""
    try:
        lock = FileLock(path.with_suffix(".lock"), "a latch")
    except StateError as error:
        log.error("%s; only the kernel now prevents a second latch on these lines", error)
    else:
        last.callback(lock.close)


async def _serve_at(path: Path, mode: int, latch: Latch) -> asyncio.Server:
    """Listen at `path`. The socket appears there only when it accepts connections.

    The socket of a killed latch is replaced; the lock file proves that no latch serves it. Raises OSError.
    """
    unready = path.with_suffix(".new")
    unready.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(latch.serve, unready)
    try:
        unready.chmod(mode)
        unready.replace(path)
    except OSError:
        server.close()
        raise
    return server


async def _listen(latch: Latch, path: Path, mode: int, tried: asyncio.Event) -> None:
    """Listen until cancelled. Retries with backoff if that fails. `tried` is set after the first attempt."""
    backoff, is_reported = Backoff(LISTEN_S, MOST_LISTEN_S), False
    while True:
        try:
            server = await _serve_at(path, mode, latch)
        except OSError as error:
            if not is_reported:
                log.error("%s: the latch cannot listen there (%s); nobody is let in, exits still work", path, error)
            is_reported = True
            tried.set()
            await asyncio.sleep(backoff.next_s())
            continue
        if is_reported:
            log.warning("%s: the latch listens there now", path)
        tried.set()
        try:
            await asyncio.Event().wait()  # not `serve_forever`: its end waits for every connection
        finally:
            server.close()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
