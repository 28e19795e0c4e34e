"""Tasks with a name, an owner and an end: some may not die, the others are started again.

A critical task that raises, or returns, ends the process: systemd starts it anew, with the door secured.
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
