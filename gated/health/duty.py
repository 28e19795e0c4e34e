"""What the gate can do at the moment: which workers answer, and what is lost; told once at every change."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from gated.events import Degraded, Event, WorkerLost, WorkerReady

log = logging.getLogger(__name__)


class Duty:
    """The parts of the gate, as far as they can be lost. `report` is given every change."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report
        self._lost: dict[str, str] = {}
        self._missing: frozenset[str] = frozenset()
        self.settled = {"vision": asyncio.Event(), "latch": asyncio.Event()}
        """Set once a worker has answered, or has said that it cannot."""

    @property
    def lost(self) -> list[str]:
        """The parts that are lost, in alphabetical order."""
        return sorted(self._lost)

    def set(self, part: str, why: str | None) -> None:
        """A part is lost, and why, or with None it is back."""
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

    def misses(self, parts: Mapping[str, str]) -> None:
        """All that the latch has to do without now, each with the reason; what it missed before and is not among them
        is back.
        """
        before = self.lost
        for part in self._missing - parts.keys():
            self._lost.pop(part, None)
            log.warning("%s is there again", part)
        for part, why in parts.items():
            if part not in self._missing:
                log.error("%s is missing: %s", part, why)
            self._lost[part] = why
        self._missing = frozenset(parts)
        if self.lost != before:
            self._report(Degraded(self.lost))

    def works(self, worker: str) -> None:
        """A worker answers."""
        self._report(WorkerReady(worker))
        self.set(worker, None)
        self.settled[worker].set()

    def fails(self, worker: str, why: str) -> None:
        """A worker is lost: reported once, however often the next one fails for the same reason."""
        if self._lost.get(worker) != why:
            self._report(WorkerLost(worker, why))
        self.set(worker, why)
        self.settled[worker].set()
