"""Records the working and the lost parts of the gate. Reports each change once."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from gated.events import Degraded, Event, WorkerLost, WorkerReady
from gated.runtime.tasks import first_of

log = logging.getLogger(__name__)


ON_DISK = frozenset({"disk", "credentials", "gallery"})
"""When one of these parts works again, files can be opened again."""
MUTE = frozenset({"network", "server", "sync", "journal"})
"""Parts without which the office does not receive an event. An event that cannot be stored is not sent either."""


class Duty:
    """The state of the gate's parts."""

    def __init__(self, report: Callable[[Event], None], on_disk_back: Callable[[], None] = lambda: None) -> None:
        """`report` gets every change. `on_disk_back` is called when a part of `ON_DISK` works again."""
        self._report, self._on_disk_back = report, on_disk_back
        self._lost: dict[str, str] = {}
        self._missing: frozenset[str] = frozenset()
        self.answered = {"vision": asyncio.Event(), "latch": asyncio.Event()}
        """For each worker: set once it has answered or has failed."""

    @property
    def lost(self) -> list[str]:
        """Return the lost parts in alphabetical order."""
        return sorted(self._lost)

    @property
    def reaches_office(self) -> bool:
        """Return whether no part is lost that the link to the office needs."""
        return MUTE.isdisjoint(self._lost)

    def set(self, part: str, why: str | None) -> None:
        """Mark a part as lost with the reason, or as back with None."""
        before = self.lost
        if why is None:
            if self._lost.pop(part, None) is not None:
                log.info("%s is back", part)
        else:
            if part not in self._lost:
                log.error("%s is lost: %s", part, why)
            self._lost[part] = why
        if self.lost != before:
            self._report(Degraded(self.lost))
        if why is None and part in before and part in ON_DISK:
            self._on_disk_back()

    def misses(self, parts: Mapping[str, str]) -> None:
        """Set everything that the latch lacks now, each with the reason.

        Parts it lacked before and does not now are back.
        """
        before = self.lost
        for part in self._missing - parts.keys():
            self._lost.pop(part, None)
            log.warning("%s works again", part)
        for part, why in parts.items():
            if part not in self._missing:
                log.error("%s is missing: %s", part, why)
            self._lost[part] = why
        self._missing = frozenset(parts)
        if self.lost != before:
            self._report(Degraded(self.lost))

    def works(self, worker: str) -> None:
        """Mark a worker as working."""
        self._report(WorkerReady(worker))
        self.set(worker, None)
        self.answered[worker].set()

    def fails(self, worker: str, why: str) -> None:
        """Mark a worker as lost. Reports the same reason only once, however often the worker fails."""
        if self._lost.get(worker) != why:
            self._report(WorkerLost(worker, why))
        self.set(worker, why)
        self.answered[worker].set()

    async def wait_for_workers(self, stop: asyncio.Event, within_s: float) -> None:
        """Wait until each worker has answered or failed, for at most `within_s` seconds each, or until `stop` is set.

        A worker that did not answer in time is lost.
        """
        for worker, answered in self.answered.items():
            await first_of(answered.wait(), stop.wait(), asyncio.sleep(within_s), name="begin")
            if not answered.is_set() and not stop.is_set():
                self.fails(worker, "it does not answer")
