"""Starts a worker process before its user is ready. Used by `app` for the latch and vision.

The worker loads on another core while the brain imports its parts. No worker is lost: the user gets it at its first
start, or `aclose` ends it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from gated.errors import GatedError

Worker = TypeVar("Worker")


class Starter(Generic[Worker]):
    """Starts workers of one kind, one after another. The first one may be started early."""

    def __init__(self, start: Callable[[], Awaitable[Worker]], end: Callable[[Worker], Awaitable[None]]) -> None:
        """`start`: starts a worker, or raises `OSError` or a `GatedError`. `end`: ends an unused worker."""
        self._start, self._end = start, end
        self._early: Worker | None = None

    @property
    def has_early(self) -> bool:
        """Whether a worker was started early and has no user yet."""
        return self._early is not None

    async def start_early(self) -> None:
        """Start the first worker now. Ignore a failure: `start` tries again and reports it."""
        with suppress(OSError, GatedError):
            self._early = await self._start()

    async def start(self) -> Worker:
        """Return the early worker if there is one, otherwise start one. Raises the errors of `start`."""
        early, self._early = self._early, None
        return await self._start() if early is None else early

    async def aclose(self) -> None:
        """End the early worker if it has no user yet."""
        early, self._early = self._early, None
        if early is not None:
            await self._end(early)
