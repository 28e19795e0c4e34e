"""Runs named tasks that must not end, and restarts optional ones.

If a critical task raises or returns, the process ends; systemd restarts it with the door secured. An optional part
never ends the process: its loss is reported and it is tried again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gated.errors import GatedError

log = logging.getLogger(__name__)


class CriticalTaskError(GatedError):
    """A task that the process cannot work without has ended."""


async def critical(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a task that must not end. Raises `CriticalTaskError` if it raises or returns."""
    try:
        await run()
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("critical task %s failed", name)
        raise CriticalTaskError(f"{name} failed ({type(error).__name__}: {error}); the gate starts anew") from error
    raise CriticalTaskError(f"{name} ended, and must not end; the gate restarts")


Losses = Callable[[str, str | None], None]
"""Callback that gets a part's name and the reason of its loss, or None when the part is back."""
Part = Callable[[Callable[[], None]], Awaitable[None]]
"""Coroutine function of an optional part. It calls its argument when it works, and ends with an error.

If the coroutine returns, it is started again.
"""

STEADY_S = 10.0
"""How long a part must have worked, in seconds, for its next restart to use the shortest wait again."""


async def optional(name: str, run: Part, losses: Losses, *, first_s: float = 0.5, most_s: float = 30.0) -> None:
    """Run an optional part and restart it after every error or return. Runs until cancelled.

    `losses` is called at each loss and each recovery. `first_s`, `most_s`: shortest and longest wait between tries, in
    seconds.
    """
    backoff, loop = Backoff(first_s, most_s), asyncio.get_running_loop()
    while True:
        up_at: list[float] = []

        def works(since: list[float] = up_at) -> None:
            """Mark the part as working from now on."""
            since.append(loop.time())
            losses(name, None)

        try:
            await run(works)
            await asyncio.sleep(first_s)
            continue
        except asyncio.CancelledError:
            raise
        except (GatedError, OSError) as error:
            losses(name, str(error))
        except Exception as error:
            log.exception("%s failed", name)
            losses(name, f"an internal error ({type(error).__name__}); read the log")
        if up_at and loop.time() - up_at[0] > STEADY_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_s())


async def first_of(*works: Coroutine[Any, Any, object], name: str) -> None:
    """Run until one of `works` ends, then cancel the rest. Raise its error.

    This is not a `TaskGroup`: in Python 3.11, a `TaskGroup` that fails while it is cancelled loses the cancellation.
    """
    tasks = [asyncio.create_task(work, name=f"{name}-{number}") for number, work in enumerate(works)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def until_cancelled() -> None:
    """Wait until cancelled. For a critical part without further work."""
    await asyncio.Event().wait()


@dataclass
class Backoff:
    """Waiting times that double. Jitter keeps the gates of a district from reconnecting at the same moment.

    `first_s`, `most_s`: shortest and longest wait, in seconds.
    """

    first_s: float = 0.2
    most_s: float = 30.0
    _next_s: float = 0.0

    def next_s(self) -> float:
        """Return the seconds to wait before the next try: a random value between half and all of the doubled wait."""
        self._next_s = min(self.most_s, self._next_s * 2 or self.first_s)
        return self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._next_s = 0.0
