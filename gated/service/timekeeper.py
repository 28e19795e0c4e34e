"""Runs the gate's clock with all its sources: the kernel, the chip, the stored file, and the office."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gated.config import Settings
from gated.events import ClockDoubted
from gated.service.clock import WallClock, not_before
from gated.service.clock_chip import boot_id, chip_began, is_synchronised, steady
from gated.service.clock_file import WRITE_S, ClockFile, load

WATCH_S = 1.0
"""Interval at which the clock is checked, in seconds."""


class Timekeeper:
    """A `WallClock` that stores what it knows. For the event loop; a separate thread writes to the disk."""

    def __init__(self, settings: Settings, last_fact: datetime, report: Callable[[ClockDoubted], None]) -> None:
        """Load the stored state. `last_fact`: when the newest fact of the journal was written."""
        self.clock = clock_of(settings, last_fact, report)
        self._file = ClockFile(settings.state, load(settings.state))

    async def run(self) -> None:
        """Check the clock until cancelled, and store the latest trusted time."""
        while True:
            self.clock.now()
            kept, now = self.clock.kept(), steady()
            if self._file.is_due(kept, now):
                await asyncio.to_thread(self._file.write, kept, now)
            await asyncio.sleep(WATCH_S)

    def close(self) -> None:
        """Store the latest trusted time at a clean stop."""
        self._file.write(self.clock.kept(is_end=True), steady(), is_end=True)


def clock_of(settings: Settings, last_fact: datetime, report: Callable[[ClockDoubted], None]) -> WallClock:
    """Return this gate's clock from what is on disk. Writes nothing."""
    kept = load(settings.state)
    return WallClock(
        not_before(kept, last_fact, WRITE_S),
        report,
        is_synchronised if settings.site.clock == "auto" else lambda: True,
        kept=kept,
        boot=boot_id(),
        chip=chip_began(steady()),
        has_office=bool(settings.sync.url),
        is_vouched=settings.site.clock == "trusted",
    )
