"""Run blocking work on a daemon thread. Used by the MQTT connection.

A pool waits for its threads at exit. A daemon thread that hangs in the kernel does not delay the exit.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from contextlib import suppress


async def run_on_daemon(work: Callable[[], None], name: str) -> None:
    """Run `work` on a daemon thread with this name, and wait for it. Raises the errors of `work`."""
    done: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        """Run the work and pass its result or its error to the caller."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the caller gets the error
            with suppress(concurrent.futures.InvalidStateError):
                done.set_exception(error)
        else:
            with suppress(concurrent.futures.InvalidStateError):
                done.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    await asyncio.wrap_future(done)
