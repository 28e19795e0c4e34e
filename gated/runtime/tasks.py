"""Tasks with a name, an owner and an end: some may not die, the others are started again.

A critical task that raises, or returns, ends the process: systemd starts it anew, with the door secured. An optional
part never does: while it cannot be had it is lost, which is told once, and it is tried again and again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gated.errors import GatedError

log = logging.getLogger(__name__)


class CriticalTaskError(GatedError):
    """A task without which this process has no business running has ended."""


async def critical(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run something that must not end. Raises `CriticalTaskError` when it does, however it does."""
    try:
        await run()
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.exception("critical task %s failed", name)
        raise CriticalTaskError(f"{name} failed ({type(error).__name__}: {error}); the gate starts anew") from error
    raise CriticalTaskError(f"{name} returned, and must not; the gate starts anew")


Losses = Callable[[str, str | None], None]
"""Told that a part is lost and why, or with None that it is back."""
Part = Callable[[Callable[[], None]], Awaitable[None]]
"""A part's life. It calls what it is given once it does its work, and ends by an error; who returns starts anew."""

STEADY_S = 10.0
"""What did its work for so long is tried again at once after its end."""


async def optional(name: str, run: Part, losses: Losses, *, first_s: float = 0.5, most_s: float = 30.0) -> None:
    """Have a part that the gate can do without, for ever, however often and by whatever error it ends."""
    backoff, loop = Backoff(first_s, most_s), asyncio.get_running_loop()
    while True:
        up_at: list[float] = []

        def works(since: list[float] = up_at) -> None:
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
            losses(name, f"an error inside ({type(error).__name__}); see the log")
        if up_at and loop.time() - up_at[0] > STEADY_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_s())


async def until_cancelled() -> None:
    """The rest of the life of a part that has nothing more to do than to be there."""
    await asyncio.Event().wait()


@dataclass
class Backoff:
    """Waits that double, with jitter so that a district of gates does not come back in step."""

    first_s: float = 0.2
    most_s: float = 30.0
    _next_s: float = 0.0

    def next_s(self) -> float:
        """How long to wait before the next try: between half and the whole of the doubled wait."""
        self._next_s = min(self.most_s, self._next_s * 2 or self.first_s)
        return self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """All is well: start over with the shortest wait."""
        self._next_s = 0.0
